"""Fits a declared network to a data set: what is trained, on which arrays, with which callbacks.

The epochs are in `loop`. Most of the time of Keras' own `fit` goes into calling a step of a small
network, not into computing it, so an epoch is one compiled program on either backend.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.models import Declaration
from wardrobe.models.build import build
from wardrobe.training.callbacks.checkpoint import Checkpoint
from wardrobe.training.callbacks.history import Divergence, HistoryFile
from wardrobe.training.callbacks.progress import ProgressBar
from wardrobe.training.callbacks.tensorboard import EventFiles, default_logs
from wardrobe.training.data import DataSet, Examples
from wardrobe.training.fit import augmentation, distillation
from wardrobe.training.fit.class_weights import example_weights
from wardrobe.training.fit.failure import as_training_error
from wardrobe.training.fit.keras_private import (
    average_at_last,
    learning_rate_schedule,
    postpone_averaging,
)
from wardrobe.training.fit.loop import Member, Program, finish, train
from wardrobe.training.fit.samplers import MixedSampler, Sampler, SequentialSampler, ShuffledSampler
from wardrobe.training.run import CHECKPOINT, END
from wardrobe.training.transfer import begin

# Compiling costs about two seconds, and each step then saves two milliseconds.
FEWEST_STEPS_TO_COMPILE = 1500

VALIDATION_BATCH = 1000

_DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


@dataclass(frozen=True)
class Fitted:
    """A trained network and how it came to be."""

    network: keras.Sequential
    epochs: int
    seconds: float
    diverged_in: int | None  # the epoch in which the loss became NaN, from 1


class Fit:
    """The training of a declaration on a data set: checked and built, not yet begun."""

    def __init__(
        self,
        declaration: Declaration,
        data: DataSet,
        folder: Path,
        callbacks: Sequence[keras.callbacks.Callback] = (),
        artifacts: Sequence[Path] = (),
    ) -> None:
        """Draws the initial weights, or takes those that are declared; writes nothing yet.

        Args:
            folder: where `run` writes.
            callbacks: follow the declared ones.
            artifacts: folders of artifacts, in which `model.from` may name one.

        Raises:
            DeclarationError: with all errors of the declaration.
        """
        self.declaration, self.data, self.folder = declaration, data, folder
        self.callbacks = callbacks
        self.weights = example_weights(declaration, data)
        self.batch_size = min(declaration.training.batch_size, len(data.train))
        self.steps = math.ceil(len(data.train) / self.batch_size)
        draw_from(declaration.seed)
        self.parts = build(declaration, self.steps, folder)
        self.network = self.parts.network
        self.transferred = begin(self.network, declaration, data.class_names, artifacts)
        self.network.compile(
            optimizer=self.parts.optimizer, loss=self.parts.loss, metrics=self.parts.metrics
        )
        # They come last: an epoch's files are complete when they see its end.
        self.watchers: list[keras.callbacks.Callback] = [
            ProgressBar(declaration.training.epochs, len(data.train))
        ]
        # Keras would build it in the first step; a checkpoint restores its variables earlier.
        self.network.optimizer.build(self.network.trainable_variables)

    def run(self, teacher: Path | None = None) -> Fitted:
        """Trains until the last epoch, early stopping or divergence.

        Resumes where an earlier process that trained into the same folder was interrupted.
        `teacher` is the run of the declared teacher.

        Raises:
            TrainingError: a step failed, or the machine is out of memory or of disk space.
        """
        sampler = self.sampler(self.copies)
        examples = self.training_arrays(self.copies, teacher)
        with self._failing_in_words():
            training = self.program(examples, [sampler])
            validation = self.validation()
        divergence = Divergence("val_loss" if validation else "loss")
        history = HistoryFile(self.folder / "history.csv")
        logs = default_logs(self.parts.callbacks, self.folder / "tensorboard")
        declared = [*self.parts.callbacks, *logs]
        with_state = [*declared, divergence, history, EventFiles(declared)]
        checkpoint = Checkpoint(self.folder / CHECKPOINT, with_state)
        callbacks = [*with_state, *self.callbacks, checkpoint, *self.watchers]
        member = self.member(sampler, callbacks)
        averaging = [one for one in declared if isinstance(one, keras.callbacks.SwapEMAWeights)]
        for callback in averaging:
            postpone_averaging(callback)
        epochs = self.declaration.training.epochs
        first = epochs if checkpoint.has_stopped else checkpoint.epochs_done
        with self._failing_in_words():
            train([member], training, validation, range(first, epochs))
            # Before averaged or best weights take the place of those that are trained further.
            checkpoint.save(self.folder / END)
            if checkpoint.epochs_done == epochs:
                for callback in averaging:
                    average_at_last(callback)
            finish([member])
        return Fitted(self.network, len(history.rows), checkpoint.seconds, divergence.epoch)

    @property
    def copies(self) -> int:
        """How many copies of each training example there are, of which an epoch uses one."""
        return self.declaration.augmentation.copies if self.declaration.augmentation else 1

    def what_depends_on_epochs(self, before: int) -> Iterator[str]:
        """What makes a training of so many epochs, continued, another than one at once."""
        epochs = self.declaration.training.epochs
        schedule = learning_rate_schedule(self.network.optimizer)
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            rates = [float(schedule(count * self.steps)) for count in (before, epochs)]
            yield (
                f"the learning_rate is as {type(schedule).__name__} gives it after {before} "
                f"epochs, from {rates[0]:.3g} to {rates[1]:.3g}; for one that spans all {epochs} "
                "epochs, drop --resume"
            )
        if not _on_jax() and self._is_worth_compiling() != self._is_worth_compiling(before):
            yield (
                "from here on, epochs are compiled, which rounds differently: the weights are not "
                f"to the bit those of {epochs} epochs at once"
            )

    @contextmanager
    def _failing_in_words(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            told = as_training_error(error, self.declaration, self.parts, self.callbacks)
            if told is None:
                raise
            raise told from error

    def sampler(self, copies: int = 1) -> ShuffledSampler:
        """The order in which the epochs go through the training examples."""
        seed, parts = self.declaration.seed, self.data.parts
        if not parts:
            return ShuffledSampler(len(self.data.train), seed, copies)
        sizes = [len(part.examples["train"]) for part in parts]
        return MixedSampler(sizes, [part.share for part in parts], seed, copies)

    def member(self, sampler: ShuffledSampler, callbacks: list[keras.callbacks.Callback]) -> Member:
        """The network as the epoch loop takes it."""
        epochs = self.declaration.training.epochs
        return Member(self.network, sampler, callbacks, epochs=epochs, steps=self.steps)

    def validation(self, others: Sequence[Fit] = ()) -> Program | None:
        """A compiled pass over the validation examples, if there are any."""
        held_out = self.data.validation
        if not len(held_out):
            return None
        samplers = [SequentialSampler(len(held_out))] * (1 + len(others))
        return self.program(arrays(self.declaration, held_out), samplers, others)

    def program(
        self,
        examples: tuple[NDArray[Any], ...],
        samplers: Sequence[Sampler],
        others: Sequence[Fit] = (),
    ) -> Program:
        """A compiled pass over the examples, which trains if they are shuffled.

        On JAX also of the networks of `others`, whose declarations must be compatible. `samplers`
        has one for each network.
        """
        trains = isinstance(samplers[0], ShuffledSampler)
        batch_size = self.batch_size if trains else min(samplers[0].count, VALIDATION_BATCH)
        how = {"trains": trains, "on_gpu": has_gpu()}
        if _on_jax():
            from wardrobe.training.fit import jax_backend

            networks = [fit.network for fit in (self, *others)]
            # Whether kernels of a GPU may sum in any order.
            options = {"xla_gpu_deterministic_ops": self.declaration.deterministic}
            return jax_backend.Program(
                networks, examples, samplers, batch_size, **how, options=options
            )
        from wardrobe.training.fit import tensorflow_backend

        is_compiled = self._is_worth_compiling() and (trains or has_gpu())
        if self.declaration.deterministic:
            _compute_deterministically()
        return tensorflow_backend.Program(
            self.network, examples, samplers[0], batch_size, **how, is_compiled=is_compiled
        )

    def training_arrays(
        self, copies: int = 1, teacher: Path | None = None
    ) -> tuple[NDArray[Any], ...]:
        """All copies of the training inputs, their targets and, if they differ, their weights.

        Weights, float32 `[N]`, count in the loss as `sample_weight` of Keras' `fit`.
        """
        x, targets = arrays(self.declaration, self.data.train)
        x = augmentation.copies(self.parts.augmentation, copies, x)
        targets = np.tile(targets, (copies, *[1] * (targets.ndim - 1)))
        if teacher and self.declaration.distillation:
            targets = distillation.targets(self.declaration.distillation, teacher, x, targets)
        if self.weights is None:
            return x, targets
        return x, targets, np.tile(self.weights, copies)

    def _is_worth_compiling(self, epochs: int | None = None) -> bool:
        layers = self.network.layers
        if not all(layer.supports_jit for layer in layers):
            return False
        if not has_gpu() and any(map(_draws_at_random, layers)):
            return False
        return self.steps * (epochs or self.declaration.training.epochs) >= FEWEST_STEPS_TO_COMPILE


def draw_from(seed: int) -> None:
    """Seeds the initial weights of layers and the seeds of those that draw at random."""
    if _on_jax():
        random.seed(seed)  # the same for Keras, without loading TensorFlow
    else:
        keras.utils.set_random_seed(seed)


def arrays(declaration: Declaration, examples: Examples) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs, and targets in the form that the declared loss takes."""
    head = declaration.model.head
    targets: NDArray[Any] = examples.y
    if head.is_binary and targets.ndim == 1:
        targets = targets.astype(np.float32)[:, None]
    elif not declaration.takes_class_indices and targets.ndim == 1:
        targets = np.eye(head.classes or 0, dtype=np.float32)[targets]
    return examples.x, targets


