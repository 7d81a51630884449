"""The file from which a training resumes after it was killed.

A NumPy archive without pickles: the variables of network and optimizer (the seeds of dropout and
augmentation among them), the state of every callback, and the number of epochs done. The order of
the examples is not stored: it follows from seed and epoch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from wardrobe.training.callbacks.history import Divergence, HistoryFile
from wardrobe.training.callbacks.tensorboard import EventFiles, EventLog
from wardrobe.training.errors import TrainingError
from wardrobe.training.files import atomic_write

# Writing more often costs more time than repeating a lost second of training.
SECONDS_BETWEEN = 1.0

# The attributes that a callback changes from epoch to epoch; other callbacks have none.
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
    EventLog: (),  # stands where TensorBoard did in older checkpoints
    EventFiles: ("sizes",),
}  # fmt: skip


class Checkpoint(keras.callbacks.Callback):
    """Saves the state at the end of an epoch, and restores it from an existing file.

    Comes after all callbacks whose state it saves: by then they have finished the epoch, and what
    they reset at the beginning of a training is restored.
    """

    def __init__(self, file: Path, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        super().__init__()
        self.file = file
        self.callbacks = [callback for callback in callbacks if type(callback) in _MEMORY]
        self.restored = _read(file) if file.exists() else None
        self.epochs_done = int(self.restored["epochs_done"]) if self.restored else 0

    @property
    def has_stopped(self) -> bool:
        """Whether a callback had already stopped the training."""
        return bool(self.restored and self.restored["stopped"])

    @property
    def seconds(self) -> float:
        """Training time over all processes, without the epochs that were lost."""
        return self.seconds_before + time.perf_counter() - self.began

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.seconds_before, self.began, self.saved = 0.0, time.perf_counter(), 0.0
        if self.restored:
            self.seconds_before = self.restored["seconds"]
            for variable, value in zip(self._variables(), self.restored["variables"], strict=True):
                variable.assign(value)
            for callback, memory in zip(self.callbacks, self.restored["callbacks"], strict=True):
                vars(callback).update(memory)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epochs_done = epoch + 1
        if time.perf_counter() - self.saved >= SECONDS_BETWEEN:
            self.save(self.file)
            self.saved = time.perf_counter()

    def save(self, file: Path) -> None:
        """Writes the state between two epochs.

        Raises:
            TrainingError: it cannot be written; the old file is still there.
        """
        state = {
            "epochs_done": self.epochs_done,
            "stopped": self.model.stop_training,
            "seconds": self.seconds,
            "variables": [keras.ops.convert_to_numpy(value) for value in self._variables()],
            "callbacks": [
                {name: getattr(callback, name) for name in _MEMORY[type(callback)]}
                for callback in self.callbacks
            ],
        }
        _write(file, state)

    def _variables(self) -> list[Any]:
        network = self.model
        return [
            *network.trainable_variables,
            *network.non_trainable_variables,
            *network.optimizer.variables,
        ]


def _write(file: Path, state: dict[str, Any]) -> None:
    """Writes the archive.

    Raises:
        TrainingError: it cannot be written; the old one is still there.
    """
    arrays: dict[str, Any] = {}
    text = json.dumps(_without_arrays(state, arrays))
    try:
        with atomic_write(file, "wb") as stream:
            np.savez(stream, state=np.array(text), **arrays)
    except OSError as error:
        raise TrainingError(f"cannot write {file}: {error.strerror}") from error


def _read(file: Path) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as archive:
        arrays = dict(archive)
    state: dict[str, Any] = _with_arrays(json.loads(str(arrays["state"])), arrays)
    return state


def _without_arrays(value: Any, arrays: dict[str, Any]) -> Any:
    """The value as JSON; arrays are moved into `arrays` and replaced by their name there."""
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
