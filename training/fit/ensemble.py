"""Several networks trained as one program, on the JAX backend.

For compatible declarations, which differ in the seed or in numbers of the optimizer, of dropout
and of noise only: their weights and optimizer states are stacked, and one compiled program makes
the steps of all. On a GPU it makes them at once (`vmap`), which fills it with work that a single
small network cannot give it. On a CPU it makes them member by member: that saves compiling all
programs but one, and the weights in use stay in the cache; at once they took a fifth longer.

Each member keeps its own network, callbacks and order of examples. Its results are those of a
training of its own, except for rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from operator import itemgetter
from typing import Any

import jax
import numpy as np

from wardrobe.training.fit.compatibility import check_compatible
from wardrobe.training.fit.fit import VALIDATION_BATCH, Fit, arrays, has_gpu
from wardrobe.training.fit.jax_backend import calls, compiler_options, loop
from wardrobe.training.fit.keras_private import TracedRate, build_metrics, learning_rate_schedule
from wardrobe.training.fit.loop import STATIC_STEPS_PER_CALL, Logs, Member, finish, train
from wardrobe.training.fit.samplers import SequentialSampler


def fit_together(fits: Sequence[Fit]) -> None:
    """Trains all until their last epoch; a member that has stopped early keeps its weights.

    Their watchers are called as by Keras' `fit`. A member whose loss becomes NaN continues with
    the others.

    Raises:
        ValueError: the declarations are not compatible.
    """
    check_compatible([fit.declaration for fit in fits])
    members = [
        fit.member(
            fit.sampler(),
            [*fit.parts.callbacks, *fit.watchers],
        )
        for fit in fits
    ]
    stack = _Stack(members, is_watched=any(fit.parts.callbacks for fit in fits))
    training = _Program(fits, stack, "train")
    validation = _Program(fits, stack, "validation") if len(fits[0].data.validation) else None
    train(members, training, validation, range(fits[0].declaration.training.epochs))
    stack.hand_out(members)
    finish(members)


class _Stack:
    """The variables of all members while they train, those of one place as one array.

    Declared callbacks look at the variables of their network, and may change them: where there are
    some, each network is given its values before they are called, and asked for them afterwards.
    """

    def __init__(self, members: Sequence[Member], is_watched: bool) -> None:
        self.members, self.is_watched = members, is_watched
        self.values: Any = None
        self._join = jax.jit(lambda *states: jax.tree.map(lambda *v: jax.numpy.stack(v), *states))

    def gathered(self) -> Any:
        """Trainable variables, the other ones of the networks, and those of the optimizers."""
        if self.values is None:
            states = [
                [[variable.value for variable in group] for group in _variables(member)]
                for member in self.members
            ]
            self.values = self._join(*states)
        return self.values

    def hand_out(self, to: Sequence[Member]) -> None:
        """Gives the networks of these members their values."""
        values = jax.tree.map(np.asarray, self.gathered())  # parts of it need no program
        for number, member in enumerate(self.members):
            if member in to:
                state = jax.tree.map(itemgetter(number), values)
                for group, of_group in zip(_variables(member), state, strict=True):
                    for variable, value in zip(group, of_group, strict=True):
                        variable.assign(value)
        self.values = None


def _variables(member: Member) -> tuple[list[Any], ...]:
    network, optimizer = member.network, member.network.optimizer
    return network.trainable_variables, network.non_trainable_variables, optimizer.variables


class _Program:
    """A pass of all members over the training or the validation examples, see `loop.Program`."""

    def __init__(self, fits: Sequence[Fit], stack: _Stack, part: str) -> None:
        self.fits, self.stack = fits, stack
        self.trains = part == "train"
        self.is_static = has_gpu()
        data = getattr(fits[0].data, part)
        self.batch_size = fits[0].batch_size if self.trains else min(len(data), VALIDATION_BATCH)
        self.steps = -(-len(data) // self.batch_size)
        self.in_turn = SequentialSampler(len(data))
        examples: tuple[Any, ...] = (
            fits[0].training_arrays() if self.trains else arrays(fits[0].declaration, data)
        )
        # The first network is traced; callbacks ask the others, too, which metrics they have.
        for fit in fits if stack.is_watched else fits[:1]:
            build_metrics(fit.network, examples)
        fits[0].network.reset_metrics()
        self.examples = jax.device_put(examples)
        self.numbers = {
            place: np.array(values, np.float32) for place, values in _numbers(fits).items()
        }
        self.fresh_metrics = [
            np.stack([variable.numpy()] * len(fits))
            for variable in fits[0].network.metrics_variables
        ]
        self.metrics: Any = self.fresh_metrics
        self.program = jax.jit(
            self._all,
            donate_argnums=0 if self.trains else (),
            compiler_options=compiler_options(fits[0].declaration),
        )
        self.compiled: dict[tuple[int, ...], Any] = {}
        # Before the training begins: studies time the training, not the compiling.
        per_call = STATIC_STEPS_PER_CALL if self.is_static else self.steps
        for first in range(0, self.steps, per_call):
            for batches, bounds in self._calls(first, min(first + per_call, self.steps)):
                self._compiled(self._state(), batches, bounds)

    def run(self, live: Sequence[Member], first: int, last: int) -> list[Logs]:
        """The measures of the live members; the others' computation is thrown away."""
        state = self._state()
        if first == 0:
            self.metrics = self.fresh_metrics
        logs: dict[str, Any] = {}
        for batches, bounds in self._calls(first, last):
            program = self._compiled(state, batches, bounds)
            logs, state, self.metrics = program(
                state, self.metrics, self.examples, batches, *bounds
            )
        if self.trains:
            self.stack.values = state
        if self.stack.is_watched:
            self.stack.hand_out(live)
        measures = {name: np.asarray(values) for name, values in logs.items()}
        return [
            {name: float(values[number]) for name, values in measures.items()}
            for number, member in enumerate(self.stack.members)
            if member in live
        ]

    def _state(self) -> Any:
        return self.stack.gathered() if self.trains else self.stack.gathered()[:2]

    def _calls(self, first: int, last: int) -> list[tuple[Any, ...]]:
        """For each call of a program, int32 `[members, steps, batch]` and its bounds."""
        members = self.stack.members
        samplers = [member.sampler if self.trains else self.in_turn for member in members]
        of_members = [
            calls(sampler.indices, self.batch_size, first, last, self.is_static)
            for sampler in samplers
        ]
        return [
            (np.stack([batches for batches, *_ in call]), call[0][1:])
            for call in zip(*of_members, strict=True)
        ]

    def _compiled(self, state: Any, batches: Any, bounds: Any) -> Any:
        if batches.shape not in self.compiled:
            given = state, self.metrics, self.examples, batches, *bounds
            self.compiled[batches.shape] = self.program.lower(*given).compile()
        return self.compiled[batches.shape]

    def _all(
        self, states: Any, metrics: Any, examples: Any, batches: Any, first: Any, last: Any
    ) -> Any:
        fit = self.fits[0]
        network = fit.network
        steps = loop(network, network.train_step if self.trains else network.test_step)

        def one(of_member: Any) -> Any:
            state, metrics, chosen, numbers = of_member
            with _varied(fit, numbers):
                logs, (*state, metrics) = steps((*state, metrics), examples, chosen, first, last)
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
    return {**layers, "optimizer": optimizer, "schedule": learning_rate_schedule(optimizer)}


@contextmanager
def _varied(fit: Fit, numbers: dict[str, Any]) -> Iterator[None]:
    """The numbers of one member in the place of the network's own while it is traced."""
    owners = _owners(fit)
    places = {place: place.rpartition(".") for place in numbers}
    before = {place: getattr(owners[owner], name) for place, (owner, _, name) in places.items()}
    for place, (owner, _, name) in places.items():
        value = numbers[place]
        setattr(owners[owner], name, TracedRate(value) if name == "rate" else value)
    try:
        yield
    finally:
        for place, (owner, _, name) in places.items():
            setattr(owners[owner], name, before[place])
