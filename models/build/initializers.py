"""The one initializer of the zoo that Keras does not have."""

from __future__ import annotations

import math
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="wardrobe")
class LocalNormal(keras.initializers.Initializer):
    """He's normal weights inside a small window of the picture, 0 outside, for a Dense layer.

    A unit begins as a filter of neighbouring pixels, as in a convolution, at a place of its own.
    All weights are trained: what lies outside the window is only a beginning. The window is a
    square of `smallest` to `largest` pixels, drawn with its centre for each unit and cut off at
    the border; the variance is 2 / pixels in it (He et al. 2015, section 2.2).

    Between a fully connected and a convolutional network of one size lies more of locality than of
    shared weights (Neyshabur 2020, arXiv 2007.13657, section 2: S-FC, S-LOCAL, S-CONV). There the
    weights outside stay 0.

    The inputs are taken for the rows of a square picture. Where their number is no square, they
    are rows of the next square's width, and the windows are slanted.
    """

    def __init__(self, smallest: int = 3, largest: int = 9, seed: int | None = None) -> None:
        whole = isinstance(smallest, int) and isinstance(largest, int)
        if not (whole and 1 <= smallest <= largest):
            raise ValueError(
                f"windows of {smallest} to {largest} pixels: "
                "give whole numbers, smallest from 1 and largest not below it"
            )
        self.smallest, self.largest, self.seed = smallest, largest, seed

    def __call__(self, shape: tuple[int, ...], dtype: Any = None) -> Any:
        """Fresh weights, `[inputs, units]`, drawn by the seed or else by that of the run.

        Raises:
            ValueError: the weights are not those of a Dense layer.
        """
        if len(shape) != 2:
            raise ValueError(f"LocalNormal is for the kernel of a Dense layer, not for {shape}")
        inputs, units = shape
        width = math.ceil(math.sqrt(inputs))
        draw = keras.random.SeedGenerator(self.seed)
        size = keras.random.randint((units,), self.smallest, self.largest + 1, seed=draw)
        centre = keras.random.randint((2, units), 0, width, seed=draw)
        pixel = keras.ops.arange(inputs)[:, None]
        window = _covers(pixel // width, centre[0], size) & _covers(pixel % width, centre[1], size)
        inside = keras.ops.cast(window, dtype or keras.config.floatx())
        covered = keras.ops.maximum(keras.ops.sum(inside, axis=0), 1)
        normal = keras.random.normal(shape, dtype=inside.dtype, seed=draw)
        return normal * inside * keras.ops.sqrt(2 / covered)

    def get_config(self) -> dict[str, Any]:
        return {"smallest": self.smallest, "largest": self.largest, "seed": self.seed}


def _covers(position: Any, centre: Any, size: Any) -> Any:
    """Whether windows of a size around centres cover positions, bool `[inputs, units]`."""
    first = centre - size // 2
    return (first <= position) & (position < first + size)
