"""What can be measured on a member, by name: from a subject to numbers and arrays.

A number can stand in a claim; arrays are what figures are drawn from.
"""

from __future__ import annotations

from collections.abc import Callable

from wardrobe.training.studies.measures.always import always
from wardrobe.training.studies.measures.augmentation import averaged_copies
from wardrobe.training.studies.measures.gradients import gradient_check, gradient_norms
from wardrobe.training.studies.measures.heads import softmax_identities
from wardrobe.training.studies.measures.pictures import confusion, first_layer
from wardrobe.training.studies.measures.plane import hidden_space, regions
from wardrobe.training.studies.measures.range_test import range_test
from wardrobe.training.studies.measures.surface import loss_slice
from wardrobe.training.studies.measures.units import activation_curve, curve, unit
from wardrobe.training.studies.measures.weights import decay_gradient
from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import Subject

Measure = Callable[[Subject], Found]

MEASURES: dict[str, Measure] = {
    measure.__name__: measure
    for measure in (
        activation_curve,
        averaged_copies,
        confusion,
        curve,
        decay_gradient,
        first_layer,
        gradient_check,
        gradient_norms,
        hidden_space,
        loss_slice,
        range_test,
        regions,
        softmax_identities,
        unit,
    )
}

__all__ = ["MEASURES", "Measure", "always"]
