"""The one activation of the lecture that Keras does not have."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="wardrobe")
def step(z: Any) -> Any:
    """1 where the weighted sum exceeds the threshold, else 0; its gradient is zero.

    The unit of Rosenblatt's perceptron; same shape and dtype as its input.
    """
    return keras.ops.cast(z > 0, z.dtype)
