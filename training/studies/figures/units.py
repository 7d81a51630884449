"""Figures of a single unit, of activations, of fitted curves and of softmax."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wardrobe.training.studies.figures.style import BLUE, INK, ORANGE, by_label, panels, quiet
from wardrobe.training.studies.records import Record


def weighted_sums(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """Each input with its weighted sum, coloured by what the unit says; a panel a label of `by`.

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
        panel.text(threshold, -0.75, f" threshold {threshold:g}", fontsize=8, va="bottom")
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
    """What networks of one input say, over the examples; a panel a label of `by`."""
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
