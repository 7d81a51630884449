"""What wardrobe adds to Keras: an activation, an initializer, a loss, its metric and a callback.

Importing this module registers them, so that Keras loads saved networks that contain them.
"""

from __future__ import annotations

import math
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="wardrobe")
def step(z: Any) -> Any:
    """Activation: 1 where the weighted sum is above the threshold, else 0; its gradient is zero.

    The unit of Rosenblatt's perceptron. Same shape and dtype as its input.
    """
    return keras.ops.cast(z > 0, z.dtype)


@keras.saving.register_keras_serializable(package="wardrobe")
def set_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """Loss where several classes may be right: −log of the sum of their probabilities, `[N]`.

    y_true: rows `[N, classes]` with a 1 for each class that is right; y_pred: probabilities. With
    one class a row it is the categorical cross-entropy.
    """
    right = keras.ops.sum(keras.ops.cast(y_true, y_pred.dtype) * y_pred, axis=-1)
    return -keras.ops.log(keras.ops.maximum(right, keras.config.epsilon()))


@keras.saving.register_keras_serializable(package="wardrobe")
def set_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Whether the likeliest class is one of those that are right: 1 or 0, `[N]`."""
    likeliest = keras.ops.argmax(y_pred, axis=-1)
    return keras.ops.sum(y_true * keras.ops.one_hot(likeliest, y_pred.shape[-1]), axis=-1)


@keras.saving.register_keras_serializable(package="wardrobe")
class LocalNormal(keras.initializers.Initializer):
    """Initializer of a Dense layer: He normal weights inside a small window of the image, else 0.

    A unit starts as a filter of neighbouring pixels, as in a convolution, at its own position. All
    weights are trained: the zeros outside the window are only where they start. The window is a
    square of `smallest` to `largest` pixels; size and centre are drawn for each unit, and the
    window is cut off at the border. The variance is 2 / (pixels in the window), see He et al. 2015,
    section 2.2.

    Most of what a convolutional network gains over a fully connected one of its size comes from
    locality, not from shared weights (Neyshabur 2020, arXiv 2007.13657, section 2: S-FC, S-LOCAL,
    S-CONV). There the weights outside stay 0.

    The inputs are taken as the rows of a square image. If their number is not a square, the rows
    have the width of the next larger one, and the windows are slanted.
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
        """Fresh weights `[inputs, units]`, drawn from the seed, or from the run's if it is None.

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


class MLflow(keras.callbacks.Callback):
    """Callback: asks for the run to be recorded with MLflow.

    It does nothing itself: whoever trains sees that it is declared.

    Args:
        experiment: String, the name of MLflow's experiment that the run is part of.
    """

    def __init__(self, experiment: str = "wardrobe") -> None:
        if not experiment:
            raise ValueError("experiment needs a name")
        super().__init__()
        self.experiment = experiment


def _covers(position: Any, centre: Any, size: Any) -> Any:
    """Whether windows of a size around centres cover positions, bool `[inputs, units]`."""
    first = centre - size // 2
    return (first <= position) & (position < first + size)
