"""Writes the SavedModel of a network, on TensorFlow."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import keras

import wardrobe.models.build.custom_objects  # noqa: F401  registers what wardrobe adds to Keras
from wardrobe.training.data.columns import Column
from wardrobe.training.errors import in_words
from wardrobe.training.export import another_process
from wardrobe.training.export.outputs import Outputs
from wardrobe.training.export.table_inputs import TableInputs

Write = Callable[[keras.Sequential, Outputs, Path, Sequence[Column]], None]
"""Writes a network and its outputs into a folder that does not exist yet.

The columns are those of a table of one's own, encoded by the graph; without any, it takes what the
network takes. Raises an OSError if the folder cannot be written, a TrainingError if the other
process fails.
"""


def writer(process: subprocess.Popen[str] | None) -> Write:
    """What writes a SavedModel: this process on TensorFlow, else the one of `another_process`."""
    return write if process is None else partial(another_process.write, process)


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
