"""Trains from given weights with whatever Keras computes with, in a process of its own.

python -m tests.training.fit.from_weights WEIGHTS.npz RESULT.npz
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.training.conftest import declared
from wardrobe.models import DataFacts
from wardrobe.training.data import load
from wardrobe.training.fit.fit import Fit

# Each part of the loop at once, but nothing drawn at random: the backends draw other numbers.
TEXT = """\
name: both
data: silhouettes
model:
  layers:
    - Dense: {units: 16, activation: relu, kernel_regularizer: {L2: {l2: 0.001}}}
    - BatchNormalization
loss: {CategoricalCrossentropy: {label_smoothing: 0.1}}
metrics: [accuracy]
optimizer:
  AdamW:
    learning_rate: {CosineDecay: {initial_learning_rate: 0.01, decay_epochs: 3}}
    weight_decay: 0.01
    clipnorm: 1.0
    gradient_accumulation_steps: 2
    use_ema: true
    ema_momentum: 0.9
training: {epochs: 3, batch_size: 300, validation: 1000}
callbacks:
  - SwapEMAWeights: {swap_on_epoch: true}
  - EarlyStopping: {monitor: val_loss, patience: 2, restore_best_weights: true}
"""


class Weighted(Fit):
    """The first three classes count four times."""

    def training_arrays(self, *given: Any) -> tuple[NDArray[Any], ...]:
        weights = np.where(self.data.train.y < 3, 4, 1).astype(np.float32)
        return *super().training_arrays(*given), weights


def fit(folder: Path) -> Fit:
    data = load("silhouettes", validation=1000)
    return Weighted(
        declared(folder, DataFacts(data.input_shape, data.classes), TEXT)[0], data, folder
    )


def result(training: Fit) -> list[NDArray[Any]]:
    """The weights, and then the history."""
    network = training.run().network
    return [*network.get_weights(), np.array(list(network.history.history.values()))]


if __name__ == "__main__":
    given, to = sys.argv[1:]
    with tempfile.TemporaryDirectory() as _folder, np.load(given) as _weights:
        _fit = fit(Path(_folder))
        _fit.network.set_weights(list(_weights.values()))
        np.savez(to, *result(_fit))
