"""The process that writes the SavedModel of a network that was not trained on TensorFlow.

Keras loads the network there on TensorFlow. On JAX, Keras would write one opaque XLA program that
TensorFlow cannot inspect, compiled for the kind of device on which the network was trained.

This module imports neither, so that the process is there first: it loads TensorFlow while this one
loads JAX and trains.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from wardrobe.training.errors import TrainingError

if TYPE_CHECKING:
    import keras

    from wardrobe.training.data.columns import Column
    from wardrobe.training.export.outputs import Outputs


@contextmanager
def waiting() -> Iterator[subprocess.Popen[str] | None]:
    """A process that waits for a network, while the context lasts; None on TensorFlow, where this
    process writes."""
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    if "keras" in sys.modules:
        backend = sys.modules["keras"].backend.backend()
    if backend == "tensorflow":
        yield None
        return
    with _started() as process:
        try:
            yield process
        finally:
            process.kill()


def write(
    process: subprocess.Popen[str],
    network: keras.Sequential,
    outputs: Outputs,
    folder: Path,
    columns: Sequence[Column],
) -> None:
    """Has the process do what `saved_model.write` does, after which it ends."""
    from wardrobe.training.fit import keras_private

    if process.poll() is not None:  # killed while it waited, for want of memory perhaps
        process = _started()
    file = folder.with_name(f"{folder.name}.keras")
    try:
        keras_private.save(network, file)
        job = [str(file), str(folder), asdict(outputs), [asdict(column) for column in columns]]
        _, errors = process.communicate(json.dumps(job))
    finally:
        file.unlink(missing_ok=True)
    if process.returncode:
        raise TrainingError(f"cannot write the SavedModel: {errors.strip()[-2000:]}")


def _started() -> subprocess.Popen[str]:
    # The graph is the same on every device, and the GPU's memory is the other process's.
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _main() -> None:
    """Loads all that writing needs, then waits for what to write."""
    from wardrobe.serving.inference.tensorflow import load_keras

    load_keras()
    import keras

    from wardrobe.training.data.columns import Column
    from wardrobe.training.export import saved_model
    from wardrobe.training.export.outputs import Outputs

    if job := sys.stdin.read():
        file, folder, outputs, columns = json.loads(job)
        saved_model.write(
            keras.models.load_model(file, compile=False),
            Outputs(**outputs),
            Path(folder),
            [Column.from_json(column) for column in columns],
        )


if __name__ == "__main__":
    _main()
