"""Disturbed copies of the training pictures.

They are made once, before training: layers that draw at random are slow on a CPU, and a teacher
has to judge each copy only once. Which copies there are does not depend on a run's seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.models.build.network import AUGMENTATION_SEED

_BATCH = 5_000


def copies(network: keras.Sequential | None, count: int, pictures: NDArray[Any]) -> NDArray[Any]:
    """So many copies of pictures uint8 `[N, height, width]`, 0–255, one after the other.

    network: the augmentation, fresh from `models.build`; without one the result is the pictures
        themselves. Sets Keras' seed, because AugMix draws from Python's generator when called.
    """
    if network is None:
        return pictures
    keras.utils.set_random_seed(AUGMENTATION_SEED)
    disturbed = _compiled(network)
    made = np.empty((count, *pictures.shape), np.uint8)
    for copy in made:
        for start in range(0, len(pictures), _BATCH):
            batch = pictures[start : start + _BATCH].astype(np.float32)
            given = keras.ops.convert_to_numpy(disturbed(batch))
            copy[start : start + _BATCH] = given[..., 0].clip(0, 255).round()
    return made.reshape(-1, *pictures.shape[1:])


def _compiled(network: Any) -> Callable[[NDArray[np.float32]], Any]:
    """The network as in training; on JAX as one program, in half the time of its operations."""
    if keras.backend.backend() != "jax":
        return partial(network, training=True)
    import jax

    program = jax.jit(partial(network.stateless_call, training=True))

    def call(batch: NDArray[np.float32]) -> Any:
        variables = network.non_trainable_variables
        outputs, states = program([], [variable.value for variable in variables], batch)
        for variable, state in zip(variables, states, strict=True):
            variable.assign(state)
        return outputs

    return call
