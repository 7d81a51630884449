"""The progress bar of a training: on a terminal only, on stderr."""

from __future__ import annotations

from typing import Any

import keras
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn


class ProgressBar(keras.callbacks.Callback):
    """Shows epoch, loss, validation accuracy, examples per second and the time left."""

    def __init__(self, epochs: int, examples: int) -> None:
        super().__init__()
        self.epochs = epochs
        self.examples = examples
        self.progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            TextColumn("{task.fields[measured]}"),
            TimeElapsedColumn(),
            TextColumn("·"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=Console(stderr=True),
        )

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.steps = max(1, self.params["steps"] or 1)
        self.task = self.progress.add_task(
            "", total=self.epochs * self.steps, epoch=1, epochs=self.epochs, measured=""
        )
        if self.progress.console.is_terminal:
            self.progress.start()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.done = epoch * self.steps
        self.progress.update(self.task, completed=self.done, epoch=epoch + 1)

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self.progress.update(self.task, completed=self.done + batch + 1)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        words = [f"loss {float(logs['loss']):.4f}"]
        if "val_accuracy" in logs:
            words.append(f"validation accuracy {float(logs['val_accuracy']):.4f}")
        if speed := self.progress.tasks[0].speed:
            words.append(f"{speed * self.examples / self.steps:,.0f} examples/s")
        self.progress.update(self.task, measured=" · ".join(words))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self.progress.stop()
