"""TensorBoard's event files, complete while a training runs and after it was resumed.

TensorFlow writes events to disk every two minutes; a small network is trained by then. And a
training that was killed has written events of epochs that its checkpoint does not contain.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras

from wardrobe.training.fit.keras_private import event_writers


def default_logs(
    declared: Sequence[keras.callbacks.Callback], folder: Path
) -> list[keras.callbacks.Callback]:
    """Logs in `folder` for TensorBoard, unless a declared callback writes some."""
    if any(isinstance(callback, keras.callbacks.TensorBoard) for callback in declared):
        return []
    return [keras.callbacks.TensorBoard(str(folder), write_graph=False)]


class EventFiles(keras.callbacks.Callback):
    """Flushes events to disk after each epoch; removes those that no checkpoint contains.

    `sizes` are the bytes of each file, by its name, from which a training resumes. Comes after
    `callbacks`, which include those of TensorBoard.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        super().__init__()
        kind = keras.callbacks.TensorBoard
        self.writers = [callback for callback in callbacks if isinstance(callback, kind)]
        self.sizes: dict[str, int] = {}
        self.earlier = self._files()

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for file in self.earlier:
            if size := self.sizes.get(file.name):
                with file.open("r+b") as events:
                    events.truncate(size)
            else:
                file.unlink()
        self.earlier = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        for callback in self.writers:
            for writer in event_writers(callback):
                writer.flush()
        self.sizes = {file.name: file.stat().st_size for file in self._files()}

    def _files(self) -> list[Path]:
        return [
            file
            for callback in self.writers
            for file in Path(callback.log_dir).rglob("events.out.tfevents.*")
        ]
