"""Training and its outcome.

Loss curves, dots for each variant, step sizes, the loss surface, and what mattered in a search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from wardrobe.training.studies.figures.style import (
    AMOUNT,
    BLUE,
    COLOURS,
    DARK,
    INK,
    ORANGE,
    by_label,
    in_percent,
    label_ends,
    logarithmic,
    panels,
    quiet,
    words,
)
from wardrobe.training.studies.records import Record

_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))


def loss_curves(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """Curves of the history: a colour for each label of `by`, a panel for each of `panels`.

    Options: `y`, a column of the history or a list of them (loss), drawn in dashes of their own;
    `x` (epoch, or seconds), a list of both gives a panel each; `log` (true); `top`, the highest
    value that is shown; `best_of`, a number: of the variants of a label only those are drawn whose
    median of it, over the seeds, is lowest.
    """
    ways = options.get("x", ["epoch"])
    facets = by_label(records, options.get("panels"))
    figure, axes = panels(len(facets) * len(ways), 2, 3.9, 2.7)
    places = iter(axes)
    for name, of_panel in facets.items():
        for way in ways:
            panel = next(places)
            _draw_curves(panel, of_panel, way, options)
            panel.set_title(words(f"{options.get('panels')}: {name}" if name else ""))
    return figure


def _draw_curves(panel: Axes, records: Sequence[Record], way: str, options: dict[str, Any]) -> None:
    columns = options.get("y", ["loss"])
    ends = []
    groups = by_label(records, options.get("by"))
    for number, (label, group) in enumerate(groups.items()):
        if "best_of" in options:
            group, label = _best(group, options["by"], options["best_of"])
        for dash, column in zip(_DASHES, columns, strict=False):
            colour = COLOURS[(number if len(groups) > 1 else _DASHES.index(dash)) % len(COLOURS)]
            x, low, middle, high = _over_seeds(group, way, column, options.get("top"))
            panel.plot(x, middle, color=colour, linestyle=dash)
            if len(group) > 1:
                panel.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0)
            kind = words(column) if "_" in column else f"training {column}"
            text = words(label if len(columns) == 1 else f"{label} {kind}".strip())
            ends.append((middle[-1], text, colour))
    if options.get("log", True):
        logarithmic(panel, "y")
    if "top" in options:
        panel.set_ylim(top=options["top"])
    if way == "seconds":
        logarithmic(panel, "x")
    else:
        panel.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    panel.set_xlabel("seconds (without compiling)" if way == "seconds" else "epoch")
    panel.set_ylabel(words(columns[0] if len(columns) == 1 else "loss"))
    quiet(panel)
    label_ends(panel, ends)
    if len(groups) > 1:
        panel.text(1.02, 1.06, words(options["by"]), transform=panel.transAxes, fontsize=8.5)


def _best(group: Sequence[Record], by: str, number: str) -> tuple[list[Record], str]:
    """The variants that differ only in their seed and have the lowest median, and their labels."""
    groups: dict[str, list[Record]] = {}
    for record in group:
        others = [label for axis, label in record.labels.items() if axis not in (by, "seed")]
        groups.setdefault(" ".join([record.labels[by], *others]), []).append(record)
    medians = {
        label: np.median(np.nan_to_num([one.numbers[number] for one in variants], nan=np.inf))
        for label, variants in groups.items()
    }
    label = min(medians, key=lambda label: float(medians[label]))
    return groups[label], label


def _over_seeds(
    group: Sequence[Record], way: str, column: str, top: float | None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Where each epoch lies, and the lowest, median and highest value of the seeds.

    A loss that is no number any more is drawn at the top; a shorter history ends all of them.
    """
    length = min(len(record.arrays[f"history_{column}"]) for record in group)
    values = np.stack([record.arrays[f"history_{column}"][:length] for record in group])
    ceiling = top if top is not None else np.nanmax(np.where(np.isfinite(values), values, np.nan))
    values = np.minimum(np.nan_to_num(values, nan=ceiling, posinf=ceiling), ceiling)
    x = np.arange(1, length + 1, dtype=float)
    if way == "seconds":
        x = np.median([record.arrays["history_seconds"][:length] for record in group], axis=0)
    return x, values.min(axis=0), np.median(values, axis=0), values.max(axis=0)


_AXIS_NAMES = {
    "train_accuracy": "training accuracy",
    "train_loss": "training loss",
    "parameters": "parameters",
}


def dots(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """A row for each label of `by`, a panel for each number of `show`.

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
        panel.set_xlabel(_AXIS_NAMES.get(number, words(number)))
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


def rate_range(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """Loss over step size as it grows with every batch, and the two step sizes read off it."""
    figure, (panel,) = panels(1, 1, 5.2, 2.9)
    for record in records:
        panel.plot(record.arrays["rates"], record.arrays["smooth"], color=BLUE, alpha=0.7,
                   linewidth=1.4)  # fmt: skip
    first = records[0].arrays["smooth"][0]
    panel.set_ylim(0, 2 * first)
    for number, text, colour, side in (
        ("steepest_rate", "falls quickest at", ORANGE, "right"),
        ("limit_rate", "lowest at", INK, "left"),
    ):
        rate = float(np.median([record.numbers[number] for record in records]))
        panel.axvline(rate, color=colour, linewidth=1, linestyle=(0, (4, 2)))
        panel.text(rate, 0.06 * first, f" {text} {rate:.2g} ", color=colour, ha=side,
                   fontsize=8.5)  # fmt: skip
    panel.set_xscale("log")
    panel.set_xlabel("step size, larger with every batch")
    panel.set_ylabel("loss of the batch, smoothed")
    quiet(panel)
    return figure


def landscape(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """The final losses of all seeds, sorted, and the slice around the worst of them."""
    figure, (left, right) = panels(2, 2, 3.5, 2.9)
    ordered = sorted(records, key=lambda record: record.numbers["train_loss"])
    losses = [record.numbers["train_loss"] for record in ordered]
    left.plot(range(1, len(losses) + 1), losses, "o", color=BLUE, markersize=4.5)
    left.plot([len(losses)], [losses[-1]], "o", color=ORANGE, markersize=6)
    left.set_xlabel("seeds, the best first")
    left.set_ylabel("training loss at the end")
    left.set_ylim(bottom=0)
    quiet(left)
    surface = ordered[-1].arrays["slice"]
    heights = np.log10(np.maximum(surface, 1e-4))
    reach = 1.5
    right.imshow(heights, origin="lower", extent=(-reach, reach, -reach, reach), cmap=AMOUNT,
                 aspect="auto", interpolation="bilinear")  # fmt: skip
    steps = np.linspace(-reach, reach, len(surface))
    right.contour(steps, steps, heights, levels=12, colors=[DARK], linewidths=0.5, alpha=0.6,
                  linestyles="solid")  # fmt: skip
    right.plot([0], [0], "o", color=ORANGE, markersize=6, markeredgecolor="white")
    right.set_xlabel("first random direction")
    right.set_ylabel("second random direction")
    right.set_title("loss round the worst end (orange); dark is high", fontsize=8.5)
    return figure


_IMPORTANCE = "importance_"


def what_mattered(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """The share of each range in what the accuracy depends on, and accuracy over each range.

    Option `log`: the ranges whose scale is logarithmic.
    """
    importance = {
        name.removeprefix(_IMPORTANCE): value
        for name, value in records[0].numbers.items()
        if name.startswith(_IMPORTANCE)
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
