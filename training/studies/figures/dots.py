"""Numbers of several kinds of members side by side: a dot a seed, a bar for the median."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wardrobe.training.studies.figures.style import (
    COLOURS,
    by_label,
    in_percent,
    logarithmic,
    quiet,
    words,
)
from wardrobe.training.studies.records import Record

_NAMES = {
    "train_accuracy": "training accuracy",
    "train_loss": "training loss",
    "parameters": "parameters",
}


def dots(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """A row a label of `by`; a panel for each number of `show`.

    Option `log`: the numbers whose scale is logarithmic.
    """
    groups, shown = by_label(records, options["by"]), options["show"]
    columns = len(shown) if len(shown) <= 3 else 2
    rows = -(-len(shown) // columns)
    size = 1.6 + 2.7 * columns, (0.75 + 0.27 * len(groups)) * rows
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for colour, number, panel in zip(COLOURS, shown, axes, strict=False):
        for row, group in enumerate(groups.values()):
            values = [record.numbers[number] for record in group]
            panel.plot(values, [row] * len(values), "o", color=colour, markersize=4.5, alpha=0.5,
                       markeredgewidth=0)  # fmt: skip
            panel.plot([np.median(values)] * 2, [row - 0.32, row + 0.32], color=colour,
                       linewidth=2.5)  # fmt: skip
        panel.set_xlabel(_NAMES.get(number, words(number)))
        quiet(panel)
        panel.grid(axis="x", alpha=0.12)
        if number in options.get("log", []):
            logarithmic(panel, "x")
        elif number.endswith("accuracy"):
            in_percent(panel.xaxis)
        panel.tick_params(axis="y", length=0)
        panel.spines["left"].set_visible(False)
    axes[0].set_yticks(range(len(groups)), list(groups))
    for panel in axes[::columns]:
        panel.set_ylabel(words(options["by"]))
    axes[0].invert_yaxis()
    return figure
