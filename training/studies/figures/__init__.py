"""Figures of studies by name: from the records of all variants to one drawing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from matplotlib.figure import Figure

from wardrobe.training.studies.figures.functions import (
    activation_curves,
    fitted_curves,
    region_grid,
    softmax_curve,
    spaces,
    weighted_sums,
)
from wardrobe.training.studies.figures.gradients import gradient_agreement, norms_by_layer
from wardrobe.training.studies.figures.over_numbers import lines_over
from wardrobe.training.studies.figures.pictures import confusion_matrix, first_layers
from wardrobe.training.studies.figures.training import (
    dots,
    landscape,
    loss_curves,
    rate_range,
    what_mattered,
)
from wardrobe.training.studies.records import Record

Drawing = Callable[[Sequence[Record], dict[str, Any]], Figure]

FIGURES: dict[str, Drawing] = {
    drawing.__name__: drawing
    for drawing in (
        activation_curves,
        confusion_matrix,
        dots,
        first_layers,
        fitted_curves,
        gradient_agreement,
        landscape,
        lines_over,
        loss_curves,
        norms_by_layer,
        rate_range,
        region_grid,
        softmax_curve,
        spaces,
        weighted_sums,
        what_mattered,
    )
}
