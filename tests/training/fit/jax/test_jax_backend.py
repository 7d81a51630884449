"""The compiled loops of the JAX backend, against Keras' own loop on the same backend."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.training.conftest import declared
from wardrobe.models import DataFacts
from wardrobe.training.fit import jax_backend
from wardrobe.training.fit.fit import Fit

# 1,000 examples in batches of 64: 15 full batches and one of 40.
TEXT = """\
name: loops
seed: 5
data: silhouettes
model:
  layers:
    - Dense: {units: 16, activation: relu}
    - BatchNormalization
    - Dropout: {rate: 0.3}
training: {epochs: 2, batch_size: 64}
"""

AUGMENTED = (
    "model.input.layers=[Rescaling: {scale: 0.004}, Reshape: {target_shape: [28, 28, 1]}, "
    "RandomFlip: {mode: horizontal}, Flatten]"
)

CASES = {
    "decay, clipping, penalties, constraints": [
        "optimizer={AdamW: {weight_decay: 0.01, exclude_from_weight_decay: [bias], clipnorm: 1.0}}",
        "model.defaults={Dense: {kernel_regularizer: {L2: {l2: 0.01}}, "
        "kernel_constraint: {MaxNorm: {max_value: 2}}}}",
        "callbacks=[{EarlyStopping: {patience: 1, restore_best_weights: true}}, TerminateOnNaN]",
    ],
    "a schedule, one-hot targets, bfloat16": [
        "optimizer={SGD: {learning_rate: {CosineDecay: {initial_learning_rate: 0.1, "
        "decay_epochs: 2}}, momentum: 0.9, nesterov: true}}",
        "loss={CategoricalCrossentropy: {label_smoothing: 0.1}}",
        "precision=mixed_bfloat16",
    ],
    "augmentation, accumulated gradients, averaged weights": [
        AUGMENTED,
        "optimizer={Adam: {gradient_accumulation_steps: 2, use_ema: true, ema_momentum: 0.9}}",
        "callbacks=[{SwapEMAWeights: {swap_on_epoch: true}}, "
        "{ModelCheckpoint: {filepath: 'best/{epoch}.keras'}}]",
    ],
    "scaled losses, one full batch and one example, no validation": [
        "precision=mixed_float16",
        "training.batch_size=999",
        "training.validation=0",
        "metrics=[accuracy, {SparseTopKCategoricalAccuracy: {k: 2}}]",
    ],
}


class Batches(keras.utils.PyDataset):
    """Batches of NumPy arrays in a given order, as Keras' own loop takes them."""

    def __init__(self, arrays, batch_size, sampler):
        super().__init__()
        self.arrays, self.batch_size, self.sampler = arrays, batch_size, sampler

    @property
    def num_batches(self):
        return -(-self.sampler.count // self.batch_size)

    def __getitem__(self, number):
        start = number * self.batch_size
        chosen = self.sampler.indices[start : start + self.batch_size]
        return tuple(array[chosen] for array in self.arrays)


def fit_of(data, folder, *overrides) -> Fit:
    folder.mkdir()
    facts = DataFacts(data.input_shape, data.classes)
    return Fit(declared(folder, facts, TEXT, *overrides)[0], data, folder)


def weights_and_history(fit: Fit):
    network = fit.run().network
    return network.get_weights(), network.history.history


QUICK = list(CASES)[:2]  # the others take longer to compile


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in QUICK else pytest.mark.slow) for case in CASES]
)
def test_the_loops_compute_what_keras_own_do(few_silhouettes, tmp_path, monkeypatch, case):
    weights, history = weights_and_history(
        fit_of(few_silhouettes, tmp_path / "loops", *CASES[case])
    )

    def by_keras(network, training, validation, batch_sizes, sampler, options):
        network.jit_compile = True  # else Keras runs augmentation uncompiled, which takes long
        return Batches(training, batch_sizes[0], sampler), validation

    monkeypatch.setattr(jax_backend, "feed", by_keras)
    expected_weights, expected_history = weights_and_history(
        fit_of(few_silhouettes, tmp_path / "keras", *CASES[case])
    )
    assert list(history) == list(expected_history)
    for name, values in history.items():
        assert values == pytest.approx(expected_history[name], abs=2e-3), name
    for got, expected in zip(weights, expected_weights, strict=True):
        assert np.abs(got - expected).max() < 5e-3
