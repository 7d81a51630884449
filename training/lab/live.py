"""The callback with which the page follows a training."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import keras

from wardrobe.models import Declaration
from wardrobe.training.data import DataSet
from wardrobe.training.lab.snapshots import Views

if TYPE_CHECKING:
    from wardrobe.training.lab.worker import Training

SECONDS_BETWEEN = 0.1
"""Seconds between two snapshots of a network: the eye does not see more."""


class Live(keras.callbacks.Callback):
    """Sends the metrics of each epoch, and pictures as often as the eye can see them.

    Between two epochs, it waits for its turn, for the page and for the pace set on the page.
    """

    def __init__(self, training: Training, declaration: Declaration, data: DataSet) -> None:
        super().__init__()
        self.training, self.turns, self.data = training, training.turns, data
        self.seed, self.epochs = declaration.seed, declaration.training.epochs
        self.rows: list[dict[str, float]] = []
        self.rate: float | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.views = Views(self.model, self.data)
        self.began = time.monotonic()
        self.training.tell("begins", seed=self.seed, epochs=self.epochs, **self.views.scene())
        self._send()
        self._wait(0)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        measures = {name: float(value) for name, value in (logs or {}).items()}
        rate = float(self.model.optimizer.learning_rate)
        self.rows.append({"epoch": epoch + 1, **measures, "learning_rate": rate})
        self.model.stop_training |= self.turns.stopped
        is_last = self.model.stop_training or epoch + 1 == self.epochs
        is_due = time.monotonic() - self.sent >= SECONDS_BETWEEN
        if is_last or is_due or self.turns.waits_after(epoch + 1):
            self._send()
        if not is_last:
            self._wait(epoch + 1)

    def _send(self) -> None:
        self.training.tell("epochs", seed=self.seed, rows=self.rows, picture=self.views.now())
        self.rows, self.sent = [], time.monotonic()

    def _wait(self, epochs: int) -> None:
        """Waits until the next epoch may start, and applies changes from the page."""
        self.turns.next(self.seed, epochs)
        pace = self.turns.pace / max(1, len(self.turns.seeds))
        time.sleep(max(0.0, self.began + pace - time.monotonic()))
        self.began = time.monotonic()
        self.model.stop_training |= self.turns.stopped
        if self.turns.rate != self.rate:
            self.rate = self.turns.rate
            self._change_rate()

    def _change_rate(self) -> None:
        try:
            self.model.optimizer.learning_rate = self.rate
        except TypeError:
            self.training.tell("notice", message="the declared schedule sets the step size")
