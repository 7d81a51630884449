"""Fits a declared network to a data set.

Keras' own `fit`, with two settings that matter for small networks: most of the time of a stock
`fit` goes into calling a step, not into computing it, so many steps run in one call
(`steps_per_execution`), and a step is compiled to one program (XLA). On the JAX backend the call
itself is one program, see `jax_engine`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.models import Declaration
from wardrobe.models.build import build
from wardrobe.training.callbacks.checkpoint import Checkpoint
from wardrobe.training.callbacks.event_files import EventFiles
from wardrobe.training.callbacks.history import Divergence, HistoryFile
from wardrobe.training.callbacks.progress import ProgressBar
from wardrobe.training.data import DataSet, Examples
from wardrobe.training.errors import TrainingError, in_words
from wardrobe.training.fit import augmentation, determinism, distillation
from wardrobe.training.fit.samplers import Order
from wardrobe.training.run import CHECKPOINT

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

    def __init__(
        self,
        declaration: Declaration,
        data: DataSet,
        folder: Path,
        callbacks: Sequence[keras.callbacks.Callback] = (),
    ) -> None:
        """Draws the weights; files will go into `folder`. `callbacks` follow the declared ones.

        Raises:
            DeclarationError: with everything that is wrong with the declaration.
        """
        if declaration.deterministic:
            determinism.of_compiled_programs()
        self.declaration, self.data, self.folder = declaration, data, folder
        self.callbacks = callbacks
        self.batch_size = min(declaration.training.batch_size, len(data.train))
        self.steps = math.ceil(len(data.train) / self.batch_size)
        draw_from(declaration.seed)
        self.parts = build(declaration, self.steps, folder)
        self.network = self.parts.network
        compiled = "auto" if _on_jax() else self._is_worth_compiling()
        if declaration.deterministic and not compiled and has_gpu():
            determinism.of_single_kernels()
        self.network.compile(
            optimizer=self.parts.optimizer,
            loss=self.parts.loss,
            metrics=self.parts.metrics,
            steps_per_execution=min(self.steps, STEPS_PER_EXECUTION),
            jit_compile=compiled,
        )
        # They see an epoch end when all has been done that belongs to it.
        self.watchers: list[keras.callbacks.Callback] = [
            ProgressBar(declaration.training.epochs, len(data.train))
        ]
        # Keras would do so in the first step; a checkpoint brings its variables back before.
        self.network.optimizer.build(self.network.trainable_variables)

    def run(self, teacher: Path | None = None) -> Fitted:
        """Trains to the end of the declaration, of early stopping, or of finite losses.

        Goes on where an earlier process that trained into the same folder was interrupted.
        `teacher` is the run of the network that the declaration names as its teacher.

        Raises:
            TrainingError: the machine has no memory or no disk left for it.
        """
        copies = self.declaration.augmentation.copies if self.declaration.augmentation else 1
        order = Order(len(self.data.train), self.declaration.seed, copies)
        training, validation = self._feed(order, teacher)
        epochs = self.declaration.training.epochs
        divergence = Divergence("val_loss" if validation else "loss")
        history = HistoryFile(self.folder / "history.csv")
        declared = [*self.parts.callbacks, *self._tensorboard()]
        memory = [*declared, divergence, history, EventFiles(declared)]
        checkpoint = Checkpoint(self.folder / CHECKPOINT, memory)
        try:
            self.network.fit(
                training,
                initial_epoch=epochs if checkpoint.has_stopped else checkpoint.epochs_done,
                epochs=epochs,
                shuffle=False,
                validation_data=validation,
                validation_batch_size=VALIDATION_BATCH,
                callbacks=[order, *memory, *self.callbacks, checkpoint, *self.watchers],
                verbose=0,
            )
        except Exception as error:
            if type(error).__module__.startswith("tensorflow"):  # no memory, a full disk
                raise TrainingError(f"training stopped: {in_words(error)}") from error
            raise
        return Fitted(self.network, len(history.rows), checkpoint.seconds, divergence.epoch)

    def _feed(self, order: Order, teacher: Path | None) -> tuple[Any, Any]:
        """Training examples in that order, and validation examples or None, as `fit` takes them."""
        training = self._lessons(order.copies, teacher)
        held_out = self.data.validation
        validation = arrays(self.declaration, held_out) if len(held_out) else None
        if _on_jax():
            from wardrobe.training.fit import jax_backend as jax_engine

            batch_sizes = (self.batch_size, VALIDATION_BATCH)
            return jax_engine.feed(self.network, training, validation, batch_sizes, order)
        from wardrobe.training.fit import tensorflow_backend as tensorflow_feed

        return tensorflow_feed.Feed(training, order, self.batch_size), validation

    def _lessons(self, copies: int, teacher: Path | None) -> tuple[NDArray[Any], NDArray[Any]]:
        """All copies of the training inputs, and what is to be learnt of each."""
        x, targets = arrays(self.declaration, self.data.train)
        x = augmentation.copies(self.parts.augmentation, copies, x)
        targets = np.tile(targets, (copies, *[1] * (targets.ndim - 1)))
        if teacher and self.declaration.distillation:
            targets = distillation.targets(self.declaration.distillation, teacher, x, targets)
        return x, targets

    def _tensorboard(self) -> list[keras.callbacks.Callback]:
        """Logs for TensorBoard, unless the declaration has its own."""
        kind = keras.callbacks.TensorBoard
        if any(isinstance(callback, kind) for callback in self.parts.callbacks):
            return []
        return [kind(str(self.folder / "tensorboard"), write_graph=False)]

    def _is_worth_compiling(self) -> bool:
        layers = self.network.layers
        if not all(layer.supports_jit for layer in layers):
            return False
        if not has_gpu() and any(map(_draws_at_random, layers)):
            return False
        return self.steps * self.declaration.training.epochs >= FEWEST_STEPS_TO_COMPILE


def draw_from(seed: int) -> None:
    """Seeds what layers draw their weights and their own seeds from."""
    if _on_jax():
        random.seed(seed)  # as below, which would load TensorFlow: seconds in every process
    else:
        keras.utils.set_random_seed(seed)


def arrays(declaration: Declaration, examples: Examples) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs, and targets in the form that the declaration's loss takes."""
    head = declaration.model.head
    targets: NDArray[Any] = examples.y
    if head.is_binary and targets.ndim == 1:
        targets = targets.astype(np.float32)[:, None]
    elif not declaration.takes_class_indices:
        targets = np.eye(head.classes or 0, dtype=np.float32)[targets]
    return examples.x, targets


def _on_jax() -> bool:
    return bool(keras.backend.backend() == "jax")


def has_gpu() -> bool:
    """Whether Keras' backend computes on a GPU."""
    # Asked for "gpu", JAX raises where there is none; asked for all, both name the best they have.
    return any(device.startswith("gpu") for device in keras.distribution.list_devices())


def _draws_at_random(layer: keras.layers.Layer) -> bool:
    """Dropout, noise, augmentation: on a CPU, XLA draws anew for each use of a random number.

    A step of 1,024 units with dropout at batch 256 took 8 times as long compiled as not. JAX draws
    them with operations of its own, and does not suffer from it.
    """
    return getattr(layer, "seed_generator", None) is not None
