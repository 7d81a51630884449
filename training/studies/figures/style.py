"""How all figures look: colours that colour-blind readers can tell apart, and little else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import (
    FuncFormatter,
    LogLocator,
    MaxNLocator,
    NullFormatter,
    PercentFormatter,
)

from wardrobe.training.studies.records import Record

# Okabe and Ito 2008, without the yellow and the black that do not show on white or on dark.
BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER = (
    "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"
)  # fmt: skip
COLOURS = (BLUE, ORANGE, GREEN, PURPLE, SKY, AMBER)
CLASSES = (BLUE, ORANGE)

# Text and axes: a page that is dark replaces it by the colour of its own text.
INK = "#1b1b1f"

# Lines and letters on a background that the figure paints itself: dark on a dark page, too.
DARK = "#202024"

REGIONS = LinearSegmentedColormap.from_list("regions", ["#9fcbe8", "#f6f6f4", "#f5bf97"])
SIGNED = LinearSegmentedColormap.from_list("signed", [BLUE, "#ffffff", ORANGE])
AMOUNT = LinearSegmentedColormap.from_list("amount", ["#f6f6f4", SKY, BLUE, "#00263d"])

_SETTINGS: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "lines.linewidth": 1.8,
    "svg.fonttype": "none",  # letters stay text: small files that can be searched
    "figure.dpi": 110,
    "savefig.dpi": 150,
    "savefig.bbox": "tight",  # long labels stay whole
}


@contextmanager
def styled() -> Iterator[None]:
    """The style of everything that is drawn and saved within."""
    with matplotlib.rc_context(_SETTINGS):
        yield


def panels(count: int, columns: int, width: float, height: float) -> tuple[Figure, list[Axes]]:
    """A figure of so many panels of one size in inches, in rows of at most `columns`."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(columns * width, rows * height), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for unused in axes[count:]:
        unused.set_axis_off()
    return figure, list(axes[:count])


def by_label(records: Sequence[Record], axis: str | None) -> dict[str, list[Record]]:
    """The records with each label of an axis, in the axis' order; all under '' without one."""
    groups: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        groups[record.labels[axis] if axis else ""].append(record)
    return dict(groups)


def label_ends(axes: Axes, ends: Sequence[tuple[float, str, str]], gap: float = 0.075) -> None:
    """Names lines at their right ends, as (height, text, colour), moved apart where they touch."""
    axes.get_ylim()  # the limits follow the lines only when they are asked for
    transform = axes.transData
    inverse = axes.transAxes.inverted()
    heights = [
        float(inverse.transform(transform.transform((1, height)))[1]) if np.isfinite(height) else 1
        for height, _, _ in ends
    ]
    order = np.argsort(heights)
    wanted = [min(max(heights[index], 0.0), 1.0) for index in order]
    for index, height in zip(order, _moved_apart(wanted, gap), strict=True):
        _, text, colour = ends[index]
        axes.text(1.02, height, text, color=colour, transform=axes.transAxes, va="center",
                  fontsize=8.5)  # fmt: skip


def _moved_apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Rising heights, at least a gap apart; those that would touch are centred on their mean."""
    blocks: list[list[float]] = []

    def heights(block: list[float]) -> list[float]:
        lowest = max(float(np.mean(block)) - gap * (len(block) - 1) / 2, 0.0)
        return [lowest + gap * number for number in range(len(block))]

    for height in wanted:
        blocks.append([height])
        while len(blocks) > 1 and heights(blocks[-2])[-1] + gap > heights(blocks[-1])[0]:
            last = blocks.pop()
            blocks[-1] += last
    return [height for block in blocks for height in heights(block)]


def in_percent(axis: Axis) -> None:
    """Few marks, as percentages."""
    axis.set_major_locator(MaxNLocator(4))
    axis.set_major_formatter(PercentFormatter(1, decimals=1))


def logarithmic(axes: Axes, which: str) -> None:
    """A logarithmic axis, x or y, with plain numbers at 1, 2 and 5 where there is room for them."""
    axes.set(**{f"{which}scale": "log"})
    low, high = axes.get_xlim() if which == "x" else axes.get_ylim()
    subs = (1.0, 2.0, 5.0) if high / low < 200 else (1.0,)
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=subs, numticks=12))
    axis.set_minor_formatter(NullFormatter())
    if high / low < 1e4:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def quiet(axes: Axes) -> None:
    """Light lines across, to read heights by."""
    axes.grid(axis="y", color=INK, alpha=0.12, linewidth=0.6)
    axes.set_axisbelow(True)


def words(name: Any) -> str:
    """A name of the program in words."""
    return str(name).replace("_", " ")
