"""Writes the SavedModel of a network.

A network that another backend has trained is written by a process of its own, in which Keras loads
it on TensorFlow. What Keras would write on JAX itself is one opaque XLA program that TensorFlow
cannot look into, compiled for the kind of device it was trained on.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from functools import partial
from pathlib import Path

import keras

import wardrobe.models.build.custom_objects  # noqa: F401  Keras then knows what wardrobe adds to it
from wardrobe.training.errors import TrainingError, in_words
from wardrobe.training.export.outputs import Answers


def write(network: keras.Sequential, answers: Answers, folder: Path) -> None:
    """Writes the network, with what it answers, into the folder, which appears by that.

    Raises:
        TrainingError: the other process failed.
    """
    if keras.backend.backend() == "tensorflow":
        _write(network, answers, folder)
        return
    file = folder.with_name(f"{folder.name}.keras")
    try:
        network.save(file)
        _write_in_another_process(file, answers, folder)
    finally:
        file.unlink(missing_ok=True)


def _write(network: keras.Sequential, answers: Answers, folder: Path) -> None:
    """Signature `serving_default`: raw examples to named probabilities or values. A classifier of
    pictures also has `explain`: the same pictures to `probabilities` and `evidence`.

    The archive is not told to track the network: it finds the weights in the signatures, and
    would store each of them a second time.
    """
    of_pictures = len(network.input_shape) > 2
    name = "images" if of_pictures else "features"
    taken = [keras.InputSpec(shape=network.input_shape, dtype="float32", name=name)]
    archive = keras.export.ExportArchive()
    archive.add_endpoint("serving_default", partial(answers.of, network), taken)
    if of_pictures and answers.can_be_explained:
        archive.add_endpoint("explain", partial(answers.explained, network), taken)
    try:
        archive.write_out(str(folder), verbose=False)
    except Exception as error:  # TensorFlow's own types, for a full disk among others
        raise OSError(in_words(error)) from error


def _write_in_another_process(file: Path, answers: Answers, folder: Path) -> None:
    # The graph is the same on every device, and the GPU's memory is this process's.
    environment = os.environ | {"KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    how = json.dumps(asdict(answers))
    command = [sys.executable, "-m", __name__, str(file), how, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise TrainingError(f"cannot write the SavedModel: {done.stderr.strip()[-2000:]}")


if __name__ == "__main__":
    _file, _how, _folder = sys.argv[1:]
    _network = keras.models.load_model(_file, compile=False)
    _write(_network, Answers(**json.loads(_how)), Path(_folder))
