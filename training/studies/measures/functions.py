"""What a network computes: units, activations, fitted curves, softmax, the input plane."""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import TrainedModel


def unit(model: TrainedModel) -> Found:
    """The weighted sum of a network without hidden layers, by hand, and what the network says.

    `disagreements` counts the examples where the output is not the step of that sum.
    """
    kernel, bias = model.network.layers[-1].get_weights()
    x = model.data.test.x
    z = x.astype(np.float64) @ kernel.astype(np.float64) + bias
    output = model.outputs(x)
    return {
        "inputs": x,
        "z": z[:, 0],
        "output": output[:, 0],
        "kernel": kernel[:, 0],
        "bias": bias,
        "disagreements": float(((z > 0) != (output > 0.5)).sum()),
        "says_yes": float((output > 0.5).sum()),
    }


def activation_curve(model: TrainedModel) -> Found:
    """The first layer's activation and its derivative over z from −5 to 5.

    `derivative_error` is the largest difference from the slope of a chord; `largest_derivative`
    and `flat_share` (where the derivative is below 0.01) say how well it passes a gradient on.
    """
    activation = keras.activations.get(model.network.layers[0].activation)
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


def curve(model: TrainedModel) -> Found:
    """What a network of one input gives over the range of its data, with the training examples."""
    train = model.data.train
    x = np.linspace(train.x.min(), train.x.max(), 300, dtype=np.float32)[:, None]
    return {"x": x[:, 0], "y": model.outputs(x)[:, 0], "points": np.hstack([train.x, train.y])}


def softmax_identities(model: TrainedModel) -> Found:
    """How far the outputs are from adding up to 1, and from exp zⱼ / Σ exp zₖ by hand.

    With two classes also `sigmoid_error`: how far from the sigmoid of the difference of logits.
    """
    network, head = model.network, model.network.layers[-1]
    x = model.data.test.x
    hidden = x
    if len(network.layers) > 1:
        hidden = model.outputs(x, keras.Model(network.inputs[0], network.layers[-2].output))
    kernel, bias = head.get_weights()
    logits = hidden.astype(np.float64) @ kernel.astype(np.float64) + bias
    outputs = model.outputs(x).astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Found = {
        "sum_error": float(np.abs(outputs.sum(axis=1) - 1).max()),
        "softmax_error": float(np.abs(outputs - powers / powers.sum(axis=1, keepdims=True)).max()),
        "outputs": outputs[:200],
        "logits": logits[:200],
    }
    if logits.shape[1] == 2:
        sigmoid = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        found["sigmoid_error"] = float(np.abs(outputs[:, 1] - sigmoid).max())
    return found


GRID_SIDE = 90  # points along each side of a grid: smooth enough at the size of a figure
POINTS_SHOWN = 300  # examples that a figure can hold


def regions(model: TrainedModel) -> Found:
    """The probability of the second class over the plane, and some of the test examples."""
    test = model.data.test
    grid, extent = _grid(test.x)
    return {
        "extent": extent,
        "probability": _second(model.outputs(grid)).reshape(GRID_SIDE, GRID_SIDE),
        "points": test.x[:POINTS_SHOWN],
        "classes": test.y[:POINTS_SHOWN],
    }


def hidden_space(model: TrainedModel) -> Found:
    """The same in the space of the last hidden layer, of two units.

    `hidden_line_accuracy`: how well a line (least squares) separates the classes there;
    `input_line_accuracy`: the same in the space of the inputs.
    """
    network, head = model.network, model.network.layers[-1]
    encoder = keras.Model(network.inputs[0], network.layers[-2].output)
    test = model.data.test
    hidden = model.outputs(test.x, encoder)
    grid, extent = _grid(hidden)
    return regions(model) | {
        "hidden_points": hidden[:POINTS_SHOWN],
        "hidden_extent": extent,
        "hidden_probability": _second(model.outputs(grid, head)).reshape(GRID_SIDE, GRID_SIDE),
        "hidden_line_accuracy": _line_accuracy(hidden, test.y),
        "input_line_accuracy": _line_accuracy(test.x, test.y),
    }


def _grid(points: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Points over the range of others and a tenth beyond, [SIDE², 2]; left, right, low, high."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.1 * np.maximum(high - low, 1e-3)
    low, high = low - margin, high + margin
    axes = np.meshgrid(*(np.linspace(low[i], high[i], GRID_SIDE) for i in (0, 1)))
    grid = np.stack([axis.ravel() for axis in axes], axis=1).astype(np.float32)
    return grid, np.array([low[0], high[0], low[1], high[1]], np.float64)


def _second(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability of the second of two classes, for one unit or for two."""
    return outputs[:, -1]


def _line_accuracy(points: NDArray[Any], classes: NDArray[Any]) -> float:
    with_bias = np.column_stack([points, np.ones(len(points))])
    weights = np.linalg.lstsq(with_bias, 2.0 * classes - 1, rcond=None)[0]
    return float(((with_bias @ weights > 0) == (classes == 1)).mean())
