"""TensorBoard's event files, complete while a training runs and after it was resumed.

TensorFlow writes events to disk every two minutes; a small network is trained by then. And a
training that was killed has written events of epochs that its checkpoint does not contain.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.plugins.scalar.summary_v2 import scalar_pb
from tensorboard.summary.writer.record_writer import RecordWriter

from wardrobe.serving.inference.tensorflow import load_tensorflow
from wardrobe.training.fit.keras_private import event_writers


class EventLog(keras.callbacks.Callback):
    """The measures of each epoch in `log_dir`, as Keras' own callback writes them.

    That one loads TensorFlow, which takes seconds where the network is trained on JAX.
    """

    def __init__(self, log_dir: Path) -> None:
        super().__init__()
        self.log_dir = log_dir
        # How TensorBoard knows such files; no two have the same name, see `EventFiles.sizes`.
        process = f"{time.time():.0f}.{socket.gethostname()}.{os.getpid()}"
        self.name = f"events.out.tfevents.{process}"

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        measures = {f"evaluation_{name}_vs_iterations": of for name, of in (logs or {}).items()}
        self._write("validation", int(self.model.optimizer.iterations), measures)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        parts: dict[str, dict[str, float]] = {"train": {}, "validation": {}}
        for name, value in (logs or {}).items():
            part = "validation" if name.startswith("val_") else "train"
            parts[part][f"epoch_{name.removeprefix('val_')}"] = value
        parts["train"]["epoch_learning_rate"] = float(self.model.optimizer.learning_rate)
        for part, measures in parts.items():
            self._write(part, epoch, measures)

    def _write(self, part: str, step: int, measures: Mapping[str, float]) -> None:
        if not measures:
            return
        file = self.log_dir / part / f"{self.name}.{part}"
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as stream:
            events = [Event(step=step, summary=scalar_pb(*named)) for named in measures.items()]
            if not stream.tell():
                events.insert(0, Event(file_version="brain.Event:2"))
            for event in events:
                event.wall_time = time.time()
                RecordWriter(stream).write(event.SerializeToString())


def default_logs(
    declared: Sequence[keras.callbacks.Callback], folder: Path
) -> list[keras.callbacks.Callback]:
    """Logs in `folder` for TensorBoard, unless a declared callback writes some."""
    if any(isinstance(callback, keras.callbacks.TensorBoard) for callback in declared):
        load_tensorflow()  # before Keras would, with its start-up messages
        return []
    return [EventLog(folder)]


class EventFiles(keras.callbacks.Callback):
    """Flushes events to disk after each epoch; removes those that no checkpoint contains.

    `sizes` are the bytes of each file, by its name, from which a training resumes. Comes after
    `callbacks`, which include those of TensorBoard.
    """

    def __init__(self, callbacks: Sequence[keras.callbacks.Callback]) -> None:
        super().__init__()
        kinds = keras.callbacks.TensorBoard, EventLog
        self.writers = [callback for callback in callbacks if isinstance(callback, kinds)]
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
            if isinstance(callback, keras.callbacks.TensorBoard):
                for writer in event_writers(callback):
                    writer.flush()
        self.sizes = {file.name: file.stat().st_size for file in self._files()}

    def _files(self) -> list[Path]:
        return [
            file
            for callback in self.writers
            for file in Path(callback.log_dir).rglob("events.out.tfevents.*")
        ]
