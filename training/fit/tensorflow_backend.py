"""An epoch on TensorFlow: a loop over Keras' own steps in one graph, compiled with XLA or not.

The examples stay on the device, as bytes where they are images; what goes there in an epoch is the
order in which they are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf
from numpy.typing import NDArray

from wardrobe.training.fit import keras_private
from wardrobe.training.fit.loop import Logs
from wardrobe.training.fit.samplers import Sampler, batches

# With fewer in an epoch, few trainings save the two seconds that compiling takes.
FEWEST_STEPS_TO_COMPILE = 100


class Program:
    """A pass of one network over examples, see `loop.Program`."""

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
        (network,), (sampler,) = networks, samplers
        if on_gpu and deterministic:
            tf.config.experimental.enable_op_determinism()
        keras_private.build_metrics(network, examples)
        self.network, self.sampler, self.batch_size = network, sampler, batch_size
        self.steps, self.is_static = -(-sampler.count // batch_size), on_gpu
        self.examples = tuple(map(tf.constant, examples))
        is_compiled = all(layer.supports_jit for layer in network.layers) and (
            on_gpu or self.steps >= FEWEST_STEPS_TO_COMPILE
        )
        self.step = network.train_step if trains else network.test_step
        self.loop = tf.function(self._loop, jit_compile=is_compiled, autograph=False)
        self.partial = tf.function(self._partial, autograph=False)

    def run(self, live: Sequence[Any], first: int, last: int) -> list[Logs]:
        """Makes the steps from `first` up to `last`; the measures since step 0."""
        if first == 0:
            self.network.reset_metrics()
        full, rest = batches(self.sampler.indices, self.batch_size)
        if first < (end := min(last, len(full))):
            if self.is_static:
                logs = self.loop(tf.constant(full[first:end]), None, None)
            else:
                logs = self.loop(tf.constant(full), tf.constant(first), tf.constant(end))
        if last > len(full):
            logs = self.partial(tf.constant(rest))
        return [{name: float(value) for name, value in logs.items()}]

    def _loop(self, full: Any, first: Any, last: Any) -> Any:
        """Steps for rows of int32 `[steps, batch]`: all of them, or those that are not traced."""
        if first is None:
            first, last = 0, full.shape[0]

        def body(number: Any) -> Any:
            self._step(full[number])
            return (number + 1,)

        with keras_private.drawing_by_philox():
            # The steps change variables, which the next ones read.
            tf.while_loop(lambda number: number < last, body, [first], parallel_iterations=1)
        return self.network.get_metrics_result()

    def _partial(self, indices: Any) -> Any:
        self._step(indices)
        return self.network.get_metrics_result()

    def _step(self, indices: Any) -> None:
        self.step(tuple(tf.gather(array, indices) for array in self.examples))
