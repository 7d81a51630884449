"""Writes the SavedModel of a network.

A network that was trained on another backend is written by a separate process, in which Keras loads
it on TensorFlow. On JAX, Keras would write one opaque XLA program that TensorFlow cannot inspect,
compiled for the kind of device on which the network was trained.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path

import keras

import wardrobe.models.build.custom_objects  # noqa: F401  registers what wardrobe adds to Keras
from wardrobe.training.data.columns import Column
from wardrobe.training.errors import TrainingError, in_words
from wardrobe.training.export.outputs import Outputs
from wardrobe.training.export.table_inputs import TableInputs
from wardrobe.training.fit import keras_private

Write = Callable[[keras.Sequential, Outputs, Path, Sequence[Column]], None]
"""Writes a network and its outputs into a folder that does not exist yet.

The columns are those of a table of one's own, encoded by the graph; without any, it takes what the
network takes. Raises an OSError if the folder cannot be written, a TrainingError if the other
process fails.
"""


@contextmanager
def writing() -> Iterator[Write]:
    """What writes a SavedModel, while the context lasts.

    Entered before a training: the other process, if one is needed, loads TensorFlow meanwhile.
    """
    if keras.backend.backend() == "tensorflow":
        yield write
        return
    with _another_process() as process:
        try:
            yield partial(_write_in_another_process, process)
        finally:
            process.kill()


def write(
    network: keras.Sequential, outputs: Outputs, folder: Path, columns: Sequence[Column] = ()
) -> None:
    """Signature `serving_default`: raw examples to named probabilities or values; the rows of a
    table of one's own by column. A classifier of pictures also has `explain`: the same pictures to
    `probabilities` and `evidence`.

    The archive is not told to track the network: it finds the weights in the signatures, and
    would store each of them a second time.
    """
    of_pictures = len(network.input_shape) > 2
    name = "images" if of_pictures else "features"
    taken = [keras.InputSpec(shape=network.input_shape, dtype="float32", name=name)]
    archive = keras.export.ExportArchive()
    table = TableInputs(columns) if columns else None
    if table:
        for layer in table.lookups:
            archive.track(layer)
        archive.add_endpoint(
            "serving_default", lambda rows: outputs.named(network, table(rows)), [table.specs]
        )
    else:
        archive.add_endpoint("serving_default", partial(outputs.named, network), taken)
    if of_pictures and outputs.can_be_explained:
        archive.add_endpoint("explain", partial(outputs.explained, network), taken)
    try:
        archive.write_out(str(folder), verbose=False)
        if table:
            table.rename(folder)
    except Exception as error:  # TensorFlow's own types, for a full disk among others
        raise OSError(in_words(error)) from error


def _another_process() -> subprocess.Popen[str]:
    # The graph is the same on every device, and the GPU's memory is this process's.
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.Popen(
        [sys.executable, "-m", __name__],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def _write_in_another_process(
    process: subprocess.Popen[str],
    network: keras.Sequential,
    outputs: Outputs,
    folder: Path,
    columns: Sequence[Column],
) -> None:
    if process.poll() is not None:  # killed while it waited, for want of memory perhaps
        process = _another_process()
    file = folder.with_name(f"{folder.name}.keras")
    try:
        keras_private.save(network, file)
        job = [str(file), str(folder), asdict(outputs), [asdict(column) for column in columns]]
        _, errors = process.communicate(json.dumps(job))
    finally:
        file.unlink(missing_ok=True)
    if process.returncode:
        raise TrainingError(f"cannot write the SavedModel: {errors.strip()[-2000:]}")


if __name__ == "__main__" and (_job := sys.stdin.read()):
    _file, _folder, _outputs, _columns = json.loads(_job)
    write(
        keras.models.load_model(_file, compile=False),
        Outputs(**_outputs),
        Path(_folder),
        [Column.from_json(_column) for _column in _columns],
    )
