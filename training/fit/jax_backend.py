"""An epoch on JAX: a loop over Keras' own steps, compiled as one program, for one network or many.

The examples stay on the device, as bytes where they are images; what goes there in an epoch is the
order in which they are taken.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from operator import itemgetter
from typing import Any

import jax
import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.training.fit import keras_private
from wardrobe.training.fit.loop import STATIC_STEPS_PER_CALL, Logs, Member
from wardrobe.training.fit.samplers import Sampler, batches


class Program:
    """A pass of networks over the same examples, each in its own order, see `loop.Program`.

    Of several networks, which differ only in numbers, the first is traced; their variables and
    these numbers are stacked. On a GPU, all networks make a step at once (`vmap`), which keeps it
    busier than one small network could. On a CPU, one network makes all its steps after the other:
    only one program is compiled, and the weights in use stay in the cache. All at once took a
    fifth longer.
    """

    def __init__(
        self,
        networks: Sequence[keras.Sequential],
        examples: tuple[NDArray[Any], ...],
        samplers: Sequence[Sampler],
        batch_size: int,
        *,
        trains: bool,
        on_gpu: bool,
        deterministic: bool,
    ) -> None:
        """`samplers`: one for each network."""
        for network in networks:
            keras_private.build_metrics(network, examples)
        self.networks, self.samplers, self.batch_size = networks, samplers, batch_size
        self.trains, self.is_static = trains, on_gpu
        self.steps = -(-samplers[0].count // batch_size)
        self.examples = jax.device_put(examples)
        self.numbers = _differing_numbers(networks)
        options = {"xla_gpu_deterministic_ops": deterministic}  # whether they sum in one order
        self.program = jax.jit(self._all, compiler_options=options)
        if len(networks) > 1:  # studies time their training, not the compiling
            self._compile()

    def run(self, live: Sequence[Member], first: int, last: int) -> list[Logs]:
        """The metrics of the live networks; the results of the others are discarded."""
        running = [member.model for member in live]
        if first == 0:
            for network in running:
                network.reset_metrics()
        states = self._states()
        logs: list[Any] = []
        for arguments in self._calls(first, last):
            logs, states = self.program(states, self.examples, *arguments)
        numbers = [self.networks.index(network) for network in running]
        for network, number in zip(running, numbers, strict=True):
            for group, values in zip(self._variables(network), states[number], strict=True):
                for variable, value in zip(group, values, strict=True):
                    variable.assign(value)
        return [{name: float(value) for name, value in logs[number].items()} for number in numbers]

    def _compile(self) -> None:
        """Calls the programs of an epoch for nothing: where they take bounds, without a step."""
        per_call = STATIC_STEPS_PER_CALL if self.is_static else self.steps
        for first in range(0, self.steps, per_call):
            for chosen, *bounds in self._calls(first, min(first + per_call, self.steps)):
                nothing = [np.int32(0)] * len(bounds)
                self.program(self._states(), self.examples, chosen, *nothing)

    def _states(self) -> list[Any]:
        return [
            tuple([variable.value for variable in group] for group in self._variables(network))
            for network in self.networks
        ]

    def _variables(self, network: keras.Sequential) -> tuple[list[Any], ...]:
        """As `train_step` and `test_step` take them."""
        optimizer = [network.optimizer.variables] if self.trains else []
        return (
            network.trainable_variables,
            network.non_trainable_variables,
            *optimizer,
            network.metrics_variables,
        )

    def _calls(self, first: int, last: int) -> Iterator[tuple[Any, ...]]:
        """The batches of each network, int32 `[steps, batch]`, and the bounds of a call, if any.

        On a CPU one program serves all bounds. On a GPU, which would report to the host before each
        step whether it was the last, the number of steps is that of the batches given.
        """
        of_all = [batches(sampler.indices, self.batch_size) for sampler in self.samplers]
        count = len(of_all[0][0])
        if first < (end := min(last, count)):
            if self.is_static:
                yield ([full[first:end] for full, _ in of_all],)
            else:
                yield [full for full, _ in of_all], np.int32(first), np.int32(end)
        if last > count:
            yield ([rest[None] for _, rest in of_all],)

    def _all(
        self, states: Any, examples: Any, batches: Any, first: Any = 0, last: Any = None
    ) -> tuple[list[Any], list[Any]]:
        """Makes the steps of all networks; the measures and the state of each.

        They are those for the rows of `batches` from `first` up to `last`, or for all of them.
        """
        network = self.networks[0]
        step = network.train_step if self.trains else network.test_step

        def one(of_network: Any) -> tuple[Any, Any]:
            state, batches, numbers = of_network

            def body(number: Any, state: Any) -> Any:
                return step(state, tuple(array[batches[number]] for array in examples))[1]

            end = len(batches) if last is None else last
            with _varied(network, numbers):
                state = jax.lax.fori_loop(first, end, body, state)
            metrics = list(zip(network.metrics_variables, state[-1], strict=True))
            with keras.StatelessScope(state_mapping=metrics):
                return network.get_metrics_result(), state

        given = list(zip(states, batches, self.numbers, strict=True))
        if len(given) == 1:
            results = [one(given[0])]
        else:
            stacked = jax.tree.map(lambda *values: jax.numpy.stack(values), *given)
            joint = jax.vmap(one)(stacked) if self.is_static else jax.lax.map(one, stacked)
            results = [jax.tree.map(itemgetter(number), joint) for number in range(len(given))]
        return [logs for logs, _ in results], [state for _, state in results]


Place = tuple[int, str]  # which of the owners, and the name of its attribute


def _differing_numbers(networks: Sequence[keras.Sequential]) -> list[dict[Place, float]]:
    """For each network the numbers in which they differ, by their places."""
    numbers = [
        {
            (place, name): value
            for place, owner in enumerate(_owners(network))
            for name, value in vars(owner).items()
            if type(value) is float and not name.startswith("_")
        }
        for network in networks
    ]
    differing = [place for place in numbers[0] if len({each[place] for each in numbers}) > 1]
    return [{place: each[place] for place in differing} for each in numbers]


def _owners(network: keras.Sequential) -> list[Any]:
    """The objects of a network whose numbers may differ."""
    optimizer = getattr(network.optimizer, "inner_optimizer", network.optimizer)
    return [*network.layers, optimizer, keras_private.learning_rate_schedule(optimizer)]


@contextmanager
def _varied(network: keras.Sequential, numbers: dict[Place, Any]) -> Iterator[None]:
    """These numbers in the place of the network's own while it is traced."""
    owners = _owners(network)
    with ExitStack() as all_replaced:
        for (place, name), value in numbers.items():
            traced = keras_private.TracedRate(value) if name == "rate" else value
            all_replaced.enter_context(keras_private.replaced(owners[place], name, traced))
        yield
