"""The learning-rate range test, and whether what it advises is worth anything."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wardrobe.training.studies.figures.style import BLUE, INK, ORANGE, panels, quiet
from wardrobe.training.studies.records import Record


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
