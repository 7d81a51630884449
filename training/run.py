"""The folder of one run, `runs/NAME/TIME-seedS/`, which says everything about itself.

| file | holds |
|---|---|
| `run.json` | the run's record: status, command, seed, versions, devices, data, timings, metrics |
| `declared/` | the declaration as written, with the files that it extends |
| `declaration.yaml` | the declaration as resolved |
| `history.csv` | loss and metrics of each epoch |
| `tensorboard/` | the same for TensorBoard |
| `model.keras` | the trained network, not calibrated: it can be trained further |
| `checkpoint.npz` | during training: what is needed to resume it after an interruption |
| `.lock` | locked by the process that trains, so that no other resumes the run meanwhile |
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import keras
import yaml

from wardrobe.models import Declaration
from wardrobe.training.errors import TrainingError
from wardrobe.training.files import atomic_write
from wardrobe.training.record import Record, Status, read

CHECKPOINT = "checkpoint.npz"

RESERVE = 16 * 1024
"""Bytes kept free in the folder, so that on a full disk the record can still say how it ended."""


def new_folder(runs: Path, declaration: Declaration, started: datetime) -> Path:
    """The folder of a run that begins now; it is not created yet."""
    folder = runs / declaration.name / f"{started:%Y%m%d-%H%M%S}-seed{declaration.seed}"
    number, candidate = 1, folder
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


class Run:
    """One run's folder and its record."""

    def __init__(self, folder: Path, record: Record) -> None:
        self.folder, self.record = folder, record
        self._locked: IO[str] | None = None

    @classmethod
    def latest(cls, runs: Path, declaration: Declaration) -> Run | None:
        """The run of this declaration and seed that was started last, or None.

        Raises:
            TrainingError: a `run.json` among them cannot be read.
        """
        for file in sorted((runs / declaration.name).glob("*/run.json"), reverse=True):
            record = read(file)
            if (record.declaration, record.seed) == (declaration.digest, declaration.seed):
                return cls(file.parent, record)
        return None

    @classmethod
    def start(cls, folder: Path, record: Record, declaration: Declaration) -> Run:
        """Creates the folder, with the declaration's files and a first record.

        Raises:
            TrainingError: the folder cannot be written.
        """
        run = cls(folder, record)
        try:
            (folder / "declared").mkdir(parents=True)
            run._lock()
            for file in declaration.files:
                shutil.copy(file, folder / "declared" / file.name)
            (folder / "declaration.yaml").write_text(as_yaml(declaration), encoding="utf-8")
            run.note()
            (folder / ".reserve").write_bytes(bytes(RESERVE))
        except OSError as error:
            raise TrainingError(f"cannot write {folder}: {error.strerror}") from error
        return run

    def resume(self, record: Record) -> None:
        """Notes that the run goes on; `record` is what it would have if it began now.

        Raises:
            TrainingError: something that decides the result has changed, or another process is
                training the run.
        """
        self._lock()
        if changed := self.record.changes(record):
            raise TrainingError(
                f"{self.folder} cannot be resumed: {', '.join(changed)} changed since; drop "
                "--resume to start a new run"
            )
        now = datetime.now(UTC).isoformat(timespec="seconds")
        added = [name for name in record.callbacks if name not in self.record.callbacks]
        self.note(
            status="running",
            reason="",
            resumed=[*self.record.resumed, now],
            callbacks=[*self.record.callbacks, *added],
        )

    def note(self, **facts: Any) -> None:
        """Replaces fields of the record and writes it."""
        self.record = replace(self.record, **facts)
        with atomic_write(self.folder / "run.json") as file:
            file.write(json.dumps(self.record.to_json(), indent=2) + "\n")

    def keep(self, network: keras.Sequential) -> None:
        """Writes `model.keras`, whole or not at all.

        Raises:
            TrainingError: it cannot be written.
        """
        partial = self.folder / f".partial-{os.getpid()}.keras"  # Keras demands the ending
        try:
            network.save(partial)
            partial.replace(self.folder / "model.keras")
        except OSError as error:
            raise TrainingError(f"cannot write {self.folder}/model.keras: {error}") from error
        finally:
            partial.unlink(missing_ok=True)

    @contextmanager
    def recorded(self) -> Iterator[None]:
        """Makes sure that the record says how the run ended, whatever happens in the block."""
        try:
            yield
        except KeyboardInterrupt:
            self._end("interrupted", "interrupted")
            raise
        except Exception as error:
            self._end("failed", str(error) or type(error).__name__)
            raise
        self._end("finished")
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

    def _end(self, status: Status, reason: str = "") -> None:
        (self.folder / ".reserve").unlink(missing_ok=True)
        self.note(status=status, reason=reason)

    def _lock(self) -> None:
        """Locks the folder for this process; the lock is released when the process ends."""
        if self._locked:
            return
        self._locked = (self.folder / ".lock").open("w")
        try:
            fcntl.flock(self._locked, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"{self.folder} is being trained by another process: wait for it, or drop "
                "--resume to start a new run"
            ) from None


def as_yaml(declaration: Declaration) -> str:
    """A declaration as resolved, in YAML."""
    return yaml.safe_dump(declaration.tree.plain, sort_keys=False, allow_unicode=True, width=100)
