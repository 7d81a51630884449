"""Several networks trained as one computation, on the JAX backend.

For declarations that differ in the seed or in numbers of the optimizer and of dropout and noise
only: their weights and optimizer states are stacked, and one compiled program does the steps of
all. On a GPU it does them at once (`vmap`), which fills it with work that a single small network
cannot give it. On a CPU it does them member by member: that saves the compiling of all programs but
one, and the weights at work stay in the cache; at once they took a fifth longer.

Each member keeps its own network, callbacks and order of examples. What it becomes is what it
becomes alone, but for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import jax
import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.training.fit.compatibility import check_compatible
from wardrobe.training.fit.fit import VALIDATION_BATCH, Fit, arrays, has_gpu
from wardrobe.training.fit.jax_backend import IndexBatches, compiler_options, loop
from wardrobe.training.fit.samplers import SequentialSampler, ShuffledSampler

Logs = list[dict[str, float]]  # the measures of each member


def fit_together(fits: Sequence[Fit]) -> None:
    """Trains all until their last epoch; a member that has stopped early keeps its weights.

    Their watchers are called as by Keras' `fit`, except for the batches within an epoch. A member
    whose loss becomes NaN continues with the others.

    Raises:
        ValueError: the declarations are not compatible.
    """
    check_compatible([fit.declaration for fit in fits])
    members = [_Member(fit) for fit in fits]
    stack = _Stack(members)
    training = _Pass(stack, "train")
    validation = _Pass(stack, "validation") if len(fits[0].data.validation) else None
    for member in members:
        member.callbacks.on_train_begin()
    for epoch in range(fits[0].declaration.training.epochs):
        if live := [member for member in members if not member.network.stop_training]:
            _one_epoch(live, training, validation, epoch)
    stack.hand_out(members)
    for member in members:
        member.network.optimizer.finalize_variable_values(member.network.trainable_variables)
        member.callbacks.on_train_end()


def _one_epoch(
    live: Sequence[_Member], training: _Pass, validation: _Pass | None, epoch: int
) -> None:
    """What Keras' `fit` does in an epoch, for the members that have not stopped."""
    for member in live:
        member.callbacks.on_epoch_begin(epoch)
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


class _Member:
    """One network with its callbacks and its order of examples."""

    def __init__(self, fit: Fit) -> None:
        self.network = fit.network
        self.network.stop_training = False
        self.fit = fit
        self.sampler = ShuffledSampler(len(fit.data.train), fit.declaration.seed)
        self.callbacks = keras.callbacks.CallbackList(
            [self.sampler, *fit.parts.callbacks, *fit.watchers],
            model=self.network,
            epochs=fit.declaration.training.epochs,
            steps=fit.steps,
        )

    def variables(self) -> tuple[list[Any], ...]:
        network, optimizer = self.network, self.network.optimizer
        return network.trainable_variables, network.non_trainable_variables, optimizer.variables

    def take(self, values: Any) -> None:
        for group, of_group in zip(self.variables(), values, strict=True):
            for variable, value in zip(group, of_group, strict=True):
                variable.assign(value)


class _Stack:
    """The variables of all members while they train, those of one place as one array.

    Declared callbacks look at the variables of their network, and may change them: where there are
    some, each network is given its values before they are called, and asked for them afterwards.
    """

    def __init__(self, members: Sequence[_Member]) -> None:
        self.members = members
        self.is_watched = any(member.fit.parts.callbacks for member in members)
        self.values: Any = None
        self._join = jax.jit(lambda *states: jax.tree.map(lambda *v: jax.numpy.stack(v), *states))

    def gathered(self) -> Any:
        """Trainable variables, the other ones of the networks, and those of the optimizers."""
        if self.values is None:
            states = [
                [[variable.value for variable in group] for group in member.variables()]
                for member in self.members
            ]
            self.values = self._join(*states)
        return self.values

    def hand_out(self, to: Sequence[_Member]) -> None:
        """Gives the networks of these members their values."""
        values = jax.tree.map(np.asarray, self.gathered())  # parts of it need no program
        for number, member in enumerate(self.members):
            if member in to:
                member.take(jax.tree.map(itemgetter(number), values))
        self.values = None


