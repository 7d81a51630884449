"""`results/accuracy.svg`: test accuracy against the number of parameters."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from wardrobe.training.files import atomic_write
from wardrobe.training.results import records
from wardrobe.training.results.records import Summary, summarize_all
from wardrobe.training.results.table import BUDGETS
from wardrobe.training.studies.figures.style import BLUE, INK, ORANGE, in_percent, quiet, styled

PEOPLE = 0.835
"""The accuracy of people, from the data set's own benchmark table."""


def write() -> Path:
    """Draws the networks that have records, except teachers; returns the file."""
    with styled(), matplotlib.rc_context({"svg.hashsalt": "accuracy"}):
        file = records.FOLDER / "accuracy.svg"
        figure = _draw(summarize_all())
        with atomic_write(file, "wb") as stream:
            figure.savefig(stream, format="svg", facecolor="white", metadata={"Date": None})
    return file


def _draw(summaries: dict[str, Summary]) -> Figure:
    figure = Figure(figsize=(7.2, 4.2), layout="constrained")
    axes = figure.subplots()
    for distilled, colour, marker, label in (
        (False, BLUE, "o", "trained on the labels"),
        (True, ORANGE, "D", "distilled from a convolutional network"),
    ):
        chosen = [one for one in summaries.values() if bool(one.teacher) is distilled]
        axes.errorbar(
            [one.parameters for one in chosen],
            [one.accuracy for one in chosen],
            yerr=[one.accuracy_spread or 0 for one in chosen],
            fmt=marker, markersize=6, elinewidth=1.2, capsize=3, color=colour, label=label,
        )  # fmt: skip
    for name, one in summaries.items():
        side = 1 if one.parameters > min(BUDGETS.values()) else -1
        axes.annotate(
            name, (one.parameters, one.accuracy), (9 * side, 0), va="center",
            ha="left" if side > 0 else "right", textcoords="offset points", fontsize=8.5,
        )  # fmt: skip
    for limit in _limits():
        axes.axvline(limit, color=INK, alpha=0.3, linewidth=0.8, linestyle=":")
    axes.axhline(PEOPLE, color=INK, alpha=0.5, linewidth=0.8, linestyle="--")
    axes.text(0.99, PEOPLE, "people", transform=axes.get_yaxis_transform(), va="bottom", ha="right")
    axes.set(xscale="log", xlim=(1e3, 1e7), xlabel="parameters",
             ylabel="accuracy on the official test set")  # fmt: skip
    axes.set_xticks([1_000, 10_000, 100_000, *_limits(), 10_000_000])
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.margins(y=0.1)
    in_percent(axes.yaxis)
    quiet(axes)
    axes.legend(frameon=False, loc="upper left")
    return figure


def _limits() -> list[int]:
    return sorted(BUDGETS.values())[:-1]
