"""Augmented copies of the training images.

They are made once, before training: random layers are slow on a CPU, and a teacher then predicts
each copy only once. The copies do not depend on a run's seed.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.models.build.network import AUGMENTATION_SEED

_BATCH = 5_000


def copies(network: keras.Sequential | None, count: int, images: NDArray[Any]) -> NDArray[Any]:
    """Augmented copies of uint8 images `[N, height, width]` or `[N, height, width, 3]`, 0–255,
    concatenated.

    network: the augmentation, fresh from `models.build`; without one, the images are returned
        unchanged. Seeds Python's generator, from which AugMix draws when called.
    """
    if network is None:
        return images
    random.seed(AUGMENTATION_SEED)
    augmented = _compiled(network)
    made = np.empty((count, *images.shape), np.uint8)
    for copy in made:
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH].astype(np.float32)
            output = keras.ops.convert_to_numpy(augmented(batch))
            copy[start : start + _BATCH] = output.reshape(batch.shape).clip(0, 255).round()
    return made.reshape(-1, *images.shape[1:])


def _compiled(network: Any) -> Callable[[NDArray[np.float32]], Any]:
    """The network in training mode; on JAX, one program, which takes half the time."""
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
