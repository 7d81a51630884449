"""The private names of Keras that training relies on; a test fails when a release changes them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import keras
from numpy.typing import NDArray


def build_metrics(network: keras.Sequential, examples: tuple[NDArray[Any], ...]) -> None:
    """Creates the variables of the metrics of a compiled network, as Keras' `fit` does.

    Public methods create them by computing with a batch, which compiles each operation on JAX.
    """
    network._symbolic_build(data_batch=tuple(array[:1] for array in examples))


def learning_rate_schedule(optimizer: keras.optimizers.Optimizer) -> Any:
    """The schedule of an optimizer, or the variable that holds a constant learning rate."""
    return optimizer._learning_rate


def event_writers(callback: keras.callbacks.TensorBoard) -> list[Any]:
    """TensorFlow's writers of the event files that the callback has opened so far."""
    return list(callback._writers.values())


def profiles_batches(callback: keras.callbacks.TensorBoard) -> bool:
    """Whether the callback was given `profile_batch`."""
    return bool(callback._stop_batch)


def postpone_averaging(callback: keras.callbacks.SwapEMAWeights) -> None:
    """Keeps it from overwriting the weights with their averages at the end of the last epoch.

    The weights are needed to continue from there; `average_at_last` averages them later.
    """
    callback.set_params({**callback.params, "epochs": 0})


def average_at_last(callback: keras.callbacks.SwapEMAWeights) -> None:
    """What a callback with `swap_on_epoch` does at the end of the last epoch, if not postponed."""
    if callback.swap_on_epoch:
        callback._finalize_ema_values()


class TracedRate:
    """A dropout rate between 0 and 1 whose value is unknown while a program is traced.

    Dropout compares its rate with 0 and subtracts it from 1.
    """

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


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """An attribute that has another value while a program is traced."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def drawing_by_philox() -> Iterator[None]:
    """Has Keras name Philox for the random numbers that it draws on TensorFlow.

    Keras leaves the choice to TensorFlow, which also takes Philox and draws the same numbers. But
    if XLA has to choose, it takes thirty times as long on a CPU: 65,536 uniform numbers take 28 ms
    instead of 0.9 ms.
    """
    import tensorflow as tf

    drawing = [
        (tf.random, "stateless_normal", "alg"),
        (tf.random, "stateless_truncated_normal", "alg"),
        (tf.random, "stateless_uniform", "alg"),
        (tf.nn.experimental, "stateless_dropout", "rng_alg"),
    ]
    with ExitStack() as all_replaced:
        for module, name, argument in drawing:
            draw = partial(getattr(module, name), **{argument: "philox"})
            all_replaced.enter_context(replaced(module, name, draw))
        yield
