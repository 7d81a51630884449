"""Averaging the predictions over perturbed copies of each example."""

from __future__ import annotations

import numpy as np

from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import Subject

COPIES = 16
EXAMPLES = 2_000  # of the test set: perturbing pictures takes long


def averaged_copies(subject: Subject) -> Found:
    """Test accuracy of one perturbed look, and of the average over 16 of them.

    The perturbations are those that the network itself was trained with: its augmentation layers
    are switched on, its dropout stays off.
    """
    classes = subject.data.test.y[:EXAMPLES]
    passes = np.stack([_perturbed(subject) for _ in range(COPIES)])
    return {
        "one_copy_accuracy": float((passes[0].argmax(axis=1) == classes).mean()),
        "averaged_accuracy": float((passes.mean(axis=0).argmax(axis=1) == classes).mean()),
    }


def _perturbed(subject: Subject) -> np.ndarray:
    x = subject.data.test.x[:EXAMPLES].astype(np.float32)
    for layer in subject.network.layers:
        kind = type(layer).__name__
        perturbs = kind.startswith("Random") or kind == "GaussianNoise"
        x = np.asarray(layer(x, training=True) if perturbs else layer(x))
    return x
