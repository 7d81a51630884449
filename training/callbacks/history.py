"""What a run keeps of each epoch, and how it ends when the loss is no number any more."""

from __future__ import annotations

import csv
import math
import time
from pathlib import Path
from typing import Any

import keras


class HistoryFile(keras.callbacks.Callback):
    """Writes `history.csv`: a line an epoch, with the learning rate and the seconds it took.

    The file is written anew after each epoch and replaces the old one as a whole, so that it holds
    neither half a line nor, in a training that goes on after an interruption, a line twice.
    """

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.rows: list[dict[str, Any]] = []

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.began = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        row = {
            "epoch": epoch + 1,
            **{name: float(value) for name, value in (logs or {}).items()},
            "learning_rate": float(self.model.optimizer.learning_rate),
            "seconds": round(time.perf_counter() - self.began, 3),
        }
        self.rows.append(row)
        partial = self.file.with_name(f".{self.file.name}.partial")
        with partial.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)
        partial.replace(self.file)


class Divergence(keras.callbacks.Callback):
    """Stops when the loss becomes NaN or infinite, and goes back to the best weights so far.

    `epoch` is then the epoch it happened in, counted from 1. Best is the lowest `monitor`.
    """

    def __init__(self, monitor: str) -> None:
        super().__init__()
        self.monitor = monitor
        self.epoch: int | None = None
        self.best = math.inf
        self.best_weights: list[Any] | None = None

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.current = epoch + 1

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if logs and not math.isfinite(float(logs["loss"])):
            self.epoch = self.current
            self.model.stop_training = True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        monitored = float((logs or {}).get(self.monitor, math.inf))
        if self.epoch is None and monitored < self.best:
            self.best, self.best_weights = monitored, self.model.get_weights()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.epoch is not None and self.best_weights is not None:
            self.model.set_weights(self.best_weights)
