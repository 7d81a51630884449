"""What a search has found, and which of its ranges mattered."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure

from wardrobe.training.studies.figures.style import (
    BLUE,
    INK,
    ORANGE,
    in_percent,
    logarithmic,
    panels,
    quiet,
    words,
)
from wardrobe.training.studies.records import Record

_PREFIX = "importance_"


def what_mattered(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """The share of each range in what the accuracy depends on, and accuracy over each range.

    Option `log`: the ranges whose scale is logarithmic.
    """
    importance = {
        name.removeprefix(_PREFIX): value
        for name, value in records[0].numbers.items()
        if name.startswith(_PREFIX)
    }
    figure, (bars, *axes) = panels(1 + len(importance), 3, 2.6, 2.3)
    names = sorted(importance, key=lambda name: importance[name])
    bars.barh([words(name) for name in names], [importance[name] for name in names], color=BLUE)
    bars.set_xlabel("importance (PED-ANOVA)")
    bars.tick_params(axis="y", length=0)
    best = max(records, key=lambda record: record.numbers["validation_accuracy"])
    for panel, name in zip(axes, reversed(names), strict=True):
        for record in records:
            x, y = record.numbers[name], record.numbers["validation_accuracy"]
            pruned = bool(record.numbers["pruned"])
            panel.plot(x, y, "x" if pruned else "o", color=INK if pruned else BLUE, alpha=0.55,
                       markersize=4)  # fmt: skip
        panel.plot(best.numbers[name], best.numbers["validation_accuracy"], "o", color=ORANGE,
                   markersize=7)  # fmt: skip
        panel.set_xlabel(words(name))
        if name in options.get("log", []):
            logarithmic(panel, "x")
        in_percent(panel.yaxis)
        quiet(panel)
    axes[0].set_ylabel("validation accuracy")
    axes[0].set_title("best in orange, × ended early", fontsize=8.5)
    return figure
