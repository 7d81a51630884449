"""Classifiers of pictures: the weights of the first layer as pictures, and what is confused."""

from __future__ import annotations

import numpy as np

from wardrobe.training.evaluation.metrics import classification
from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import Subject

SHOWN = 24  # units of the first layer that are drawn
CONFUSED = 4  # kinds of mistakes that are shown by a picture


def first_layer(subject: Subject) -> Found:
    """The weights into the units of the first layer that have the largest ones: [24, H, W]."""
    dense = next(layer for layer in subject.network.layers if layer.weights)
    kernel = dense.get_weights()[0]
    order = np.argsort(-np.linalg.norm(kernel, axis=0))[:SHOWN]
    pictures = kernel.T[order].reshape(-1, *subject.data.input_shape)
    return {"first_weights": pictures, "smoothness": _smoothness(pictures)}


def _smoothness(pictures: np.ndarray) -> float:
    """Correlation of neighbouring pixels: about 0 for noise, near 1 for strokes and patches."""
    left, right = pictures[:, :, :-1].ravel(), pictures[:, :, 1:].ravel()
    return float(np.corrcoef(left, right)[0, 1])


def confusion(subject: Subject) -> Found:
    """The confusion matrix of the test examples, and an example of each most frequent mistake.

    `confused_true`, `confused_called`: the classes of those examples.
    """
    test = subject.data.test
    outputs = subject.outputs(test.x)
    names = subject.data.class_names or ()
    matrix = np.array(classification(outputs, test.y, names)["confusion"])
    mistakes = matrix - np.diag(np.diag(matrix))
    worst = np.argsort(-mistakes, axis=None)[:CONFUSED]
    true, called = np.unravel_index(worst, matrix.shape)
    predicted = outputs.argmax(axis=1)
    shown = [
        int(np.flatnonzero((test.y == t) & (predicted == c))[0])
        for t, c in zip(true, called, strict=True)
        if mistakes[t, c]
    ]
    recall = np.diag(matrix) / np.maximum(matrix.sum(axis=1), 1)
    return {
        "confusion": matrix,
        "confused_pictures": test.x[shown],
        "confused_true": true[: len(shown)],
        "confused_called": called[: len(shown)],
        "lowest_recall": float(recall.min()),
        "highest_recall": float(recall.max()),
        "hardest_class": float(recall.argmin()),
    }
