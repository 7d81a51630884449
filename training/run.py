"""The folder of one run: `runs/NAME/TIME-seedS/`, which says everything about itself.

| file | holds |
|---|---|
| `run.json` | status, command, seed, versions, devices, data hashes, timings, metrics |
| `declared/` | the declaration as written, with the files that it extends |
| `declaration.yaml` | the declaration as resolved |
| `history.csv` | loss and metrics of each epoch |
| `tensorboard/` | the same for TensorBoard |
| `model.keras` | the trained network |
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import keras
import yaml

from models import Declaration
from training.errors import TrainingError

RESERVE = 16 * 1024
"""Bytes kept free in the folder, so that on a full disk the record can still say how it ended."""


class Run:
    """One run's folder and its record."""

    def __init__(self, runs: Path, declaration: Declaration) -> None:
        """Chooses the folder; nothing is written before `start`."""
        started = datetime.now(UTC)
        stem = f"{started:%Y%m%d-%H%M%S}-seed{declaration.seed}"
        self.folder = _unused(runs / declaration.name / stem)
        self.declaration = declaration
        self.record: dict[str, Any] = {
            "name": declaration.name,
            "status": "running",
            "started": started.isoformat(timespec="seconds"),
            "seed": declaration.seed,
            "declaration": declaration.digest,
        }

    def start(self, files: list[Path], **facts: Any) -> None:
        """Creates the folder with the declaration's files and a first record.

        Raises:
            TrainingError: the folder cannot be written.
        """
        try:
            (self.folder / "declared").mkdir(parents=True)
            for file in files:
                shutil.copy(file, self.folder / "declared" / file.name)
            resolved = as_yaml(self.declaration)
            (self.folder / "declaration.yaml").write_text(resolved, encoding="utf-8")
            self.note(**facts)
            (self.folder / ".reserve").write_bytes(bytes(RESERVE))
        except OSError as error:
            raise TrainingError(f"cannot write {self.folder}: {error.strerror}") from error

    def note(self, **facts: Any) -> None:
        """Adds facts to the record and writes it, whole or not at all."""
        self.record |= facts
        partial = self.folder / ".run.json.partial"
        partial.write_text(json.dumps(self.record, indent=2) + "\n", encoding="utf-8")
        partial.replace(self.folder / "run.json")

    def keep(self, network: keras.Sequential) -> None:
        """Writes `model.keras`, whole or not at all.

        Raises:
            TrainingError: it cannot be written.
        """
        partial = self.folder / ".partial.keras"
        try:
            network.save(partial)
            partial.replace(self.folder / "model.keras")
        except OSError as error:
            raise TrainingError(f"cannot write {self.folder}/model.keras: {error}") from error
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Sees to it that the record says how the run ended, whatever happens in the block."""
        try:
            yield
        except KeyboardInterrupt:
            self._ended("interrupted", "interrupted")
            raise
        except Exception as error:
            self._ended("failed", str(error) or type(error).__name__)
            raise
        self._ended("finished")

    def _ended(self, status: str, reason: str | None = None) -> None:
        (self.folder / ".reserve").unlink(missing_ok=True)
        self.note(status=status, **({"reason": reason} if reason else {}))


def as_yaml(declaration: Declaration) -> str:
    """A declaration as resolved, in YAML."""
    return yaml.safe_dump(declaration.tree.plain, sort_keys=False, allow_unicode=True, width=100)


def _unused(folder: Path) -> Path:
    number, candidate = 1, folder
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate
