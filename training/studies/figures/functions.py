"""What networks compute: units, activations, fitted curves, softmax, the input plane."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from wardrobe.training.studies.figures.style import (
    BLUE,
    CLASSES,
    DARK,
    INK,
    ORANGE,
    REGIONS,
    by_label,
    panels,
    quiet,
)
from wardrobe.training.studies.records import Record


def weighted_sums(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """Each input with its weighted sum, coloured by the output; a panel for each label of `by`.

    Option `names`: what the inputs are called.
    """
    groups = by_label(records, options.get("by"))
    figure, axes = panels(len(groups), 2, 3.5, 2.9)
    for panel, (label, (record, *_)) in zip(axes, groups.items(), strict=True):
        inputs, z = record.arrays["inputs"], record.arrays["z"]
        sums = z - record.arrays["bias"][0]
        order = np.lexsort((inputs[:, 0], -sums))
        colours = [ORANGE if record.arrays["output"][at] > 0.5 else BLUE for at in order]
        rows = np.arange(len(order))
        panel.hlines(rows, 0, sums[order], color=colours, linewidth=2)
        panel.scatter(sums[order], rows, color=colours, s=26, zorder=3)
        threshold = -record.arrays["bias"][0]
        panel.axvline(threshold, color=INK, linewidth=1, linestyle=(0, (4, 2)))
        panel.annotate(
            f"threshold {threshold:g}", (threshold, -0.75), xytext=(4, 0),
            textcoords="offset points", fontsize=8, va="bottom",
        )  # fmt: skip
        panel.set_yticks(rows, [_in_words(inputs[at], options["names"]) for at in order])
        panel.set_ylim(len(order) - 0.4, -1.1)
        panel.tick_params(axis="y", length=0, labelsize=8)
        panel.set_xlabel("weighted sum wᵀx")
        panel.set_title(label)
        for row, at in enumerate(order):
            says = options.get("yes", "1") if record.arrays["output"][at] > 0.5 else ""
            panel.annotate(says, (sums[at], row), (7, 0), textcoords="offset points", color=ORANGE,
                           va="center", fontsize=8.5, weight="bold")  # fmt: skip
    return figure


def _in_words(inputs: Any, names: Sequence[str]) -> str:
    present = [name for name, value in zip(names, inputs, strict=True) if value]
    return " + ".join(present) or "nothing"


def activation_curves(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """Each activation and its derivative over z."""
    groups = by_label(records, options["by"])
    figure, axes = panels(len(groups), 4, 1.85, 1.9)
    for panel, (label, (record, *_)) in zip(axes, groups.items(), strict=True):
        z = record.arrays["z"]
        panel.axhline(0, color=INK, linewidth=0.5, alpha=0.4)
        panel.plot(z, record.arrays["value"], color=BLUE)
        panel.plot(z, record.arrays["derivative"], color=ORANGE, linestyle=(0, (4, 1.5)))
        panel.set_ylim(-1.3, 2.6)
        panel.set_xticks([-4, 0, 4])
        panel.set_yticks([-1, 0, 1, 2])
        panel.set_title(label)
        quiet(panel)
    axes[0].text(-4.7, 2.2, "f(z)", color=BLUE)
    axes[0].text(-4.7, 1.6, "f′(z)", color=ORANGE)
    for panel in axes[-4:]:
        panel.set_xlabel("z")
    return figure


def fitted_curves(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """The outputs of networks with one input, over the examples; a panel for each label of `by`."""
    groups = by_label(records, options["by"])
    figure, axes = panels(len(groups), 3, 2.5, 2.2)
    for panel, (label, group) in zip(axes, groups.items(), strict=True):
        x, y = group[0].arrays["points"].T
        panel.scatter(x, y, s=4, color=INK, alpha=0.25, linewidths=0,
                      rasterized=True)  # fmt: skip
        for record in group:
            panel.plot(record.arrays["x"], record.arrays["y"], color=BLUE, linewidth=1.4)
        error = np.median([record.numbers["test_loss"] for record in group])
        unit = options["by"].removesuffix("s") if label == "1" else options["by"]
        panel.set_title(f"{label} {unit}\nsquared loss {error:.3f} on test examples", fontsize=8.5)
        panel.set_xlabel("x")
        quiet(panel)
    axes[0].set_ylabel("y")
    return figure


def softmax_curve(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """Two classes: the softmax outputs over the difference of logits, on the sigmoid curve."""
    two = next(record for record in records if record.arrays["logits"].shape[1] == 2)
    figure, (panel, bars) = panels(2, 2, 3.3, 2.6)
    logits, outputs = two.arrays["logits"], two.arrays["outputs"]
    difference = logits[:, 1] - logits[:, 0]
    z = np.linspace(difference.min(), difference.max(), 200)
    panel.plot(z, 1 / (1 + np.exp(-z)), color=INK, linewidth=1)
    panel.scatter(difference, outputs[:, 1], s=14, color=BLUE, alpha=0.6, linewidths=0)
    panel.text(0.05, 0.92, "sigmoid(z₂ − z₁)", transform=panel.transAxes)
    panel.text(0.05, 0.82, "softmax output 2", transform=panel.transAxes, color=BLUE)
    panel.set_xlabel("difference of logits z₂ − z₁")
    panel.set_ylabel("output")
    quiet(panel)
    many = max(records, key=lambda record: record.arrays["logits"].shape[1])
    example = many.arrays["outputs"][int(many.arrays["outputs"].max(axis=1).argmin())]
    bars.bar(range(len(example)), example, color=[
        ORANGE if at == example.argmax() else BLUE for at in range(len(example))
    ])  # fmt: skip
    bars.set_xticks(range(len(example)))
    bars.set_xlabel("class")
    bars.set_ylabel("output for one example")
    bars.set_title(f"{len(example)} classes; they add up to {example.sum():.6f}")
    quiet(bars)
    return figure


SUCCESS = 0.98


def region_grid(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """A panel for each label of `by`: the decision of one seed, and how many seeds succeed.

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
    """A row for each label of `by`: the decision in the input space, the line in the hidden space.

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
    """The probability as background, the border where it is a half, and the examples."""
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
