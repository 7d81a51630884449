"""Where different seeds end, and a slice of the loss surface round one of these ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wardrobe.training.studies.figures.style import AMOUNT, BLUE, DARK, ORANGE, panels, quiet
from wardrobe.training.studies.records import Record


def landscape(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """The final losses of all seeds, sorted, and the slice round the worst of these ends."""
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
