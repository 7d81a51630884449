"""An epoch on JAX: a loop over Keras' own steps, compiled as one program.

The examples stay on the device, as bytes where they are images; what goes there in an epoch is the
order in which they are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.models import Declaration
from wardrobe.training.fit.keras_private import build_metrics
from wardrobe.training.fit.loop import Logs
from wardrobe.training.fit.samplers import SequentialSampler, ShuffledSampler, batches

State = tuple[Any, ...]


class Program:
    """A pass of one network over examples, see `loop.Program`."""

    def __init__(
        self,
        network: keras.Sequential,
        examples: tuple[NDArray[Any], ...],
        sampler: ShuffledSampler | SequentialSampler,
        batch_size: int,
        *,
        trains: bool,
        is_static: bool,
        options: dict[str, Any],
    ) -> None:
        build_metrics(network, examples)
        self.network, self.sampler, self.batch_size = network, sampler, batch_size
        self.steps, self.is_static = -(-sampler.count // batch_size), is_static
        self.examples = jax.device_put(examples)
        self.trains = trains
        step = network.train_step if trains else network.test_step
        self.program = jax.jit(loop(network, step), donate_argnums=0, compiler_options=options)

    def run(self, live: Sequence[Any], first: int, last: int) -> list[Logs]:
        """Makes the steps from `first` up to `last`; the measures since step 0."""
        if first == 0:
            self.network.reset_metrics()
        state = tuple([variable.value for variable in group] for group in self._variables())
        logs: dict[str, Any] = {}
        for call in calls(self.sampler.indices, self.batch_size, first, last, self.is_static):
            logs, state = self.program(state, self.examples, *call)
        for group, values in zip(self._variables(), state, strict=True):
            for variable, value in zip(group, values, strict=True):
                variable.assign(value)
        return [{name: float(value) for name, value in logs.items()}]

    def _variables(self) -> tuple[list[Any], ...]:
        network = self.network
        optimizer = [network.optimizer.variables] if self.trains else []
        return (
            network.trainable_variables,
            network.non_trainable_variables,
            *optimizer,
            network.metrics_variables,
        )


def compiler_options(declaration: Declaration) -> dict[str, Any]:
    """What XLA is told with each program: whether kernels of a GPU may sum in any order."""
    return {"xla_gpu_deterministic_ops": declaration.deterministic}


def calls(
    indices: NDArray[np.int32], batch_size: int, first: int, last: int, is_static: bool
) -> list[tuple[Any, ...]]:
    """The arguments of `loop` for the steps from `first` up to `last`: batches and two bounds.

    On a CPU one program serves all bounds. On a GPU, which would report to the host before each
    step whether it was the last, the number of steps is that of the batches given.
    """
    full, rest = batches(indices, batch_size)
    arguments: list[tuple[Any, ...]] = []
    if first < (end := min(last, len(full))):
        bounds = np.int32(first), np.int32(end)
        bounded = (full[first:end], None, None) if is_static else (full, *bounds)
        arguments.append(bounded)
    if last > len(full):
        arguments.append((rest[None], None, None))
    return arguments


def loop(network: keras.Sequential, step: Callable[..., Any]) -> Callable[..., Any]:
    """`(state, examples, batches, first, last) -> (logs, state)`, to be compiled.

    Makes a step for the rows of int32 `[steps, batch]` from `first` up to `last`, or for all of
    them if these are None. `step` is the network's `train_step` or `test_step`, whose state ends
    with the metrics.
    """

    def steps(state: State, examples: Any, batches: Any, first: Any, last: Any) -> Any:
        def body(number: Any, state: State) -> State:
            batch = tuple(array[batches[number]] for array in examples)
            return step(state, batch)[1]  # type: ignore[no-any-return]

        if first is None:
            first, last = 0, len(batches)
        state = jax.lax.fori_loop(first, last, body, state)
        metrics = list(zip(network.metrics_variables, state[-1], strict=True))
        with keras.StatelessScope(state_mapping=metrics):
            return network.get_metrics_result(), state

    return steps