def _compute_deterministically() -> None:
    """Makes TensorFlow give bit-identical results for the same declaration and seed on a GPU.

    A CPU gives them anyway: work is divided by the number of threads, not by their speed. On a GPU
    some kernels sum in any order unless told not to. XLA reads its flags with the first program
    that TensorFlow compiles, other kernels theirs when the first of them runs; JAX is told with
    each program, see `jax_backend`.
    """
    flags = os.environ.get("XLA_FLAGS", "")
    if _DETERMINISTIC not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_DETERMINISTIC}".strip()
    if has_gpu():
        os.environ["TF_DETERMINISTIC_OPS"] = "1"


def _on_jax() -> bool:
    return bool(keras.backend.backend() == "jax")


def has_gpu() -> bool:
    """Whether Keras' backend computes on a GPU."""
    # list_devices("gpu") raises on JAX without a GPU; list_devices() lists the best kind.
    return any(device.startswith("gpu") for device in keras.distribution.list_devices())


def _draws_at_random(layer: keras.layers.Layer) -> bool:
    """Dropout, noise, augmentation: on a CPU, XLA redraws a random number for each of its uses.

    65,536 uniform numbers took 29 ms compiled and 0.8 ms not. JAX draws with operations of its own,
    which are not affected.
    """
    return getattr(layer, "seed_generator", None) is not None
