"""Augmented copies of the training images.

They are made once, before training: layers that draw at random are slow on a CPU, and a teacher
has to predict each copy only once. The copies do not depend on a run's seed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.models import Declaration
from wardrobe.models.build.keras_objects import KerasObjects
from wardrobe.models.build.network import augmentation

SEED = 20_170_825

_BATCH = 5_000


def copies(declaration: Declaration, images: NDArray[Any]) -> NDArray[Any]:
    """The declared copies of uint8 images `[N, height, width]`, concatenated.

    Without declared copies, the images themselves. Sets Keras' global seed.
    """
    if declaration.augmentation is None:
        return images
    keras.utils.set_random_seed(SEED)
    augmented = _compiled(augmentation(declaration, KerasObjects(steps_per_epoch=1)))
    made = np.empty((declaration.augmentation.copies, *images.shape), np.uint8)
    for copy in made:
        for start in range(0, len(images), _BATCH):
            batch = images[start : start + _BATCH].astype(np.float32)
            output = keras.ops.convert_to_numpy(augmented(batch))
            copy[start : start + _BATCH] = output[..., 0].clip(0, 255).round()
    return made.reshape(-1, *images.shape[1:])


def _compiled(network: Any) -> Callable[[NDArray[np.float32]], Any]:
    """The network in training mode; on JAX as one program, which takes half the time."""
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
