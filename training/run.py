"""The folder of one run, `runs/NAME/TIME-seedS/`, which records everything about it.

| file | holds |
|---|---|
| `run.json` | the run's record: status, command, seed, versions, devices, data, timings, metrics |
| `declared/` | the declaration as written, with the files that it extends |
| `declaration.yaml` | the declaration as resolved |
| `history.csv` | loss and metrics of each epoch |
| `tensorboard/` | the same for TensorBoard |
| `model.keras` | the trained network, not calibrated: it can be trained further |
| `checkpoint.npz` | during training: what is needed to resume it after an interruption |
| `end.npz` | the same after the last epoch: what is needed to continue with more epochs |
| `.lock` | locked by the process that trains, so that no other process resumes the run |
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
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

CHECKPOINT, END = "checkpoint.npz", "end.npz"

# Files that a run which continues from this one writes itself.
_OWN = (
    "run.json", "declared", "declaration.yaml", "model.keras", CHECKPOINT, END, ".lock", ".reserve"
)  # fmt: skip

# The errors of `flock` on a file system without locks.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS)

logger = logging.getLogger(__name__)

RESERVE = 16 * 1024
"""Bytes kept free in the folder, so that on a full disk the record can still say how it ended."""


def new_folder(runs: Path, declaration: Declaration, started: datetime) -> Path:
    """The folder of a run that starts now; it is not created yet."""
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

        An interrupted run comes before those that have ended, whatever their dates.

        Raises:
            TrainingError: a `run.json` among them cannot be read.
        """
        found = [
            run
            for run in cls._all(runs, declaration)
            if run.record.declaration == declaration.digest
        ]
        return max(found, key=lambda run: (run._is_interrupted, run.folder.name), default=None)

    @classmethod
    def shorter(cls, runs: Path, declaration: Declaration) -> Run | None:
        """The longest run of this declaration and seed with fewer epochs, or None.

        Raises:
            TrainingError: a `run.json` among them cannot be read.
        """
        wanted, epochs = _but_for_epochs(declaration.tree.plain)
        found: list[tuple[int, str, Run]] = []
        for run in cls._all(runs, declaration):
            other, fewer = _but_for_epochs(run.declared)
            if other == wanted and fewer < epochs and run._can_be_continued:
                found.append((fewer, run.folder.name, run))
        return max(found)[2] if found else None

    @classmethod
    def declared_otherwise(
        cls, runs: Path, declaration: Declaration
    ) -> tuple[Run, list[str]] | None:
        """The last run of this name and seed, and the paths of the values in which its declaration
        differs; None if there is no run, or its declaration is missing.

        Raises:
            TrainingError: a `run.json` among them cannot be read.
        """
        run = max(cls._all(runs, declaration), key=lambda each: each.folder.name, default=None)
        if run is None or not run.declared:
            return None
        return run, sorted(_differences(run.declared, declaration.tree.plain))

    @classmethod
    def _all(cls, runs: Path, declaration: Declaration) -> Iterator[Run]:
        """All runs of a name and seed."""
        for file in (runs / declaration.name).glob("*/run.json"):
            record = read(file)
            if record.seed == declaration.seed:
                yield cls(file.parent, record)

    @property
    def declared(self) -> dict[str, Any]:
        """Its declaration as resolved; empty if the file is gone."""
        try:
            text = (self.folder / "declaration.yaml").read_text(encoding="utf-8")
            return dict(yaml.safe_load(text))
        except (OSError, yaml.YAMLError, TypeError, ValueError):
            return {}

    @property
    def _can_be_continued(self) -> bool:
        """Whether it has a state to continue from, or had one that an older wardrobe removed."""
        has_begun = self._is_interrupted and (self.folder / CHECKPOINT).is_file()
        return has_begun or self.record.status == "finished"

    @property
    def _is_interrupted(self) -> bool:
        return self.record.status in ("running", "interrupted")

    @classmethod
    def start(cls, folder: Path, record: Record, declaration: Declaration) -> Run:
        """Creates the folder, with the declaration's files and a first record.

        Raises:
            FileExistsError: another run, started in the same second, has taken the folder.
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
        except FileExistsError:
            raise
        except OSError as error:
            raise TrainingError(f"cannot write {folder}: {error.strerror}") from error
        return run

    def resume(self, record: Record) -> None:
        """Records that the run continues; `record` is that of a run that would start now.

        Raises:
            TrainingError: something that affects the result has changed, or another process is
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

    def hand_on(self, folder: Path, record: Record) -> None:
        """Copies all that a run with more epochs needs to continue from this one into its folder.

        Raises:
            TrainingError: the result would differ from that of all epochs at once, or this run has
                not kept what is needed.
        """
        self._lock()
        epochs = _but_for_epochs(self.declared)[1]
        end = self.folder / (CHECKPOINT if self._is_interrupted else END)
        reason = ""
        if changed := self.record.changes(record):
            reason = f"{', '.join(changed)} changed since"
        elif not self._is_interrupted and self.record.epochs < epochs:
            reason = f"it stopped early, after {self.record.epochs} of {epochs} epochs"
        elif not end.is_file():
            reason = f"it kept no {end.name}"
        if reason:
            raise TrainingError(
                f"{self.folder} cannot continue with more epochs: {reason}; drop --resume to start "
                "a new run"
            )
        try:
            shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns(*_OWN))
            shutil.copy(end, folder / CHECKPOINT)
        except OSError as error:
            raise TrainingError(f"cannot write {folder}: {error}") from error

    def note(self, **facts: Any) -> None:
        """Replaces fields of the record and writes it."""
        self.record = replace(self.record, **facts)
        with atomic_write(self.folder / "run.json") as file:
            file.write(json.dumps(self.record.to_json(), indent=2) + "\n")

    def keep(self, network: keras.Sequential) -> None:
        """Writes `model.keras`, completely or not at all.

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
            self._locked = None
            raise TrainingError(
                f"{self.folder} is being trained by another process: wait for it, or drop "
                "--resume to start a new run"
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            logger.warning(
                "%s cannot be locked on this file system (%s): make sure that no other process "
                "resumes this run", self.folder, error.strerror,
            )  # fmt: skip


def _but_for_epochs(declared: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """What the result of a run depends on except the number of epochs, and this number."""
    decisive = {k: v for k, v in declared.items() if k not in ("name", "about", "seed")}
    training = dict(declared.get("training", {}))
    epochs = training.pop("epochs", 0)
    return decisive | {"training": training}, epochs


def _differences(one: dict[str, Any], other: dict[str, Any], above: str = "") -> Iterator[str]:
    """The paths of the values in which two declarations differ."""
    for key in one.keys() | other.keys():
        here, there = one.get(key), other.get(key)
        if isinstance(here, dict) and isinstance(there, dict):
            yield from _differences(here, there, f"{above}{key}.")
        elif here != there and f"{above}{key}" != "about":
            yield f"{above}{key}"


def as_yaml(declaration: Declaration) -> str:
    """A declaration as resolved, in YAML."""
    return yaml.safe_dump(declaration.tree.plain, sort_keys=False, allow_unicode=True, width=100)
