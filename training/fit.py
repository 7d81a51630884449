"""Fits a declared network to a data set.

Keras' own `fit`, with two settings that matter for small networks: most of the time of a stock
`fit` goes into calling a step, not into computing it, so many steps run in one call
(`steps_per_execution`), and a step is compiled to one program (XLA).
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from models import Declaration
from models.assembly import assemble
from models.objective import takes_class_indices
from training import determinism
from training.data import DataSet, Examples
from training.history import Divergence, HistoryFile
from training.progress import ProgressBar

# More steps in one call gain nothing, and the progress bar would stand still.
STEPS_PER_EXECUTION = 100

# Compiling costs about two seconds, and each step then saves two milliseconds.
FEWEST_STEPS_TO_COMPILE = 1500

VALIDATION_BATCH = 1000


@dataclass(frozen=True)
class Fitted:
    """A trained network and how it came to be."""

    network: keras.Sequential
    epochs: int
    seconds: float
    diverged_in: int | None  # the epoch in which the loss became NaN, from 1


class Fit:
    """A declaration made ready for a data set: checked and built, not yet trained."""

    def __init__(self, declaration: Declaration, data: DataSet, folder: Path) -> None:
        """Draws the weights; files will go into `folder`.

        Raises:
            DeclarationError: with everything that is wrong with the declaration.
        """
        self.declaration, self.data, self.folder = declaration, data, folder
        self.batch_size = min(declaration.training.batch_size, len(data.train))
        self.steps = math.ceil(len(data.train) / self.batch_size)
        keras.utils.set_random_seed(declaration.seed)
        self.parts = assemble(declaration, self.steps, folder)
        self.network = self.parts.network
        compiled = self._is_worth_compiling()
        if declaration.deterministic and not compiled and _has_gpu():
            determinism.of_single_kernels()
        self.network.compile(
            optimizer=self.parts.optimizer,
            loss=self.parts.loss,
            metrics=self.parts.metrics,
            steps_per_execution=min(self.steps, STEPS_PER_EXECUTION),
            jit_compile=compiled,
        )

    def run(self) -> Fitted:
        """Trains to the end of the declaration, of early stopping, or of finite losses."""
        validation = self.data.validation if len(self.data.validation) else None
        divergence = Divergence("val_loss" if validation else "loss")
        began = time.perf_counter()
        history = self.network.fit(
            *arrays(self.declaration, self.data.train),
            batch_size=self.batch_size,
            epochs=self.declaration.training.epochs,
            validation_data=arrays(self.declaration, validation) if validation else None,
            validation_batch_size=VALIDATION_BATCH,
            callbacks=[*self.parts.callbacks, *self._own_callbacks(divergence)],
            verbose=0,
        )
        seconds = time.perf_counter() - began
        return Fitted(self.network, len(history.epoch), seconds, divergence.epoch)

    def _own_callbacks(self, divergence: Divergence) -> list[keras.callbacks.Callback]:
        """After the declared ones, so that they see the weights that those leave."""
        own = [
            divergence,
            HistoryFile(self.folder / "history.csv"),
            ProgressBar(self.declaration.training.epochs, len(self.data.train)),
        ]
        declares_its_own = any(
            isinstance(callback, keras.callbacks.TensorBoard) for callback in self.parts.callbacks
        )
        if not declares_its_own:
            logs = str(self.folder / "tensorboard")
            own.append(keras.callbacks.TensorBoard(logs, write_graph=False))
        return own

    def _is_worth_compiling(self) -> bool:
        layers = self.network.layers
        if not all(layer.supports_jit for layer in layers):
            return False
        if not _has_gpu() and any(map(_draws_at_random, layers)):
            return False
        return self.steps * self.declaration.training.epochs >= FEWEST_STEPS_TO_COMPILE


def arrays(declaration: Declaration, examples: Examples) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs, and targets in the form that the declaration's loss takes."""
    head = declaration.model.head
    targets: NDArray[Any] = examples.y
    if head.is_one_unit_for_two and targets.ndim == 1:
        targets = targets.astype(np.float32)[:, None]
    elif not takes_class_indices(declaration):
        targets = np.eye(head.classes or 0, dtype=np.float32)[targets]
    return examples.x, targets


def _has_gpu() -> bool:
    return bool(keras.distribution.list_devices("gpu"))


def _draws_at_random(layer: keras.layers.Layer) -> bool:
    """Dropout, noise, augmentation: on a CPU, XLA draws anew for each use of a random number.

    A step of 1,024 units with dropout at batch 256 took 8 times as long compiled as not.
    """
    return getattr(layer, "seed_generator", None) is not None
