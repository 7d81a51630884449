"""Picture classifiers: first-layer weights, confusion, and averaged perturbed copies."""

from __future__ import annotations

import numpy as np

from wardrobe.training.evaluation.metrics import classification
from wardrobe.training.fit.augmentation import copies
from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import TrainedModel

UNITS_SHOWN = 24  # units of the first layer that are drawn
MISTAKES_SHOWN = 4  # kinds of mistakes that are shown by a picture


def first_layer(model: TrainedModel) -> Found:
    """The weights into the units of the first layer that have the largest ones: [24, H, W].

    Nothing of a network whose inputs are not pictures.
    """
    if len(model.data.input_shape) < 2:
        return {}
    dense = next(layer for layer in model.network.layers if layer.weights)
    kernel = dense.get_weights()[0]
    order = np.argsort(-np.linalg.norm(kernel, axis=0))[:UNITS_SHOWN]
    pictures = kernel.T[order].reshape(-1, *model.data.input_shape)
    return {"first_weights": pictures, "smoothness": _smoothness(pictures)}


def _smoothness(pictures: np.ndarray) -> float:
    """Correlation of neighbouring pixels: about 0 for noise, near 1 for strokes and patches."""
    left, right = pictures[:, :, :-1].ravel(), pictures[:, :, 1:].ravel()
    return float(np.corrcoef(left, right)[0, 1])


def confusion(model: TrainedModel) -> Found:
    """The confusion matrix of the test examples, and an example of each most frequent mistake.

    `confused_true`, `confused_called`: the classes of those examples.
    """
    test = model.data.test
    outputs = model.outputs(test.x)
    names = model.data.class_names or ()
    matrix = np.array(classification(outputs, test.y, names)["confusion"])
    mistakes = matrix - np.diag(np.diag(matrix))
    worst = np.argsort(-mistakes, axis=None)[:MISTAKES_SHOWN]
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


COPIES = 8
AVERAGED = 1_000  # test examples: perturbing pictures takes long


def averaged_copies(model: TrainedModel) -> Found:
    """Test accuracy of one perturbed look, and of the average over 8 of them.

    The perturbations are those that the network itself was trained with: those of its augmented
    copies, and its own augmentation layers, switched on; its dropout stays off.
    """
    x, classes = model.data.test.x[:AVERAGED], model.data.test.y[:AVERAGED]
    perturbed = np.tile(x, (COPIES, *[1] * (x.ndim - 1)))
    if model.parts.augmentation:
        perturbed = copies(model.parts.augmentation, COPIES, x)
    passes = _perturbed(model, perturbed.astype(np.float32)).reshape(COPIES, len(x), -1)
    return {
        "one_copy_accuracy": float((passes[0].argmax(axis=1) == classes).mean()),
        "averaged_accuracy": float((passes.mean(axis=0).argmax(axis=1) == classes).mean()),
    }


def _perturbed(model: TrainedModel, x: np.ndarray) -> np.ndarray:
    for layer in model.network.layers:
        kind = type(layer).__name__
        perturbs = kind.startswith("Random") or kind == "GaussianNoise"
        x = np.asarray(layer(x, training=True) if perturbs else layer(x))
    return x
