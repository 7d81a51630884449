"""What every member is asked: its losses, its accuracies, and how it came there."""

from __future__ import annotations

import math

import numpy as np

from training.studies.engine import Subject
from training.studies.records import Found


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
    losses = history["loss"]
    found: Found = {f"history_{name}": np.array(values) for name, values in history.items()}
    found |= {
        "epochs": float(len(losses)),
        "seconds": history["seconds"][-1],
        "first_loss": losses[0],
        "last_loss": losses[-1],
        "mean_loss": float(np.mean(losses)),
        "diverged": float(not math.isfinite(losses[-1]) or losses[-1] > 10 * losses[0]),
    }
    if "validation_loss" in history:
        losses = history["validation_loss"]
        found["lowest_validation_loss"] = float(np.min(losses))
        found["last_validation_loss"] = losses[-1]
        found["best_epoch"] = float(np.argmin(losses) + 1)
    return found
