"""The progress bar of a training: on a terminal only, on stderr."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn


class ProgressBar(keras.callbacks.Callback):
    """Shows epoch, loss, validation accuracy, examples per second and the time left.

    The rate is measured anew after the first call and after the first epoch: they compile.
    """

    def __init__(self, epochs: int, examples: int) -> None:
        super().__init__()
        self.epochs = epochs
        self.examples = examples
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            TextColumn("{task.fields[measured]}{task.fields[rate]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.steps = max(1, self.params["steps"] or 1)
        self.measured_from: tuple[int, float] | None = None
        self.epochs_seen = 0
        fields: dict[str, Any] = {"epoch": 1, "epochs": self.epochs, "measured": "", "rate": ""}
        self.task = self.progress.add_task("", total=self.epochs * self.steps, **fields)
        if self.progress.console.is_terminal:
            self.progress.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.done_before = epoch * self.steps
        self.progress.update(self.task, completed=self.done_before, epoch=epoch + 1)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        done = self.done_before + min(batch + 1, self.steps)
        self.progress.update(self.task, completed=done, rate=self._rate(done))

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        measured = f"loss {float(logs['loss']):.4f}"
        if "val_accuracy" in logs:
            measured += f" · validation accuracy {float(logs['val_accuracy']):.4f}"
        self.progress.update(self.task, measured=measured)
        self.epochs_seen += 1
        if self.epochs_seen == 1:
            self.measured_from = self.done_before + self.steps, time.perf_counter()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.progress.live.is_started:  # else it would still write a line feed
            self.progress.stop()

    def _rate(self, done: int) -> str:
        """Examples per second and time left, of all that was done since they are measured."""
        now = time.perf_counter()
        if self.measured_from is None:
            self.measured_from = done, now
        steps, seconds = done - self.measured_from[0], now - self.measured_from[1]
        if steps <= 0 or seconds <= 0:
            return ""
        left = timedelta(seconds=round((self.epochs * self.steps - done) * seconds / steps))
        return f" · {steps / seconds * self.examples / self.steps:,.0f} examples/s · {left} left"
