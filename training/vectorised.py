"""Several networks trained as one computation, on the JAX backend.

For declarations that differ in the seed or in numbers of the optimizer and of dropout and noise
only: their weights and optimizer states are stacked, and one compiled program does the steps of
all (`vmap`). That fills a GPU with work that a single small network cannot give it, and on a CPU
saves the compiling of all programs but one.

Each member keeps its own network, callbacks and order of examples. What it becomes is what it
becomes alone, but for rounding.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import jax
import keras
import numpy as np

from models import Declaration
from models.tree import Path
from training.fit import VALIDATION_BATCH, Fit, Fitted, arrays
from training.history import Divergence, HistoryFile
from training.jax_engine import Calls, loop
from training.order import InTurn, Order

_FREE = ("name", "about", "seed")  # may differ in any way


def fit_together(fits: Sequence[Fit]) -> list[Fitted]:
    """Trains all to their ends; a member that has stopped early keeps its weights.

    Raises:
        ValueError: the declarations differ in more than seeds and numbers.
    """
    refuse_strangers([fit.declaration for fit in fits])
    members = [_Member(fit) for fit in fits]
    training = _Together(members, "train")
    validation = _Together(members, "validation") if len(fits[0].data.validation) else None
    for member in members:
        member.callbacks.on_train_begin()
    for epoch in range(fits[0].declaration.training.epochs):
        if live := [member for member in members if not member.network.stop_training]:
            _one_epoch(live, training, validation, epoch)
    return [member.finish() for member in members]


def _one_epoch(
    live: Sequence[_Member], training: _Together, validation: _Together | None, epoch: int
) -> None:
    """What Keras' `fit` does in an epoch, for the members that have not stopped."""
    for member in live:
        member.callbacks.on_epoch_begin(epoch)
        member.callbacks.on_train_batch_begin(0)
    logs = training.run(live)
    for member, of_member in zip(live, logs, strict=True):
        member.callbacks.on_train_batch_end(member.fit.steps - 1, of_member)
        member.callbacks.on_test_begin()
    if validation:
        for of_member, measured in zip(logs, validation.run(live), strict=True):
            of_member |= {f"val_{name}": value for name, value in measured.items()}
    for member, of_member in zip(live, logs, strict=True):
        member.callbacks.on_test_end()
        member.callbacks.on_epoch_end(epoch, of_member)


def refuse_strangers(declarations: Sequence[Declaration]) -> None:
    """Raises ValueError, which says in what, where declarations differ too much."""
    first, *others = (dict(_leaves(declaration.tree.plain)) for declaration in declarations)
    for other in others:
        for path in sorted(first.keys() | other.keys(), key=str):
            values = first.get(path), other.get(path)
            if values[0] != values[1] and path[0] not in _FREE and not _may_vary(path, values):
                place = ".".join(map(str, path))
                raise ValueError(f"cannot train together: {place} is {values[0]} and {values[1]}")


def _may_vary(path: Path, values: tuple[Any, Any]) -> bool:
    """Numbers that Keras keeps as attributes; durations become whole steps, which it tests."""
    if not all(type(value) is float and value > 0 for value in values):
        return False
    name = str(path[-1])
    of_optimizer = path[0] == "optimizer" and type(path[-1]) is str
    return name in ("rate", "stddev") or (of_optimizer and not name.endswith("epochs"))


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    if isinstance(value, (dict, list)):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _leaves(child, (*path, key))
    else:
        yield path, value


class _Member:
    """One network with its callbacks, its order of examples and its state."""

    def __init__(self, fit: Fit) -> None:
        self.network = fit.network
        self.network.stop_training = False
        self.fit = fit
        self.order = Order(len(fit.data.train), fit.declaration.seed)
        self.divergence = Divergence("val_loss" if len(fit.data.validation) else "loss")
        self.history = HistoryFile(fit.folder / "history.csv")
        self.callbacks = keras.callbacks.CallbackList(
            [self.order, *fit.parts.callbacks, self.divergence, self.history],
            model=self.network,
            epochs=fit.declaration.training.epochs,
            steps=fit.steps,
        )
        self.began = time.perf_counter()

    def variables(self, part: str) -> tuple[list[Any], ...]:
        """The state of a training step or, without the optimizer, of a validation step."""
        network = self.network
        parts = [network.trainable_variables, network.non_trainable_variables]
        if part == "train":
            parts.append(network.optimizer.variables)
        return (*parts, network.metrics_variables)

    def state(self, part: str) -> Any:
        self.network.reset_metrics()
        return [[variable.value for variable in group] for group in self.variables(part)]

    def take(self, state: Any, part: str) -> None:
        for group, values in zip(self.variables(part), state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)

    def finish(self) -> Fitted:
        seconds = time.perf_counter() - self.began
        self.network.optimizer.finalize_variable_values(self.network.trainable_variables)
        self.callbacks.on_train_end()
        return Fitted(self.network, len(self.history.rows), seconds, self.divergence.epoch)


