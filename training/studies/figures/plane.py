"""Decisions over the plane, and the space of a hidden layer beside the space of the inputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wardrobe.training.studies.figures.style import CLASSES, DARK, REGIONS, by_label, panels
from wardrobe.training.studies.records import Record

SUCCESS = 0.98


def region_grid(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """A panel a label of `by`: the decision of one seed, and how many seeds succeed.

    The seed that is drawn is the one with the median test accuracy.
    """
    groups = by_label(records, options["by"])
    figure, axes = panels(len(groups), 4, 1.75, 2.1)
    for number, (panel, (label, group)) in enumerate(zip(axes, groups.items(), strict=True)):
        accuracies = [record.numbers["test_accuracy"] for record in group]
        middle = group[int(np.argsort(accuracies)[len(group) // 2])]
        draw_regions(panel, middle.arrays, "")
        succeeded = sum(accuracy > SUCCESS for accuracy in accuracies)
        unit = options["by"].removesuffix("s") if label == "1" else options["by"]
        panel.set_title(f"{label} {unit}\n{succeeded} of {len(group)} seeds", fontsize=8.5)
        panel.set_xlabel("x₁")
        panel.set_ylabel("x₂" if number % 4 == 0 else "")
    return figure


def spaces(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """A row a label of `by`: the decision in the input space, and the line in the hidden space.

    Of several seeds the best is drawn.
    """
    groups = by_label(records, options["by"])
    figure = Figure(figsize=(2.35 * len(groups), 4.7), layout="constrained")
    axes = figure.subplots(2, len(groups), squeeze=False)
    for column, (label, group) in enumerate(groups.items()):
        best = max(group, key=lambda record: record.numbers["test_accuracy"])
        above, below = axes[0, column], axes[1, column]
        draw_regions(above, best.arrays, "")
        draw_regions(below, best.arrays, "hidden_")
        accuracy = best.numbers["test_accuracy"]
        above.set_title(f"{label}: {accuracy:.0%} right", fontsize=9)
        below.set_xlabel("hidden unit 1")
        above.set_xlabel("x₁")
    axes[0, 0].set_ylabel("input space\nx₂")
    axes[1, 0].set_ylabel("hidden space\nhidden unit 2")
    return figure


def draw_regions(axes: Axes, arrays: dict[str, NDArray[Any]], space: str) -> None:
    """The probability as ground, the border where it is a half, and the examples."""
    probability = arrays[f"{space}probability"]
    left, right, low, high = (float(edge) for edge in arrays[f"{space}extent"])
    points, classes = arrays[f"{space}points"], arrays["classes"]
    edges = (left, right, low, high)
    axes.imshow(probability, origin="lower", extent=edges, cmap=REGIONS, vmin=0, vmax=1,
                aspect="auto", interpolation="bilinear")  # fmt: skip
    if probability.min() < 0.5 < probability.max():
        x, y = (np.linspace(*ends, len(probability)) for ends in ((left, right), (low, high)))
        axes.contour(x, y, probability, levels=[0.5], colors=[DARK], linewidths=1.0)
    for which, (colour, marker) in enumerate(zip(CLASSES, "o^", strict=True)):
        of_class = points[classes == which]
        # Units that are on or off put many examples on one spot: the jitter shows how many.
        jitter = np.random.default_rng(0).normal(0, 0.008, of_class.shape)
        x, y = (of_class + jitter * [right - left, high - low]).T
        axes.scatter(x, y, s=5, color=colour, marker=marker, linewidths=0, alpha=0.8,
                     rasterized=True)  # fmt: skip
    axes.set_xlim(left, right)
    axes.set_ylim(low, high)
    axes.tick_params(length=0, labelbottom=False, labelleft=False)
    axes.spines[:].set_visible(False)
