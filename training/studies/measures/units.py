"""A single unit, an activation, and a curve: outputs over inputs that can be drawn."""

from __future__ import annotations

import jax
import keras
import numpy as np

from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import Subject


def unit(subject: Subject) -> Found:
    """The weighted sum of a network without hidden layers, by hand, and what the network says.

    `disagreements` counts the examples where the output is not the step of that sum.
    """
    kernel, bias = subject.network.layers[-1].get_weights()
    x = subject.data.test.x
    z = x.astype(np.float64) @ kernel.astype(np.float64) + bias
    output = subject.outputs(x)
    return {
        "inputs": x,
        "z": z[:, 0],
        "output": output[:, 0],
        "kernel": kernel[:, 0],
        "bias": bias,
        "disagreements": float(((z > 0) != (output > 0.5)).sum()),
        "says_yes": float((output > 0.5).sum()),
    }


def activation_curve(subject: Subject) -> Found:
    """The first layer's activation and its derivative over z from −5 to 5.

    `derivative_error` is the largest difference from the slope of a chord; `largest_derivative`
    and `flat_share` (where the derivative is below 0.01) say how well it passes a gradient on.
    """
    activation = keras.activations.get(subject.network.layers[0].activation)
    # None of them is a point where ReLU or the step has no derivative.
    z = np.linspace(-5, 5, 402).astype(np.float32)
    derivative = np.asarray(jax.vmap(jax.grad(lambda one: activation(one)))(z))
    width = np.float32(1e-3)
    chord = (np.asarray(activation(z + width)) - np.asarray(activation(z - width))) / (2 * width)
    return {
        "z": z,
        "value": np.asarray(activation(z)),
        "derivative": derivative,
        "derivative_error": float(np.abs(derivative - chord).max()),
        "largest_derivative": float(derivative.max()),
        "flat_share": float((np.abs(derivative) < 0.01).mean()),
    }


def curve(subject: Subject) -> Found:
    """What a network of one input gives over the range of its data, with the training examples."""
    train = subject.data.train
    x = np.linspace(train.x.min(), train.x.max(), 300, dtype=np.float32)[:, None]
    return {"x": x[:, 0], "y": subject.outputs(x)[:, 0], "points": np.hstack([train.x, train.y])}