class _Together:
    """One pass over the training or validation examples, of all members at once."""

    def __init__(self, members: Sequence[_Member], part: str) -> None:
        first = members[0].fit
        self.members, self.part = members, part
        examples = arrays(first.declaration, getattr(first.data, part))
        for member in members:
            member.network._symbolic_build(data_batch=tuple(array[:1] for array in examples))
        self.examples = jax.device_put(examples)
        self.numbers = {
            place: np.array(values, np.float32)
            for place, values in _numbers([member.fit for member in members]).items()
        }
        self.compiled = jax.jit(self._all, donate_argnums=0)
        self.stack = jax.jit(lambda *states: jax.tree.map(lambda *v: jax.numpy.stack(v), *states))
        self.unstack = jax.jit(
            lambda states: [jax.tree.map(itemgetter(n), states) for n in range(len(members))]
        )

    def run(self, live: Sequence[_Member]) -> list[dict[str, float]]:
        """The measures of the live members; the others' computation is thrown away."""
        state = self.stack(*(member.state(self.part) for member in self.members))
        for calls in zip(*map(self._calls, self.members), strict=True):
            batches, counts, rests = zip(*calls, strict=True)
            logs, state = self.compiled(state, self.examples, np.stack(batches), counts[0])
            if len(rests[0]):
                rest = np.stack(rests)[:, None]
                logs, state = self.compiled(state, self.examples, rest, 1)
        for member, values in zip(self.members, self.unstack(state), strict=True):
            if member in live:
                member.take(values, self.part)
        measures = {name: np.asarray(values) for name, values in logs.items()}
        return [
            {name: float(values[number]) for name, values in measures.items()}
            for number, member in enumerate(self.members)
            if member in live
        ]

    def _calls(self, member: _Member) -> Iterator[tuple[Any, ...]]:
        steps = member.network.steps_per_execution
        if self.part == "train":
            return Calls(member.fit.batch_size, steps, member.order).get_jax_iterator()
        count = len(member.fit.data.validation)
        return Calls(min(count, VALIDATION_BATCH), steps, InTurn(count)).get_jax_iterator()

    def _all(self, states: Any, examples: Any, batches: Any, count: Any) -> Any:
        fit = self.members[0].fit
        network = fit.network
        steps = loop(network, network.train_step if self.part == "train" else network.test_step)

        def one(of_member: Any) -> Any:
            state, chosen, numbers = of_member
            with _varied(fit, numbers):
                return steps(tuple(state), examples, chosen, count)

        return jax.vmap(one)((states, batches, self.numbers))


def _numbers(fits: Sequence[Fit]) -> dict[str, list[float]]:
    """The numbers that differ: the place of each, and its value for each member."""
    found = {}
    for place, owner in _owners(fits[0]).items():
        for name, value in vars(owner).items():
            if type(value) is not float or name.startswith("_"):
                continue
            values = [getattr(_owners(fit)[place], name) for fit in fits]
            if len(set(values)) > 1:
                found[f"{place}.{name}"] = values
    return found


def _owners(fit: Fit) -> dict[str, Any]:
    """The objects of a network whose numbers may differ, each with its place."""
    optimizer = getattr(fit.network.optimizer, "inner_optimizer", fit.network.optimizer)
    layers = {f"layer {number}": layer for number, layer in enumerate(fit.network.layers)}
    return {**layers, "optimizer": optimizer, "schedule": optimizer._learning_rate}


@contextmanager
def _varied(fit: Fit, numbers: dict[str, Any]) -> Iterator[None]:
    """The numbers of one member in the place of the network's own while it is traced."""
    owners = _owners(fit)
    places = {place: place.rpartition(".") for place in numbers}
    before = {place: getattr(owners[owner], name) for place, (owner, _, name) in places.items()}
    for place, (owner, _, name) in places.items():
        value = numbers[place]
        setattr(owners[owner], name, _Rate(value) if name == "rate" else value)
    try:
        yield
    finally:
        for place, (owner, _, name) in places.items():
            setattr(owners[owner], name, before[place])


class _Rate:
    """A rate of dropout that is above 0 and below 1, but not known while it is traced."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __gt__(self, other: float) -> bool:
        assert other == 0
        return True

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)

    def __rsub__(self, other: float) -> Any:
        return other - self.value
