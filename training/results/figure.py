"""`results/accuracy.svg`: test accuracy against the number of parameters."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from training.results import records
from training.results.table import BUDGETS, Entry
from training.studies.figures.style import BLUE, INK, ORANGE, in_percent, quiet, styled

PEOPLE = 0.835
"""What people reach, by the data set's own benchmark table."""


def write(entries: dict[str, Entry]) -> Path:
    """Draws the networks that have records, without the teachers. Returns the file."""
    found = records.records()
    summaries = {
        name: records.summary(found[name])
        for name, entry in entries.items()
        if name in found and not entry.is_teacher
    }
    with styled(), matplotlib.rc_context({"svg.hashsalt": "accuracy"}):
        file = records.FOLDER / "accuracy.svg"
        _drawn(summaries).savefig(file, facecolor="white", metadata={"Date": None})
    return file


def _drawn(summaries: dict[str, records.Record]) -> Figure:
    figure = Figure(figsize=(6.4, 3.8), layout="constrained")
    axes = figure.subplots()
    for taught, colour, marker, label in (
        (False, BLUE, "o", "trained on the labels"),
        (True, ORANGE, "D", "taught by a convolutional network"),
    ):
        chosen = [of for of in summaries.values() if bool(of["teacher"]) is taught]
        axes.errorbar(
            [of["parameters"] for of in chosen],
            [of["test_accuracy"] for of in chosen],
            yerr=[of["test_accuracy_spread"] or 0 for of in chosen],
            fmt=marker, markersize=6, linewidth=0, elinewidth=1.2, capsize=3, color=colour,
            label=label,
        )  # fmt: skip
    for name, of in summaries.items():
        axes.annotate(
            name, (of["parameters"], of["test_accuracy"]), xytext=(-8, 3),
            textcoords="offset points", ha="right", fontsize=8,
        )  # fmt: skip
    for limit in sorted(BUDGETS.values())[:-1]:
        axes.axvline(limit, color=INK, alpha=0.25, linewidth=0.8, linestyle=":")
    axes.axhline(PEOPLE, color=INK, alpha=0.5, linewidth=0.8, linestyle="--")
    axes.text(0.01, PEOPLE, "people", transform=axes.get_yaxis_transform(), va="bottom", fontsize=8)
    axes.set(xscale="log", xlabel="parameters", ylabel="accuracy on the official test set")
    axes.margins(x=0.12, y=0.12)
    in_percent(axes.yaxis)
    quiet(axes)
    axes.legend(frameon=False, loc="lower right")
    return figure
