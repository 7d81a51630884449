"""What TensorBoard reads, kept in step with the training while it runs and when it goes on.

TensorFlow writes events to the disk every two minutes; a network of this size is trained by then.
And a training that was killed has written events of epochs that its checkpoint does not know.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras


class EventFiles(keras.callbacks.Callback):
    """Writes events to the disk after each epoch; cuts off those that no checkpoint knows.

    `sizes` are bytes by the name of a file, as a training must find them when it goes on. Stands
    after the `callbacks`, those of TensorBoard among them.
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
        for writer in self.writers:
            for of_part in writer._writers.values():
                of_part.flush()
        self.sizes = {file.name: file.stat().st_size for file in self._files()}

    def _files(self) -> list[Path]:
        return [
            file
            for writer in self.writers
            for file in Path(writer.log_dir).rglob("events.out.tfevents.*")
        ]
