"""A measure over an axis whose labels are numbers: where an idea begins to hold, where it ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullLocator, PercentFormatter

from wardrobe.training.studies.figures.style import (
    COLOURS,
    INK,
    by_label,
    label_ends,
    logarithmic,
    panels,
    quiet,
    words,
)
from wardrobe.training.studies.records import Record


def lines_over(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """The medians over the seeds as lines, one for each label of `by`, in a band of all seeds.

    Options: `x`, the axis; `y`, the number, or a list of them, with a panel each; `panels`, an axis
    with a panel for each label; `against`, a label of `by`: drawn is the difference from it, seed
    by seed; `log`: the numbers whose scale is logarithmic.
    """
    numbers = options["y"] if isinstance(options["y"], list) else [options["y"]]
    facets = by_label(records, options.get("panels"))
    figure, axes = panels(len(facets) * len(numbers), 2, 4.3, 2.8)
    places = iter(axes)
    for name, of_panel in facets.items():
        for number in numbers:
            panel = next(places)
            _draw_lines(panel, of_panel, number, options)
            if name:
                panel.set_title(words(f"{options['panels']}: {name}"))
    return figure


def _draw_lines(
    panel: Axes, records: Sequence[Record], number: str, options: dict[str, Any]
) -> None:
    lines = by_label(records, options["by"])
    reference = lines.pop(options["against"]) if "against" in options else []
    zero = {_point(one, options["x"]): one.numbers[number] for one in reference}
    ends = []
    for colour, (label, of_line) in zip(COLOURS, lines.items(), strict=False):
        points: dict[str, list[float]] = {}
        for one in of_line:
            at = _point(one, options["x"])
            points.setdefault(at[0], []).append(one.numbers[number] - zero.get(at, 0.0))
        x = [float(at) for at in points]
        values = np.array(list(points.values()))
        middle = np.median(values, axis=1)
        panel.plot(x, middle, "o-", color=colour, markersize=3.5)
        panel.fill_between(x, values.min(axis=1), values.max(axis=1), color=colour, alpha=0.15,
                           linewidth=0)  # fmt: skip
        ends.append((middle[-1], words(label), colour))
    if zero:
        panel.axhline(0, color=INK, linewidth=0.8, linestyle=(0, (4, 2)))
        ends.append((0.0, words(options["against"]), INK))
    _set_scales(panel, number, x, options)
    label_ends(panel, ends)


def _point(record: Record, axis: str) -> tuple[str, str]:
    """Where a record lies on the axis, and its seed."""
    return record.labels[axis], record.labels.get("seed", "")


def _set_scales(panel: Axes, number: str, x: Sequence[float], options: dict[str, Any]) -> None:
    if number in options.get("log", []):
        logarithmic(panel, "y")
    elif number.endswith("accuracy"):
        points = FuncFormatter(
            lambda value, _: f"{100 * value:+.1f}".replace("-", "−") if value else "0"
        )
        panel.yaxis.set_major_formatter(
            points if "against" in options else PercentFormatter(1, decimals=0)
        )
    panel.set_xscale("log")
    panel.set_xticks(x, [f"{value:,.0f}" for value in x], fontsize=8)
    panel.xaxis.set_minor_locator(NullLocator())
    panel.set_xlabel(words(options["x"]))
    label = words(number)
    if "against" in options:
        unit = " (points)" if number.endswith("accuracy") else ""
        label = f"difference from {options['against']}{unit}"
        panel.set_title(words(number))
    panel.set_ylabel(label)
    quiet(panel)
