"""The epoch loop, for both backends and for one network or several trained together.

It calls callbacks as Keras' `fit` does. Between two calls of a callback's batch methods lies one
call of a compiled program, which makes many steps: a whole epoch, or what takes about a second, so
that a progress bar moves and Ctrl-C is heard. A declared callback that implements a batch method
is called for every batch; its training makes a call per step and is slower for it.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Protocol, TypeAlias

import keras

from wardrobe.training.callbacks.history import Divergence
from wardrobe.training.callbacks.progress import ProgressBar
from wardrobe.training.fit import keras_private

Logs = dict[str, float]

Member: TypeAlias = keras.callbacks.CallbackList
"""One network, its `model`, with its callbacks."""

SECONDS_PER_CALL = 1.0

# Where the number of steps is compiled into a program, all calls make the same number.
STATIC_STEPS_PER_CALL = 500

# Their batch methods need not see every batch.
_CONTENT_WITH_CALLS = (Divergence, ProgressBar, keras.callbacks.TerminateOnNaN)


class Program(Protocol):
    """A compiled pass over the training or the validation examples; all that a backend provides."""

    steps: int
    """Batches of an epoch, with a partial one at the end if examples are left."""

    is_static: bool
    """Whether each number of steps is a program of its own."""

    def run(self, live: Sequence[Member], first: int, last: int) -> list[Logs]:
        """Makes the steps from `first` up to `last`; the measures since step 0 of each member."""
        ...


def train(
    members: Sequence[Member],
    training: Program,
    validation: Program | None,
    epochs: range,
) -> None:
    """Trains until the last epoch or until callbacks have stopped all members.

    A member that stopped earlier is no longer called; what becomes of its network is up to the
    program.
    """
    for member in members:
        member.model.stop_training = False
        member.on_train_begin()
    lengths = CallLength(training, members), CallLength(validation or training, members)
    for epoch in epochs:
        if not (live := [member for member in members if not member.model.stop_training]):
            break
        for member in live:
            member.on_epoch_begin(epoch)
        logs = _one_pass(live, training, lengths[0], "train")
        if validation:
            for member in live:
                member.on_test_begin()
            measured = _one_pass(live, validation, lengths[1], "test")
            for member, of_training, of_validation in zip(live, logs, measured, strict=True):
                member.on_test_end(of_validation)
                of_training |= {f"val_{name}": value for name, value in of_validation.items()}
        for member, of_member in zip(live, logs, strict=True):
            member.on_epoch_end(epoch, of_member)


def finish(members: Sequence[Member]) -> None:
    """Replaces the last weights by their averages, if declared, as Keras does after training."""
    for member in members:
        member.model.optimizer.finalize_variable_values(member.model.trainable_variables)
        member.on_train_end()


def _one_pass(
    live: Sequence[Member], program: Program, length: CallLength, kind: str
) -> list[Logs]:
    """All steps of an epoch, or those until all members stop."""
    first = 0
    while True:
        last = min(first + length.steps, program.steps)
        for member in live:
            getattr(member, f"on_{kind}_batch_begin")(first)
        began = time.perf_counter()
        logs = program.run(live, first, last)
        length.learn(last - first, time.perf_counter() - began)
        for member, of_member in zip(live, logs, strict=True):
            getattr(member, f"on_{kind}_batch_end")(last - 1, of_member)
        first = last
        if first == program.steps or all(member.model.stop_training for member in live):
            return logs


class CallLength:
    """How many steps the next call makes: about a second's worth, judging by earlier calls.

    If the number is not part of the program, the result does not depend on it.
    """

    def __init__(self, program: Program, members: Sequence[Member]) -> None:
        wants_batches = any(
            _wants_batches(callback) for member in members for callback in member.callbacks
        )
        self.is_fixed = wants_batches or program.is_static
        self.steps = STATIC_STEPS_PER_CALL if program.is_static and not wants_batches else 1
        self.has_compiled = False

    def learn(self, steps: int, seconds: float) -> None:
        """Ignores the first call, which compiles, and the last of an epoch, often a short one."""
        if not self.is_fixed and steps == self.steps:
            fitting = int(steps * SECONDS_PER_CALL / seconds) if self.has_compiled else 10
            self.steps = max(1, min(fitting, 10 * steps))
        self.has_compiled = True


def _wants_batches(callback: keras.callbacks.Callback) -> bool:
    """Whether a callback has to be called for every batch."""
    kind = type(callback)
    if kind in _CONTENT_WITH_CALLS:
        return False
    if kind in (keras.callbacks.ModelCheckpoint, keras.callbacks.BackupAndRestore):
        return bool(callback.save_freq != "epoch")
    if kind is keras.callbacks.TensorBoard:
        return bool(callback.update_freq != "epoch" or keras_private.profiles_batches(callback))
    base = keras.callbacks.Callback
    methods = [name for name in vars(base) if "batch" in name]
    return any(getattr(kind, name) is not getattr(base, name) for name in methods)
