"""What a training needs to go on after it was killed, kept in one file beside its run.

A NumPy archive without pickles: the variables of network and optimizer (with the seeds of dropout
and augmentation among them), the state of every callback, and where the training stood. The order
of the examples needs no keeping: it follows from seed and epoch.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from wardrobe.training.callbacks.event_files import EventFiles
from wardrobe.training.callbacks.history import Divergence, HistoryFile
from wardrobe.training.errors import TrainingError

# Keeping more often costs more than is lost by doing so short a time once more.
SECONDS_BETWEEN = 1.0

# What a callback remembers from epoch to epoch; all others are the same in every epoch.
_MEMORY: dict[type[keras.callbacks.Callback], tuple[str, ...]] = {
    keras.callbacks.EarlyStopping: (
        "wait", "stopped_epoch", "best", "best_epoch", "best_weights"
    ),
    keras.callbacks.ReduceLROnPlateau: ("wait", "cooldown_counter", "best"),
    keras.callbacks.ModelCheckpoint: (
        "best", "_batches_seen_since_last_saving", "_last_batch_seen"
    ),
    keras.callbacks.SwapEMAWeights: ("_ema_weights_in_model",),
    keras.callbacks.TensorBoard: ("_global_train_batch", "_global_test_batch"),
    Divergence: ("epoch", "best", "best_weights"),
    HistoryFile: ("rows",),
    EventFiles: ("sizes",),
}  # fmt: skip


class Checkpoint(keras.callbacks.Callback):
    """Keeps the state at the end of an epoch, and brings it back where there is a file already.

    It must stand after all the callbacks whose state it keeps: what they do at the end of an
    epoch is then done, and what they forget at the beginning of a training is given back.
    """

    def __init__(self, file: Path, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        super().__init__()
        self.file = file
        self.callbacks = [callback for callback in callbacks if type(callback) in _MEMORY]
        self.kept = _read(file) if file.exists() else None

    @property
    def epochs_done(self) -> int:
        """How many epochs need not be trained again."""
        return int(self.kept["epochs_done"]) if self.kept else 0

    @property
    def has_stopped(self) -> bool:
        """Whether a callback had ended the training when the file was written."""
        return bool(self.kept and self.kept["stopped"])

    @property
    def seconds(self) -> float:
        """Time that the training has taken, without what was lost."""
        return self.seconds_before + time.perf_counter() - self.began

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.seconds_before, self.began, self.saved = 0.0, time.perf_counter(), 0.0
        if self.kept:
            self.seconds_before = self.kept["seconds"]
            for variable, value in zip(self._variables(), self.kept["variables"], strict=True):
                variable.assign(value)
            for callback, memory in zip(self.callbacks, self.kept["callbacks"], strict=True):
                vars(callback).update(memory)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if time.perf_counter() - self.saved < SECONDS_BETWEEN:
            return
        state = {
            "epochs_done": epoch + 1,
            "stopped": self.model.stop_training,
            "seconds": self.seconds,
            "variables": [keras.ops.convert_to_numpy(value) for value in self._variables()],
            "callbacks": [
                {name: getattr(callback, name) for name in _MEMORY[type(callback)]}
                for callback in self.callbacks
            ],
        }
        _write(self.file, state)
        self.saved = time.perf_counter()

    def _variables(self) -> list[Any]:
        network = self.model
        return [
            *network.trainable_variables,
            *network.non_trainable_variables,
            *network.optimizer.variables,
        ]


def _write(file: Path, state: dict[str, Any]) -> None:
    """The whole file or none of it: a reader finds the old one until the new one is complete.

    Raises:
        TrainingError: it cannot be written; the old one is still there.
    """
    arrays: dict[str, Any] = {}
    text = json.dumps(_without_arrays(state, arrays))
    partial = file.with_name(f".{file.name}.partial")
    try:
        with partial.open("wb") as stream:
            np.savez(stream, state=np.array(text), **arrays)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
    except OSError as error:
        raise TrainingError(f"cannot write {file}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def _read(file: Path) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as archive:
        arrays = dict(archive)
    state: dict[str, Any] = _with_arrays(json.loads(str(arrays["state"])), arrays)
    return state


def _without_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    """The value as JSON can hold it; arrays are taken out and replaced by their name."""
    if isinstance(value, dict):
        return {key: _without_arrays(child, arrays) for key, child in value.items()}
    if isinstance(value, list):
        return [_without_arrays(child, arrays) for child in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    array = keras.ops.convert_to_numpy(value)
    if array.ndim == 0:
        return array.item()
    name = f"array-{len(arrays)}"
    arrays[name] = array
    return {"array": name}


def _with_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_with_arrays(child, arrays) for child in value]
    if not isinstance(value, dict):
        return value
    if set(value) == {"array"}:
        return arrays[value["array"]]
    return {key: _with_arrays(child, arrays) for key, child in value.items()}
