"""The history of a run, and how it ends when the loss becomes NaN."""

from __future__ import annotations

import csv
import math
import time
from pathlib import Path
from typing import Any

import keras

from wardrobe.training.files import atomic_write


class HistoryFile(keras.callbacks.Callback):
    """Writes `history.csv`: one row per epoch, with its learning rate and seconds.

    The whole file is replaced after each epoch, so that it never holds half a row, nor a row twice
    in a training that was resumed.
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
        with atomic_write(self.file, synced=False) as stream:  # the checkpoint has the rows, too
            writer = csv.DictWriter(stream, self.rows[0])
            writer.writeheader()
            writer.writerows(self.rows)


class Divergence(keras.callbacks.Callback):
    """Stops when the loss becomes NaN or infinite, and restores the best weights so far.

    `epoch` is then the epoch in which it happened, counted from 1. The best weights are those with
    the lowest `monitor`.
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
