"""Gradients: three ways to compute them, and their size through the layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wardrobe.training.studies.figures.style import (
    BLUE,
    COLOURS,
    INK,
    ORANGE,
    by_label,
    label_ends,
    panels,
    quiet,
    words,
)
from wardrobe.training.studies.records import Record


def gradient_agreement(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """The gradient of every parameter by hand against the framework's, and the differences."""
    figure, (left, right) = panels(2, 2, 3.4, 2.9)
    framework, hand, differences = (
        np.concatenate([record.arrays[name] for record in records])
        for name in ("framework", "hand", "differences")
    )
    reach = 1.1 * np.abs(framework).max()
    left.plot([-reach, reach], [-reach, reach], color=INK, linewidth=0.8, alpha=0.5)
    left.scatter(framework, hand, s=12, color=BLUE, alpha=0.6, linewidths=0)
    left.set_xlabel("∂L/∂θ by the framework")
    left.set_ylabel("∂L/∂θ by hand")
    quiet(left)
    for row, (values, name, colour) in enumerate(
        [(hand, "by hand", BLUE), (differences, "finite\ndifferences", ORANGE)]
    ):
        errors = np.maximum(np.abs(values - framework), 1e-18)
        heights = row + np.random.default_rng(0).uniform(-0.25, 0.25, len(errors))
        right.scatter(errors, heights, s=10, color=colour, alpha=0.6, linewidths=0)
        right.text(1e-18, row + 0.36, name.replace("\n", " "), color=colour, fontsize=8.5)
    right.axvline(1e-6, color=INK, linewidth=0.9, linestyle=(0, (4, 2)))
    right.text(1e-6, 1.62, "10⁻⁶, the bound of the claim ", ha="right", fontsize=8)
    right.set_xscale("log")
    right.set_xlim(3e-19, 1e-5)
    right.set_ylim(-0.5, 1.8)
    right.set_yticks([])
    right.spines["left"].set_visible(False)
    right.set_xlabel("distance from the framework's gradient")
    return figure


def norms_by_layer(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """Norm of each layer's gradient: a colour for each depth, a panel for each label of `panels`.

    The median of the seeds.
    """
    facets = by_label(records, options["panels"])
    figure, axes = panels(len(facets), 3, 2.6, 2.35)
    for panel, (name, of_panel) in zip(axes, facets.items(), strict=True):
        ends = []
        for colour, (depth, group) in zip(
            COLOURS, by_label(of_panel, options["by"]).items(), strict=False
        ):
            norms = np.median([record.arrays["norms"] for record in group], axis=0)
            norms = np.maximum(norms, 1e-30)
            position = np.linspace(0, 1, len(norms))
            panel.plot(position, norms, color=colour, marker="o", markersize=2.2, linewidth=1.3)
            ends.append((float(norms[-1]), words(depth), colour))
        panel.set_yscale("log")
        panel.set_ylim(1e-14, 1e14)
        panel.set_title(words(name))
        panel.set_xticks([0, 1], ["input", "output"])
        quiet(panel)
        if panel in axes[::3]:
            panel.set_ylabel("‖∂L/∂W‖")
        label_ends(panel, ends, 0.09)
        panel.text(1.02, 1.06, words(options["by"]), transform=panel.transAxes, fontsize=8.5)
    return figure
