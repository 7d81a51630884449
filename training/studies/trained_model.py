"""The networks of a study, as initialised or trained, with everything that a measure needs.

Needs Keras' JAX backend: variants are trained like runs, but together, see `fit.fit_together`.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.models import Declaration
from wardrobe.models.build import BuiltModel, build
from wardrobe.training.data import DataSet, Examples
from wardrobe.training.evaluation.prediction import predict
from wardrobe.training.fit.fit import Fit, arrays, fit_together

_BATCH = 10_000  # examples per inference call


@dataclass
class TrainedModel:
    """A network, trained or as initialised, and its history."""

    declaration: Declaration
    data: DataSet
    parts: BuiltModel
    initial: list[NDArray[Any]]  # the weights before training
    history: dict[str, list[float]] = field(default_factory=dict)  # a value an epoch

    @property
    def network(self) -> keras.Sequential:
        return self.parts.network

    def outputs(self, x: NDArray[Any], network: Any = None) -> NDArray[np.float32]:
        """The outputs of the network (or of another one on its layers), not in training mode."""
        asked = self.network if network is None else network
        return predict(asked, x, _BATCH)

    def loss_and_accuracy(self, examples: Examples) -> tuple[float, float]:
        """The declared loss without penalties, and the accuracy (NaN for a regression)."""
        x, y = arrays(self.declaration, examples)
        outputs = self.outputs(x)
        right = np.asarray(_right(outputs, y)).mean() if self.data.classes else math.nan
        return float(keras.ops.mean(self.parts.loss(y, outputs))), float(right)


def untrained(declaration: Declaration, data: DataSet) -> TrainedModel:
    """A network with the weights of its seed."""
    batch = min(declaration.training.batch_size, len(data.train))
    random.seed(declaration.seed)  # as `Fit` does
    parts = build(declaration, math.ceil(len(data.train) / batch))
    return TrainedModel(declaration, data, parts, parts.network.get_weights())


def trained(
    declarations: Sequence[Declaration],
    data: DataSet,
    folder: Path,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    teacher: Path | None = None,
) -> list[TrainedModel]:
    """Networks trained together, each to its own end.

    Files that declared callbacks write go into `folder`; `teacher` is that of the declared
    teacher's `model.keras`. The history has Keras' names, but
    `validation_` for `val_`, and `seconds`: each one's share of the time since the first step,
    compiling not counted.
    """
    fits = [Fit(declaration, data, folder) for declaration in declarations]
    models = [
        TrainedModel(fit.declaration, data, fit.parts, fit.network.get_weights()) for fit in fits
    ]
    for fit, model in zip(fits, models, strict=True):
        fit.watchers = [_History(model.history, len(fits)), *callbacks]
    fit_together(fits, teacher)
    return models


class _History(keras.callbacks.Callback):
    """Appends the measures of each epoch to a history."""

    def __init__(self, history: dict[str, list[float]], sharing: int) -> None:
        super().__init__()
        self.history, self.sharing = history, sharing

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        seconds = (time.perf_counter() - self.began) / self.sharing
        for name, value in {**(logs or {}), "seconds": seconds}.items():
            self.history.setdefault(re.sub("^val_", "validation_", name), []).append(value)


def _right(outputs: Any, targets: Any) -> Any:
    """Which outputs name the right class, for indices, one-hot rows and one unit for two."""
    if outputs.shape[-1] == 1:
        return (outputs > 0.5) == (targets > 0.5)
    if targets.ndim == 2:
        targets = targets.argmax(axis=1)
    return outputs.argmax(axis=1) == targets
