"""Keras' global settings, which decide results and which a `keras.json` or a script may change."""

from __future__ import annotations

import keras

FLOATX = "float32"  # of weights and sums; `precision` says in what layers compute
IMAGE_DATA_FORMAT = "channels_last"
EPSILON = 1e-7


def set_keras() -> None:
    """Makes a declaration mean the same wherever it is built, for the whole process."""
    keras.config.set_floatx(FLOATX)
    keras.config.set_image_data_format(IMAGE_DATA_FORMAT)
    keras.config.set_epsilon(EPSILON)
    keras.config.set_dtype_policy(FLOATX)
