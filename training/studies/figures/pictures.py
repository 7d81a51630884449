"""The first layer as pictures, and which classes are confused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from wardrobe.training.data.fashion_mnist import CLASS_NAMES
from wardrobe.training.studies.figures.style import AMOUNT, DARK, SIGNED, by_label, panels
from wardrobe.training.studies.records import Record


def first_layers(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """The weights into units of the first layer, orange positive and blue negative."""
    groups = by_label(records, options["by"])
    figure, axes = panels(len(groups), 2, 3.4, 2.6)
    for panel, (label, (record, *_)) in zip(axes, groups.items(), strict=True):
        pictures = record.arrays["first_weights"]
        pictures = pictures / np.abs(pictures).max(axis=(1, 2), keepdims=True)
        panel.imshow(_sheet(pictures, 6), cmap=SIGNED, vmin=-1, vmax=1, interpolation="none")
        accuracy = np.median([one.numbers["test_accuracy"] for one in groups[label]])
        layers = "layer" if label == "1" else "layers"
        panel.set_title(f"{label} hidden {layers}: {accuracy:.1%} of the test set right")
        panel.set_axis_off()
    return figure


def _sheet(pictures: np.ndarray, columns: int) -> np.ndarray:
    """Pictures side by side, with a gap of one pixel."""
    padded = np.pad(pictures, ((0, 0), (1, 1), (1, 1)), constant_values=np.nan)
    rows = [padded[at : at + columns] for at in range(0, len(padded), columns)]
    return np.vstack([np.hstack(list(row)) for row in rows if len(row) == columns])


def confusion_matrix(records: Sequence[Record], options: dict[str, Any]) -> Figure:
    """How often each class is predicted for each true class: the mean over the seeds.

    With `pictures`, an example of each of the most frequent mistakes stands beside it.
    """
    matrix = np.mean([record.arrays["confusion"] for record in records], axis=0)
    share = matrix / matrix.sum(axis=1, keepdims=True)
    figure = Figure(figsize=(6.4 if options.get("pictures") else 5.2, 4.4), layout="constrained")
    columns = [5.2, 1.2] if options.get("pictures") else [1]
    grid = figure.add_gridspec(1, len(columns), width_ratios=columns)
    axes = figure.add_subplot(grid[0])
    axes.imshow(np.sqrt(share), cmap=AMOUNT, vmin=0, vmax=1)
    for row, column in np.ndindex(*share.shape):
        if share[row, column] > 0.005:
            colour = "white" if share[row, column] > 0.25 else DARK
            text = f"{100 * share[row, column]:.0f}"
            axes.text(column, row, text, ha="center", va="center", fontsize=7.5, color=colour)
    axes.set_xticks(range(len(CLASS_NAMES)), CLASS_NAMES, rotation=45, ha="right")
    axes.set_yticks(range(len(CLASS_NAMES)), CLASS_NAMES)
    axes.set_xlabel("what the network says")
    axes.set_ylabel("what it is (% of each row)")
    axes.tick_params(length=0)
    if options.get("pictures"):
        _draw_mistakes(figure, grid[1], records[0])
    return figure


def _draw_mistakes(figure: Figure, cell: Any, record: Record) -> None:
    pictures = record.arrays["confused_pictures"]
    inner = cell.subgridspec(len(pictures), 1)
    for number, picture in enumerate(pictures):
        axes = figure.add_subplot(inner[number])
        axes.imshow(255 - picture, cmap="gray", vmin=0, vmax=255)
        true, called = record.arrays["confused_true"], record.arrays["confused_called"]
        axes.set_title(f"{CLASS_NAMES[true[number]]}\ncalled {CLASS_NAMES[called[number]]}",
                       fontsize=7)  # fmt: skip
        axes.set_axis_off()
