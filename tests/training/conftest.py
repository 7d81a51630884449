"""Small trainings on silhouettes: real ones, in seconds."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import keras
import numpy as np
import pytest

from wardrobe.models import DataFacts, Declaration, read, resolve
from wardrobe.training.data import DataSet, silhouettes
from wardrobe.training.record import Record
from wardrobe.training.train import TrainedRun, train

# One process has one backend: `test_on_jax` runs the tests in there in a process of their own.
collect_ignore = [] if keras.backend.backend() == "jax" else ["fit/jax"]

SMALL = """\
name: small
seed: 5
data: silhouettes
model:
  layers:
    - Dense: {units: 32, activation: relu}
    - BatchNormalization
    - Dropout: {rate: 0.1}
training: {epochs: 2, batch_size: 64}
"""


def declared(
    folder: Path, facts: DataFacts, text: str, *overrides: str
) -> tuple[Declaration, Path]:
    """A resolved declaration from YAML text, and the file it was read from."""
    file = folder / "declared.yaml"
    file.write_text(dedent(text), encoding="utf-8")
    return resolve(read(str(file), overrides), facts), file


def trained_on(
    data: DataSet, folder: Path, text: str = SMALL, *overrides: str, **options: Any
) -> TrainedRun:
    """Trains YAML text on a data set; runs and artifacts go below the folder."""
    facts = DataFacts(data.input_shape, data.classes)
    declaration, _ = declared(folder, facts, text, *overrides)
    return train(
        declaration,
        data,
        runs=folder / "runs",
        artifacts=folder / "artifacts",
        command="wardrobe train declared.yaml",
        **options,
    )


def a_record(declaration: Declaration, data: DataSet) -> Record:
    """The record of a run that begins now."""
    return Record.of(declaration, data, None, started=datetime.now(UTC), command="", callbacks=[])


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., TrainedRun]:
    """Trains on a data set below the test's own folder."""
    return lambda data, *text_and_overrides: trained_on(data, tmp_path, *text_and_overrides)


@pytest.fixture(scope="session")
def trained(few_silhouettes: DataSet, tmp_path_factory: pytest.TempPathFactory) -> TrainedRun:
    """The smallest declaration, trained once for all tests that only look."""
    return trained_on(few_silhouettes, tmp_path_factory.mktemp("trained"))


def three_garments() -> tuple[Any, Any]:
    """Pictures of three of the silhouettes' classes, numbered anew: uint8 [N, 28, 28], int [N]."""
    drawn = silhouettes.draw(900, seed=2)
    chosen = drawn.y < 3
    return drawn.x[chosen], drawn.y[chosen]


def idx_bytes(array: np.ndarray) -> bytes:
    """An IDX file of an array of unsigned bytes."""
    head = struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    return head + array.astype(np.uint8).tobytes()


def write_mnist_format(folder: Path, x: Any, y: Any) -> None:
    """Four MNIST-format files of pictures and classes; the first 200 are to train on."""
    files = {
        "train-images-idx3-ubyte": x[:200],
        "train-labels-idx1-ubyte": y[:200],
        "t10k-images-idx3-ubyte": x[200:],
        "t10k-labels-idx1-ubyte": y[200:],
    }
    for name, values in files.items():
        (folder / name).write_bytes(idx_bytes(values))
