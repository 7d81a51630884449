"""Ends a trial that falls behind the others, as a callback of Keras."""

from __future__ import annotations

from typing import Any

import keras
import optuna


class Pruning(keras.callbacks.Callback):
    """Tells Optuna the validation accuracy of each epoch and asks whether to go on."""

    def __init__(self, trial: optuna.Trial) -> None:
        super().__init__()
        self.trial = trial

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.trial.report((logs or {})["val_accuracy"], epoch)
        if self.trial.should_prune():
            raise optuna.TrialPruned
