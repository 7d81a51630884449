"""What every member is asked: its losses, its accuracies, and how it came there."""

from __future__ import annotations

import math

import numpy as np

from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import Subject


def always(subject: Subject) -> Found:
    """Loss and accuracy of each part of the data, how far the weights moved, and the history."""
    found: Found = {"parameters": float(subject.network.count_params())}
    for part in ("train", "validation", "test"):
        examples = getattr(subject.data, part)
        if len(examples):
            loss, accuracy = subject.loss_and_accuracy(examples)
            found |= {f"{part}_loss": loss, f"{part}_accuracy": accuracy}
    weights = subject.network.get_weights()
    found["moved"] = max(
        (float(np.abs(a - b).max()) for a, b in zip(weights, subject.initial, strict=True)),
        default=0.0,
    )
    return found | _of_history(subject.history)


def _of_history(history: dict[str, list[float]]) -> Found:
    """The curves themselves as arrays, and the numbers that claims compare."""
    if not history:
        return {}
    found: Found = {f"history_{name}": np.array(values) for name, values in history.items()}
    for name, values in history.items():
        found |= {
            f"first_{name}": values[0],
            f"last_{name}": values[-1],
            f"mean_{name}": float(np.mean(values)),
        }
    losses = history["loss"]
    found |= {
        "epochs": float(len(losses)),
        "seconds": history["seconds"][-1],
        "diverged": float(not math.isfinite(losses[-1]) or losses[-1] > 10 * losses[0]),
    }
    if "validation_loss" in history:
        losses = history["validation_loss"]
        found["lowest_validation_loss"] = float(np.min(losses))
        best = int(np.argmin(losses))
        found["best_epoch"] = float(best + 1)
        if "validation_accuracy" in history:
            found["best_epoch_validation_accuracy"] = history["validation_accuracy"][best]
    return found
