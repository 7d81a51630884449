"""A quantity over the course of training: the median of the seeds, and their spread."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from wardrobe.training.studies.figures.style import (
    COLOURS,
    by_label,
    label_ends,
    logarithmic,
    panels,
    quiet,
    words,
)
from wardrobe.training.studies.records import Record

_DASHES = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))


def loss_curves(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """Curves of the history, a colour a label of `by`, a panel a label of `panels`.

    Options: `y`, a column of the history or a list of them (loss), drawn in dashes of their own;
    `x` (epoch, or seconds), a list of both gives a panel each; `log` (true); `top`, the highest
    value that is shown; `best_of`, a number: of the members of a label only those are drawn whose
    median of it, over the seeds, is lowest.
    """
    ways = options.get("x", ["epoch"])
    facets = by_label(records, options.get("panels"))
    figure, axes = panels(len(facets) * len(ways), 2, 3.9, 2.7)
    places = iter(axes)
    for name, of_panel in facets.items():
        for way in ways:
            panel = next(places)
            _draw(panel, of_panel, way, options)
            panel.set_title(words(f"{options.get('panels')}: {name}" if name else ""))
    return figure


def _draw(panel: Axes, records: Sequence[Record], way: str, options: dict[str, Any]) -> None:
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
    """The members alike but for their seed whose median is lowest, and all their labels."""
    alike: dict[str, list[Record]] = {}
    for record in group:
        others = [label for axis, label in record.labels.items() if axis not in (by, "seed")]
        alike.setdefault(" ".join([record.labels[by], *others]), []).append(record)
    medians = {
        label: np.median(np.nan_to_num([one.numbers[number] for one in members], nan=np.inf))
        for label, members in alike.items()
    }
    label = min(medians, key=lambda label: float(medians[label]))
    return alike[label], label


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
