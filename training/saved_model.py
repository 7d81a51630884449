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
from training.errors import TrainingError, in_words

HAS_GRADIENT = ("softmax", "sigmoid")
"""Heads whose probabilities can be explained by gradients; a step's are zero."""


def write(network: keras.Sequential, head: str, empty: int, folder: Path) -> None:
    """Writes the network into the folder, which appears by that.

    `head` is its activation, `empty` the pixel, 0–255, of a picture that shows nothing.

    Raises:
        TrainingError: the other process failed.
    """
    if keras.backend.backend() == "tensorflow":
        _write(network, head, empty, folder)
        return
    file = folder.with_name(f"{folder.name}.keras")
    try:
        network.save(file)
        _write_in_another_process(file, head, empty, folder)
    finally:
        file.unlink(missing_ok=True)


def answers(network: keras.Sequential, head: str, examples: Any) -> dict[str, Any]:
    """`{"probabilities": [N, classes]}`, or `{"values": [N, outputs]}` of a regression.

    The one unit of a sigmoid or step head is written out as the probabilities of both classes.
    """
    outputs = network(examples, training=False)
    if head == "linear":
        return {"values": outputs}
    if head in ("sigmoid", "step"):
        outputs = keras.ops.concatenate([1 - outputs, outputs], axis=-1)
    return {"probabilities": outputs}


def _write(network: keras.Sequential, head: str, empty: int, folder: Path) -> None:
    """Signature `serving_default`: raw examples to named probabilities or values. A classifier of
    pictures also has `explain`: the same pictures to `probabilities` and `evidence`.

    The archive is not told to track the network: it finds the weights in the signatures, and
    would store each of them a second time.
    """
    shape = network.input_shape
    of_pictures = len(shape) > 2
    taken = keras.InputSpec(
        shape=shape, dtype="float32", name="images" if of_pictures else "features"
    )
    archive = keras.export.ExportArchive()
    archive.add_endpoint(
        "serving_default", lambda examples: answers(network, head, examples), [taken]
    )
    if of_pictures and head in HAS_GRADIENT:
        archive.add_endpoint(
            "explain", lambda images: _explained(network, head, empty, images), [taken]
        )
    try:
        archive.write_out(str(folder), verbose=False)
    except Exception as error:  # TensorFlow's own types, for a full disk among others
        raise OSError(in_words(error)) from error


def _explained(network: keras.Sequential, head: str, empty: int, images: Any) -> dict[str, Any]:
    from training.evidence import evidence  # only here is TensorFlow the backend for certain

    def probabilities(pictures: Any) -> Any:
        return answers(network, head, pictures)["probabilities"]

    return {
        "probabilities": probabilities(images),
        "evidence": evidence(images, empty, probabilities),
    }


def _write_in_another_process(file: Path, head: str, empty: int, folder: Path) -> None:
    # The graph is the same on every device, and the GPU's memory is this process's.
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    command = [sys.executable, "-m", __name__, str(file), head, str(empty), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise TrainingError(f"cannot write the SavedModel: {done.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    _file, _head, _empty, _folder = sys.argv[1:]
    assert activations.step  # known to Keras by the import
    _write(keras.models.load_model(_file, compile=False), _head, int(_empty), Path(_folder))
