"""Training on the JAX backend: an epoch is a handful of compiled calls.

Keras' own `fit` stays in charge of epochs, callbacks and validation. What is replaced is what it
calls for the steps: instead of one compiled step a batch, one compiled loop over up to
`steps_per_execution` batches. The examples lie on the device, as bytes where they are pictures;
all that goes there in an epoch is the order in which they are taken.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import jax
import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.models import Declaration
from wardrobe.training.fit.batches import Batches
from wardrobe.training.fit.samplers import SequentialSampler, ShuffledSampler

Arrays = tuple[NDArray[Any], NDArray[Any]]
State = tuple[Any, ...]


def feed(
    network: keras.Sequential,
    training: Arrays,
    validation: Arrays | None,
    batch_sizes: tuple[int, int],
    sampler: ShuffledSampler,
    options: dict[str, Any],
) -> tuple[IndexBatches, IndexBatches | None]:
    """Gives a compiled network its loops; returns what its `fit` takes as data and validation.

    `batch_sizes` are those of training and of validation.
    """
    steps = network.steps_per_execution
    # `fit` would build metrics and optimizer from its first batch, but it gets indices only.
    network._symbolic_build(data_batch=tuple(array[: batch_sizes[0]] for array in training))
    network.train_function = _function(network, network.train_step, training, options)
    batches = IndexBatches(sampler, batch_sizes[0], steps)
    if validation is None:
        return batches, None
    network.test_function = _function(network, network.test_step, validation, options)
    count = len(validation[0])
    return batches, IndexBatches(SequentialSampler(count), min(count, batch_sizes[1]), steps)


class IndexBatches(Batches):
    """What Keras iterates over: for each compiled call, the indices of its examples.

    An element is `(batches, count, rest)`: int32 `[steps, batch]` of which the first `count` rows
    are meant, and the indices of the partial batch that ends an epoch, empty elsewhere. All
    `batches` have one shape, so that the loop over them is compiled once.
    """

    def __init__(
        self, sampler: ShuffledSampler | SequentialSampler, batch_size: int, steps_per_call: int
    ) -> None:
        super().__init__(sampler, batch_size)
        self.steps_per_call = steps_per_call

    def get_jax_iterator(self) -> Iterator[tuple[Any, ...]]:
        full = self.full_batches
        whole, rest = np.split(self.sampler.indices, [full * self.batch_size])
        batches = whole.reshape(full, self.batch_size)
        rows = min(full, self.steps_per_call)
        for start in range(0, self.num_batches, self.steps_per_call):
            chosen = batches[start : start + self.steps_per_call]
            padded = np.zeros((rows, self.batch_size), np.int32)
            padded[: len(chosen)] = chosen
            is_last = start + self.steps_per_call >= self.num_batches
            yield padded, len(chosen), rest if is_last else rest[:0]


def loop(network: keras.Sequential, step: Callable[..., Any]) -> Callable[..., Any]:
    """`(state, examples, batches, count) -> (logs, state)`: a step for each of `count` batches.

    `step` is the network's `train_step` or `test_step`, whose state ends with the metrics;
    `batches` are indices of examples, int32 `[steps, batch]`. To be compiled; however many steps
    are counted, it is one program, which a `scan` over the batches would not be.
    """

    def steps(state: State, examples: Any, batches: Any, count: Any) -> tuple[Any, State]:
        def body(number: Any, state: State) -> State:
            batch = tuple(array[batches[number]] for array in examples)
            return step(state, batch)[1]  # type: ignore[no-any-return]

        state = jax.lax.fori_loop(0, count, body, state)
        metrics = list(zip(network.metrics_variables, state[-1], strict=True))
        with keras.StatelessScope(state_mapping=metrics):
            return network.get_metrics_result(), state

    return steps


def compiler_options(declaration: Declaration) -> dict[str, Any]:
    """What XLA is told with each program: whether kernels of a GPU may sum in any order."""
    return {"xla_gpu_deterministic_ops": declaration.deterministic}


def _function(
    network: keras.Sequential,
    step: Callable[..., Any],
    examples: Arrays,
    options: dict[str, Any],
) -> Any:
    """What Keras' trainer calls for the steps: `(state, iterator) -> (logs, state)`."""
    compiled = jax.jit(loop(network, step), donate_argnums=0, compiler_options=options)
    on_device = jax.device_put(examples)

    def function(state: State, iterator: Iterator[tuple[Any, ...]]) -> tuple[Any, State]:
        batches, count, rest = next(iterator)
        logs, state = compiled(state, on_device, batches, count)
        if len(rest):
            logs, state = compiled(state, on_device, rest[None], 1)
        return logs, state

    return function
