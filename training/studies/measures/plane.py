"""Networks of two inputs: their decision over the plane, and the space of their hidden layer."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import Subject

SIDE = 90  # points along each side of a grid: smooth enough at the size of a figure
SHOWN = 300  # examples that a figure can hold


def regions(subject: Subject) -> Found:
    """The probability of the second class over the plane, and some of the test examples."""
    test = subject.data.test
    grid, extent = _grid(test.x)
    return {
        "extent": extent,
        "probability": _second(subject.outputs(grid)).reshape(SIDE, SIDE),
        "points": test.x[:SHOWN],
        "classes": test.y[:SHOWN],
    }


def hidden_space(subject: Subject) -> Found:
    """The same in the space of the last hidden layer, of two units.

    `hidden_line_accuracy`: how well a line (least squares) separates the classes there;
    `input_line_accuracy`: the same in the space of the inputs.
    """
    network, head = subject.network, subject.network.layers[-1]
    encoder = keras.Model(network.inputs[0], network.layers[-2].output)
    test = subject.data.test
    hidden = subject.outputs(test.x, encoder)
    grid, extent = _grid(hidden)
    return regions(subject) | {
        "hidden_points": hidden[:SHOWN],
        "hidden_extent": extent,
        "hidden_probability": _second(subject.outputs(grid, head)).reshape(SIDE, SIDE),
        "hidden_line_accuracy": _line_accuracy(hidden, test.y),
        "input_line_accuracy": _line_accuracy(test.x, test.y),
    }


def _grid(points: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Points over the range of others and a tenth beyond, [SIDE², 2]; left, right, low, high."""
    low, high = points.min(axis=0), points.max(axis=0)
    margin = 0.1 * np.maximum(high - low, 1e-3)
    low, high = low - margin, high + margin
    axes = np.meshgrid(*(np.linspace(low[i], high[i], SIDE) for i in (0, 1)))
    grid = np.stack([axis.ravel() for axis in axes], axis=1).astype(np.float32)
    return grid, np.array([low[0], high[0], low[1], high[1]], np.float64)


def _second(outputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability of the second of two classes, for one unit or for two."""
    return outputs[:, -1]


def _line_accuracy(points: NDArray[Any], classes: NDArray[Any]) -> float:
    with_bias = np.column_stack([points, np.ones(len(points))])
    weights = np.linalg.lstsq(with_bias, 2.0 * classes - 1, rcond=None)[0]
    return float(((with_bias @ weights > 0) == (classes == 1)).mean())
