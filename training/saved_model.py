"""Writes the SavedModel of a network.

A network that another backend has trained is written by a process of its own, in which Keras loads
it on TensorFlow. What Keras would write on JAX itself is one opaque XLA program that TensorFlow
cannot look into, compiled for the kind of device it was trained on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras

from models import activations
from training.calibration import tempered
from training.errors import TrainingError, in_words


def write(network: keras.Sequential, head: str, temperature: float, folder: Path) -> None:
    """Writes the network into the folder, which appears by that; `head` is its activation.

    The answers of what is written are calibrated with the temperature; 1 leaves them as they are.

    Raises:
        TrainingError: the other process failed.
    """
    if keras.backend.backend() == "tensorflow":
        _write(network, head, temperature, folder)
        return
    file = folder.with_name(f"{folder.name}.keras")
    try:
        network.save(file)
        _write_in_another_process(file, head, temperature, folder)
    finally:
        file.unlink(missing_ok=True)


def answers(
    network: keras.Sequential, head: str, temperature: float, examples: Any
) -> dict[str, Any]:
    """`{"probabilities": [N, classes]}`, or `{"values": [N, outputs]}` of a regression.

    The one unit of a sigmoid or step head is written out as the probabilities of both classes.
    """
    outputs = network(examples, training=False)
    if head == "linear":
        return {"values": outputs}
    if head in ("sigmoid", "step"):
        outputs = keras.ops.concatenate([1 - outputs, outputs], axis=-1)
    if temperature != 1:
        outputs = tempered(outputs, temperature)
    return {"probabilities": outputs}


def _write(network: keras.Sequential, head: str, temperature: float, folder: Path) -> None:
    """One signature, `serving_default`: raw examples to named probabilities or values.

    The archive is not told to track the network: it finds the weights in the signature, and
    would store each of them a second time.
    """
    shape = network.input_shape
    name = "images" if len(shape) > 2 else "features"
    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        "serving_default",
        lambda examples: answers(network, head, temperature, examples),
        input_signature=[keras.InputSpec(shape=shape, dtype="float32", name=name)],
    )
    try:
        archive.write_out(str(folder), verbose=False)
    except Exception as error:  # TensorFlow's own types, for a full disk among others
        raise OSError(in_words(error)) from error


def _write_in_another_process(file: Path, head: str, temperature: float, folder: Path) -> None:
    # The graph is the same on every device, and the GPU's memory is this process's.
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", __name__, str(file), head, str(temperature), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise TrainingError(f"cannot write the SavedModel: {done.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    _file, _head, _temperature, _folder = sys.argv[1:]
    assert activations.step  # known to Keras by the import
    _network = keras.models.load_model(_file, compile=False)
    _write(_network, _head, float(_temperature), Path(_folder))
