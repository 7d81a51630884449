"""Fits a declared network to a data set: what is trained, on which arrays, with which callbacks.

The epochs are in `loop`. Most of the time of Keras' own `fit` goes into calling a step of a small
network, not into computing it, so an epoch is one compiled program on either backend.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from importlib import import_module
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
from wardrobe.training.fit import augmentation, distillation, keras_private
from wardrobe.training.fit.class_weights import example_weights
from wardrobe.training.fit.compatibility import check_compatible
from wardrobe.training.fit.failure import as_training_error
from wardrobe.training.fit.loop import Member, Program, finish, train
from wardrobe.training.fit.samplers import MixedSampler, Sampler, ShuffledSampler
from wardrobe.training.run import CHECKPOINT, END
from wardrobe.training.transfer import begin

VALIDATION_BATCH = 1000


@dataclass(frozen=True)
class Fitted:
    """A trained network and how it came to be."""

    network: keras.Sequential
    epochs: int
    seconds: float
    diverged_in: int | None  # the epoch in which the loss became NaN, from 1


class Fit:
    """The training of a declaration on a data set: checked and built, not yet started."""

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
        self.sampler = _sampler(declaration, data)
        random.seed(declaration.seed)  # from which Keras draws the seeds of weights and layers
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
        examples = self.training_arrays(teacher)
        with self._failing_in_words():
            programs = self.programs(examples)
        divergence = Divergence("val_loss" if len(self.data.validation) else "loss")
        history = HistoryFile(self.folder / "history.csv")
        logs = default_logs(self.parts.callbacks, self.folder / "tensorboard")
        declared = [*self.parts.callbacks, *logs]
        with_state = [*declared, divergence, history, EventFiles(declared)]
        checkpoint = Checkpoint(self.folder / CHECKPOINT, with_state)
        callbacks = [*with_state, *self.callbacks, checkpoint, *self.watchers]
        member = self.member(callbacks)
        averaging = [one for one in declared if isinstance(one, keras.callbacks.SwapEMAWeights)]
        for callback in averaging:
            keras_private.postpone_averaging(callback)
        epochs = self.declaration.training.epochs
        first = epochs if checkpoint.has_stopped else checkpoint.epochs_done
        with self._failing_in_words():
            train([member], *programs, range(first, epochs))
            # Before averaged or best weights take the place of those that are trained further.
            checkpoint.save(self.folder / END)
            if checkpoint.epochs_done == epochs:
                for callback in averaging:
                    keras_private.average_at_last(callback)
            finish([member])
        return Fitted(self.network, len(history.rows), checkpoint.seconds, divergence.epoch)

    def what_depends_on_epochs(self, before: int) -> Iterator[str]:
        """Why continuing after `before` epochs differs from training all epochs at once."""
        epochs = self.declaration.training.epochs
        schedule = keras_private.learning_rate_schedule(self.network.optimizer)
        if isinstance(schedule, keras.optimizers.schedules.LearningRateSchedule):
            rates = [float(schedule(count * self.steps)) for count in (before, epochs)]
            yield (
                f"the learning_rate continues as in {type(schedule).__name__} after {before} "
                f"epochs, from {rates[0]:.3g} to {rates[1]:.3g}; for a schedule over all {epochs} "
                "epochs, drop --resume"
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

    def member(self, callbacks: list[keras.callbacks.Callback]) -> Member:
        """The network as the epoch loop takes it."""
        lasting = {"epochs": self.declaration.training.epochs, "steps": self.steps}
        return Member([self.sampler, *callbacks], add_history=True, model=self.network, **lasting)

    def programs(
        self, examples: tuple[NDArray[Any], ...], others: Sequence[Fit] = ()
    ) -> tuple[Program, Program | None]:
        """Compiled passes over training examples and, if there are any, the validation examples.

        On JAX also of the networks of `others`, whose declarations must be compatible.
        """
        fits, held_out = (self, *others), self.data.validation
        backend = import_module(f"wardrobe.training.fit.{keras.backend.backend()}_backend")
        program = partial(
            backend.Program,
            [fit.network for fit in fits],
            on_gpu=has_gpu(),
            deterministic=self.declaration.deterministic,
        )
        samplers = [fit.sampler for fit in fits]
        training = program(examples, samplers, self.batch_size, trains=True)
        if not len(held_out):
            return training, None
        samplers = [Sampler(len(held_out))] * len(fits)
        batch_size = min(len(held_out), VALIDATION_BATCH)
        validated = arrays(self.declaration, held_out)
        return training, program(validated, samplers, batch_size, trains=False)

    def training_arrays(self, teacher: Path | None = None) -> tuple[NDArray[Any], ...]:
        """All copies of the training inputs, their targets and, if they differ, their weights.

        Weights, float32 `[N]`, count in the loss as `sample_weight` of Keras' `fit`.
        """
        x, targets = arrays(self.declaration, self.data.train)
        x = augmentation.copies(self.parts.augmentation, self.sampler.copies, x)
        targets = np.tile(targets, (self.sampler.copies, *[1] * (targets.ndim - 1)))
        if teacher and self.declaration.distillation:
            targets = distillation.targets(self.declaration.distillation, teacher, x, targets)
        if self.weights is None:
            return x, targets
        return x, targets, np.tile(self.weights, self.sampler.copies)


def fit_together(fits: Sequence[Fit], teacher: Path | None = None) -> None:
    """Trains several networks as one program, on the JAX backend, until the last epoch.

    Each has its own callbacks, its watchers among them, and its own order of examples; augmented
    copies and a teacher's outputs do not depend on the seed, so that all share them. The results of
    a member are those of a training of its own, except for rounding. One that has stopped early
    keeps its weights; one whose loss becomes NaN continues with the others.

    teacher: the folder of the declared teacher's run.

    Raises:
        ValueError: the declarations are not compatible.
    """
    check_compatible([fit.declaration for fit in fits])
    first, *others = fits
    members = [fit.member([*fit.parts.callbacks, *fit.watchers]) for fit in fits]
    programs = first.programs(first.training_arrays(teacher), others)
    train(members, *programs, range(first.declaration.training.epochs))
    finish(members)


def arrays(declaration: Declaration, examples: Examples) -> tuple[NDArray[Any], NDArray[Any]]:
    """Inputs, and targets in the form that the declared loss takes."""
    head = declaration.model.head
    targets: NDArray[Any] = examples.y
    if head.is_binary and targets.ndim == 1:
        targets = targets.astype(np.float32)[:, None]
    elif not declaration.takes_class_indices and targets.ndim == 1:
        targets = np.eye(head.classes or 0, dtype=np.float32)[targets]
    return examples.x, targets


def _sampler(declaration: Declaration, data: DataSet) -> ShuffledSampler:
    """The order in which the epochs go through the training examples."""
    copies = declaration.augmentation.copies if declaration.augmentation else 1
    if not data.parts:
        return ShuffledSampler(len(data.train), declaration.seed, copies)
    sizes = [len(part.examples["train"]) for part in data.parts]
    return MixedSampler(sizes, [part.share for part in data.parts], declaration.seed, copies)


def has_gpu() -> bool:
    """Whether Keras' backend computes on a GPU."""
    # list_devices("gpu") raises on JAX without a GPU; list_devices() lists the best kind.
    return any(device.startswith("gpu") for device in keras.distribution.list_devices())
