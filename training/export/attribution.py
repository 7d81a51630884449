"""Which pixels of a picture decided for the likeliest class: integrated gradients, as a graph.

Sundararajan, Taly, Yan, "Axiomatic Attribution for Deep Networks", 2017, arXiv 1703.01365, section
3: a pixel's attribution is its difference from the empty picture, times the mean gradient along
the straight path from there. The attributions of a picture add up to what they explain, here the
logarithm of the likeliest class's probability: by how many nats the picture makes that class
likelier than an empty picture does.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf

STEPS = 32
"""Points on the path. With the zoo's networks the sum is then 1 % off; with 16, it is 2 %."""

LEAST = float(np.finfo(np.float32).tiny)
"""The logarithm of 0 has no gradient."""


def integrated_gradients(
    images: tf.Tensor, empty: float, probabilities: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    """Pictures `float32 [N, height, width]` or `[N, height, width, 3]`, 0–255 → nats `float32
    [N, height, width]`, positive where a pixel, all its colours together, spoke for the likeliest
    class, negative where it spoke against it.

    `empty` is the pixel, 0–255, of a picture without a garment.

    The points are spaced by squares, closest where the garment begins to show: there the network
    changes its mind most, and evenly spaced points are ten times as far off. They are visited one
    after the other, so that memory grows with the pictures and not with `STEPS`.
    """
    middles = (np.arange(STEPS) + 0.5) / STEPS
    points = tf.constant(np.stack([middles**2, 2 * middles / STEPS], axis=1), tf.float32)
    difference = images - empty
    likeliest = tf.argmax(probabilities(images), axis=-1)

    def add_gradient(mean: tf.Tensor, point: tf.Tensor) -> tf.Tensor:
        position, weight = point[0], point[1]
        between = empty + position * difference
        with tf.GradientTape() as tape:
            tape.watch(between)
            chosen = tf.gather(probabilities(between), likeliest, axis=-1, batch_dims=1)
            logarithm = tf.math.log(tf.maximum(chosen, LEAST))
        return mean + weight * tape.gradient(logarithm, between)

    attribution = difference * tf.foldl(add_gradient, points, tf.zeros_like(images))
    return attribution if images.shape.rank == 3 else tf.reduce_sum(attribution, axis=-1)
