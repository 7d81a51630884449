"""Weights of the training examples, so that rare classes count as much as others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from wardrobe.models import Declaration, DeclarationError
from wardrobe.models.schema.rules import unknown_classes
from wardrobe.training.data import DataSet
from wardrobe.training.data.dataset import Part


def class_weights(declaration: Declaration, data: DataSet) -> dict[str, float]:
    """The weight of each class by its name, as declared; empty if all examples count the same.

    `balanced`: examples / (classes × examples of the class), over the classes that have training
    examples, so that the mean weight of an example is 1. In a mapping, classes that are not named
    have the weight 1.

    Raises:
        DeclarationError: the declaration names a class that the data set does not have.
    """
    declared = declaration.training.class_weight
    if declared is None or data.class_names is None or data.parts:
        return {}
    if isinstance(declared, dict):
        if unknown := list(unknown_classes(declared, data.class_names)):
            raise DeclarationError(declaration.error(path, message) for path, message in unknown)
        return {name: float(declared.get(name, 1)) for name in data.class_names}
    counts = np.bincount(data.train.y, minlength=len(data.class_names))
    balanced = len(data.train) / (np.count_nonzero(counts) * np.maximum(counts, 1))
    return dict(zip(data.class_names, balanced.tolist(), strict=True))


def example_weights(declaration: Declaration, data: DataSet) -> NDArray[np.float32] | None:
    """The weight of each training example, float32 `[N]`; None if all count the same.

    It depends on the class or, with several data sets, on the set and the class in it.
    """
    if any(part.weight != 1 for part in data.parts):
        return np.concatenate([_weights_of_part(part, data.train.y) for part in data.parts])
    weights = class_weights(declaration, data)
    if not weights:
        return None
    of_class = np.array([*weights.values()], np.float32)
    return np.asarray(of_class[data.train.y])


def _weights_of_part(part: Part, targets: NDArray[np.float32]) -> NDArray[np.float32]:
    """The weights for one of several sets; `targets [N, classes]` are those of all sets."""
    examples = part.examples["train"]
    if not isinstance(part.weight, dict):
        return np.full(len(examples), part.weight, np.float32)
    own = (targets[examples.start : examples.stop] @ part.members.T).argmax(axis=1)
    of_class = np.array([part.weight.get(name, 1) for name in part.class_names], np.float32)
    return np.asarray(of_class[own])
