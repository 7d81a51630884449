"""The quick lecture, run once by the program itself for all tests that look at it."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import COMPILING_QUICKLY
from wardrobe.training.studies import records
from wardrobe.training.studies.study import Study, read_all
from wardrobe.training.studies.variants import Variant, expand


@dataclass(frozen=True)
class Lecture:
    """What `wardrobe study --all --quick` left."""

    folder: Path
    studies: dict[str, Study]
    verdicts: dict[str, dict[str, Any]]

    def variants(self, name: str) -> list[Variant]:
        return expand(self.studies[name])

    def records(self, name: str) -> list[records.Record]:
        found = [records.read(self.folder / "studies", variant) for variant in self.variants(name)]
        return [record for record in found if record is not None]


@pytest.fixture(autouse=True)
def quickly(compiling_quickly: None) -> None:
    """What these tests train is small."""


@pytest.fixture(scope="package")
def lecture(wardrobe_program: str, tmp_path_factory: pytest.TempPathFactory) -> Lecture:
    folder = tmp_path_factory.mktemp("lecture")
    done = subprocess.run(
        [wardrobe_program, "study", "--all", "--quick", "--json", "--runs", str(folder)],
        capture_output=True, text=True, timeout=900, env=os.environ | COMPILING_QUICKLY,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    verdicts = json.loads(done.stdout)
    return Lecture(
        folder,
        {study.name: study for study in read_all(is_quick=True)},
        {verdict["study"]: verdict for verdict in verdicts},
    )
