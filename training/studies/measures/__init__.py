"""What can be measured on a variant, by name: from a model to numbers and arrays.

A number can stand in a claim; arrays are what figures are drawn from.
"""

from __future__ import annotations

from collections.abc import Callable

from wardrobe.training.studies.measures.functions import (
    activation_curve,
    curve,
    hidden_space,
    regions,
    softmax_identities,
    unit,
)
from wardrobe.training.studies.measures.gradients import gradient_check, gradient_norms
from wardrobe.training.studies.measures.pictures import averaged_copies, confusion, first_layer
from wardrobe.training.studies.measures.training import (
    always,
    decay_gradient,
    loss_slice,
    range_test,
)
from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import TrainedModel

Measure = Callable[[TrainedModel], Found]

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
