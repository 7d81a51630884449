"""Small trainings on silhouettes: real ones, in seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import keras
import pytest

from models import DataFacts, Declaration, chain, read, resolve
from training.data import DataSet
from training.train import Trained, train

# One process has one backend: `test_on_jax` runs the tests in there in a process of their own.
collect_ignore = [] if keras.backend.backend() == "jax" else ["jax"]

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
    data: DataSet, folder: Path, text: str = SMALL, *overrides: str, resume: bool = False
) -> Trained:
    """Trains YAML text on a data set; runs and artifacts go below the folder."""
    facts = DataFacts(data.input_shape, data.classes)
    declaration, file = declared(folder, facts, text, *overrides)
    return train(
        declaration,
        data,
        written=chain(file),
        runs=folder / "runs",
        artifacts=folder / "artifacts",
        command="wardrobe train declared.yaml",
        resume=resume,
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Trained]:
    """Trains on a data set below the test's own folder."""
    return lambda data, *text_and_overrides: trained_on(data, tmp_path, *text_and_overrides)


@pytest.fixture(scope="session")
def trained(few_silhouettes: DataSet, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """The smallest declaration, trained once for all tests that only look."""
    return trained_on(few_silhouettes, tmp_path_factory.mktemp("trained"))
