"""The progress of a training, on stderr: a bar on a terminal, a line that changes in a notebook."""

from __future__ import annotations

import math
import time
from datetime import timedelta
from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

RECENT_SECONDS = 10.0

BETWEEN_LINES = 0.2
"""Seconds between two states of the line in a notebook, which gets each as a message."""


class ProgressBar(keras.callbacks.Callback):
    """Shows epoch, loss, validation accuracy, examples per second and time left, in 80 columns.

    Compiling is not measured: neither the first call, nor, in the first epoch, the last call, which
    may end with a partial batch, and the validation. A notebook is told at the end of an epoch.
    """

    def __init__(self, epochs: int, examples: int) -> None:
        super().__init__()
        self.epochs = epochs
        self.examples = examples
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[measured]}"),
            TextColumn("{task.fields[pace]}"),
            console=Console(stderr=True),
            expand=True,
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.steps = max(1, self.params["steps"] or 1)
        self.pace = Pace()
        self.has_called, self.epochs_seen, self.since = False, 0, time.perf_counter()
        self.line, self.written = "", 0.0
        fields: dict[str, Any] = {"epoch": 1, "epochs": self.epochs, "measured": ""}
        self.task = self.progress.add_task(
            "", total=self.epochs * self.steps, pace="compiling", **fields
        )
        if self.progress.console.is_terminal:
            self.progress.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        now = time.perf_counter()
        if self.epochs_seen > 1:
            self.pace.between_epochs = now - self.since
        self.epoch, self.in_epoch, self.since = epoch, 0, now
        self.progress.update(self.task, completed=epoch * self.steps, epoch=epoch + 1)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        before, self.in_epoch = self.in_epoch, min(batch + 1, self.steps)
        began, self.since = self.since, time.perf_counter()
        ends_first_epoch = self.epochs_seen == 0 and self.in_epoch == self.steps
        if self.has_called and not ends_first_epoch:
            self.pace.add(self.in_epoch - before, self.since - began)
        self.has_called = True
        done = self.epoch * self.steps + self.in_epoch
        self.progress.update(self.task, completed=done, pace=self._pace())

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        measured = f"loss {float(logs['loss']):.4f}"
        if "val_accuracy" in logs:
            measured += f" · val_accuracy {float(logs['val_accuracy']):.4f}"
        self.progress.update(self.task, measured=measured)
        self.epochs_seen += 1
        if self.progress.console.is_jupyter:
            parts = (f"epoch {epoch + 1}/{self.epochs}", measured, self._pace())
            self.line = " · ".join(filter(None, parts))
            if time.perf_counter() - self.written > BETWEEN_LINES:
                self._write()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        if self.progress.live.is_started:  # else it would still write a line feed
            self.progress.stop()
        if self.line:
            self._write(end="\n")

    def _write(self, end: str = "") -> None:
        self.written = time.perf_counter()
        print(f"\r{self.line:<79}", end=end, file=self.progress.console.file, flush=True)

    def _pace(self) -> str:
        """Examples per second and time left, or nothing yet."""
        seconds = self.pace.seconds_per_step
        if seconds is None:
            return ""
        epochs = self.epochs - self.epoch
        steps = epochs * self.steps - self.in_epoch
        left = timedelta(seconds=round(steps * seconds + epochs * self.pace.between_epochs))
        return f"{self.examples / self.steps / seconds:,.0f} examples/s · {left} left"


class Pace:
    """How long a step takes, and the time between epochs.

    An exponential average: the weight of a call has fallen to `exp(-1)` after `RECENT_SECONDS`.
    """

    def __init__(self) -> None:
        self.steps = self.seconds = self.between_epochs = 0.0

    def add(self, steps: int, seconds: float) -> None:
        kept = math.exp(-seconds / RECENT_SECONDS)
        self.steps = kept * self.steps + steps
        self.seconds = kept * self.seconds + seconds

    @property
    def seconds_per_step(self) -> float | None:
        return self.seconds / self.steps if self.steps else None
