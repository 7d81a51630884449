"""Gradients of the loss: their size in each layer, and whether they are right."""

from __future__ import annotations

import math
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.training.fit.fit import arrays
from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import TrainedModel

EXAMPLES = 256


def gradient_norms(model: TrainedModel) -> Found:
    """Euclidean norm of the gradient of each kernel, from the input to the output.

    `norm_ratio` is that of the first layer over that of the last.
    """
    x, y = (part[:EXAMPLES] for part in arrays(model.declaration, model.data.train))
    network = model.network
    rest = [variable.value for variable in network.non_trainable_variables]

    def loss(trainable: Any) -> Any:
        outputs, _ = network.stateless_call(trainable, rest, x.astype(np.float32), training=True)
        return keras.ops.mean(model.parts.loss(y, outputs))

    variables = network.trainable_variables
    # Not compiled: a network of 50 layers is asked once, and its layers are all the same.
    gradients = jax.grad(loss)([variable.value for variable in variables])
    norms = np.array(
        [
            float(jnp.linalg.norm(gradient))
            for gradient, variable in zip(gradients, variables, strict=True)
            if variable.name == "kernel"
        ]
    )
    first, last = float(norms[0]), float(norms[-1])
    return {"norms": norms, "norm_ratio": first / last if last else math.nan, "first_norm": first}


def gradient_check(model: TrainedModel) -> Found:
    """The gradient of a network with one hidden layer of ReLU and one sigmoid unit, three times.

    By the framework (automatic differentiation), by hand (back-propagation written out) and by
    central differences, all in float64; the largest differences from the first.
    """
    layers = [layer for layer in model.network.layers if layer.weights]
    weights = [w.astype(np.float64) for layer in layers for w in layer.get_weights()]
    x, y = (part[:32].astype(np.float64) for part in arrays(model.declaration, model.data.train))
    with jax.enable_x64(True):
        copies = [_in_float64(layer) for layer in layers]
        by_framework = _by_framework(copies, model.parts.loss, weights, x, y)
    by_hand = _by_hand(weights, x, y)
    by_differences = _by_differences(weights, x, y)
    return {
        "framework": by_framework,
        "hand": by_hand,
        "differences": by_differences,
        "hand_error": float(np.abs(by_hand - by_framework).max()),
        "difference_error": float(np.abs(by_differences - by_framework).max()),
    }


def _in_float64(layer: Any) -> Any:
    copy = type(layer).from_config(layer.get_config() | {"dtype": "float64"})
    copy.build(layer.input.shape)
    return copy


def _by_framework(
    layers: list[Any], loss: Any, weights: list[NDArray[Any]], x: Any, y: Any
) -> NDArray[np.float64]:
    def of(weights: list[Any]) -> Any:
        activations = x
        for number, layer in enumerate(layers):
            activations, _ = layer.stateless_call(
                weights[2 * number : 2 * number + 2], [], activations
            )
        # The loss object would compute in float32.
        return keras.ops.mean(keras.ops.binary_crossentropy(y, activations))

    return _flat(jax.grad(of)([jnp.asarray(w) for w in weights]))


def _by_hand(weights: list[NDArray[Any]], x: Any, y: Any) -> NDArray[np.float64]:
    """x · 1[z > 0] · v · (F − y), averaged over the examples, and its companions."""
    w, b, v, c = weights
    z = x @ w + b
    a = np.maximum(z, 0)
    f = 1 / (1 + np.exp(-(a @ v + c)))
    from_output = (f - y) / len(x)
    from_hidden = (from_output @ v.T) * (z > 0)
    return _flat(
        [x.T @ from_hidden, from_hidden.sum(axis=0), a.T @ from_output, from_output.sum(axis=0)]
    )


def _by_differences(weights: list[NDArray[Any]], x: Any, y: Any) -> NDArray[np.float64]:
    """Central differences of the loss, one parameter after the other."""
    step, gradient = 1e-6, []
    for weight in weights:
        for index in np.ndindex(weight.shape):
            kept = weight[index]
            sides = []
            for moved in (kept + step, kept - step):
                weight[index] = moved
                sides.append(_cross_entropy(weights, x, y))
            weight[index] = kept
            gradient.append((sides[0] - sides[1]) / (2 * step))
    return np.array(gradient)


def _cross_entropy(weights: list[NDArray[Any]], x: Any, y: Any) -> float:
    w, b, v, c = weights
    f = 1 / (1 + np.exp(-(np.maximum(x @ w + b, 0) @ v + c)))
    return float(-(y * np.log(f) + (1 - y) * np.log(1 - f)).mean())


def _flat(parts: Any) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(part, np.float64).ravel() for part in parts])
