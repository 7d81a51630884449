"""What can be measured on a variant, by name: from a model to numbers and arrays.

A number can stand in a claim; arrays are what figures are drawn from.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wardrobe.training.studies.records import Found
    from wardrobe.training.studies.trained_model import TrainedModel

    Measure = Callable[[TrainedModel], Found]

# By module: these import JAX, and a study's file is checked without.
_MEASURES = {
    "functions": (
        "activation_curve", "curve", "hidden_space", "regions", "softmax_identities", "unit",
    ),
    "gradients": ("gradient_check", "gradient_norms"),
    "pictures": ("averaged_copies", "confusion", "first_layer"),
    "training": ("decay_gradient", "loss_slice", "range_test"),
}  # fmt: skip

NAMES = sorted(name for names in _MEASURES.values() for name in names)


def measure(name: str) -> Measure:
    """The measure of a name, one of `NAMES`."""
    (module,) = (module for module, names in _MEASURES.items() if name in names)
    found: Measure = getattr(import_module(f"{__name__}.{module}"), name)
    return found