class _Pass:
    """Goes through the training or the validation examples, with all members at once."""

    def __init__(self, stack: _Stack, part: str) -> None:
        self.stack, self.members = stack, stack.members
        self.trains = part == "train"
        fits = [member.fit for member in self.members]
        self.count = len(getattr(fits[0].data, part))
        examples = arrays(fits[0].declaration, getattr(fits[0].data, part))
        # The first network is traced; callbacks ask the others, too, which metrics they have.
        for fit in fits if stack.is_watched else fits[:1]:
            fit.network._symbolic_build(data_batch=tuple(array[:1] for array in examples))
        fits[0].network.reset_metrics()
        self.examples = jax.device_put(examples)
        self.numbers = {
            place: np.array(values, np.float32) for place, values in _numbers(fits).items()
        }
        self.metrics = [
            np.stack([variable.numpy()] * len(fits))
            for variable in fits[0].network.metrics_variables
        ]
        self.programs = {batches.shape: self._compiled(batches) for batches, _ in self._calls()}

    def run(self, live: Sequence[_Member]) -> Logs:
        """The measures of the live members; the others' computation is thrown away."""
        state, metrics = self._state(), self.metrics
        for batches, count in self._calls():
            program = self.programs[batches.shape]
            logs, state, metrics = program(state, metrics, self.examples, batches, count)
        if self.trains:
            self.stack.values = state
        if self.stack.is_watched:
            self.stack.hand_out(live)
        measures = {name: np.asarray(values) for name, values in logs.items()}
        return [
            {name: float(values[number]) for name, values in measures.items()}
            for number, member in enumerate(self.members)
            if member in live
        ]

    def _state(self) -> Any:
        return self.stack.gathered() if self.trains else self.stack.gathered()[:2]

    def _calls(self) -> Iterator[tuple[NDArray[np.int32], np.int32]]:
        """For each call of a program int32 `[members, steps, batch]`, and how many steps count."""
        for calls in zip(*map(self._calls_of, self.members), strict=True):
            batches, counts, rests = zip(*calls, strict=True)
            yield np.stack(batches), np.int32(counts[0])
            if len(rests[0]):
                yield np.stack(rests)[:, None], np.int32(1)

    def _calls_of(self, member: _Member) -> Iterator[tuple[Any, ...]]:
        steps = member.network.steps_per_execution
        if self.trains:
            return IndexBatches(member.sampler, member.fit.batch_size, steps).get_jax_iterator()
        batch_size = min(self.count, VALIDATION_BATCH)
        return IndexBatches(SequentialSampler(self.count), batch_size, steps).get_jax_iterator()

    def _compiled(self, batches: NDArray[np.int32]) -> Any:
        given = self._state(), self.metrics, self.examples, batches, np.int32(1)
        donated = 0 if self.trains else ()
        options = compiler_options(self.members[0].fit.declaration)
        program = jax.jit(self._all, donate_argnums=donated, compiler_options=options)
        return program.lower(*given).compile()

    def _all(self, states: Any, metrics: Any, examples: Any, batches: Any, count: Any) -> Any:
        fit = self.members[0].fit
        network = fit.network
        steps = loop(network, network.train_step if self.trains else network.test_step)

        def one(of_member: Any) -> Any:
            state, metrics, chosen, numbers = of_member
            with _varied(fit, numbers):
                logs, (*state, metrics) = steps((*state, metrics), examples, chosen, count)
            return logs, state, metrics

        given = states, metrics, batches, self.numbers
        return jax.vmap(one)(given) if has_gpu() else jax.lax.map(one, given)


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
