"""The folder of one run: `runs/NAME/TIME-seedS/`, which says everything about itself.

| file | holds |
|---|---|
| `run.json` | status, command, seed, versions, devices, data, timings, calibration, metrics |
| `declared/` | the declaration as written, with the files that it extends |
| `declaration.yaml` | the declaration as resolved |
| `history.csv` | loss and metrics of each epoch |
| `tensorboard/` | the same for TensorBoard |
| `model.keras` | the trained network, not calibrated: it can be trained further |
| `checkpoint.npz` | while it trains: what it needs to go on after an interruption |
| `.lock` | locked by the process that trains, so that no other goes on with the run meanwhile |
"""

from __future__ import annotations

import fcntl
import json
import shutil
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import keras
import yaml

from wardrobe.models import Declaration
from wardrobe.training.errors import TrainingError

CHECKPOINT = "checkpoint.npz"

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
        self.lock: IO[str] | None = None
        self.record: dict[str, Any] = {
            "id": uuid.uuid4().hex,
            "name": declaration.name,
            "status": "running",
            "started": started.isoformat(timespec="seconds"),
            "seed": declaration.seed,
            "declaration": declaration.digest,
        }

    @classmethod
    def latest(cls, runs: Path, declaration: Declaration) -> Run | None:
        """The run of this declaration and seed that was started last, or None."""
        run = cls(runs, declaration)
        same = ("name", "seed", "declaration")
        for file in sorted((runs / declaration.name).glob("*/run.json"), reverse=True):
            record = json.loads(file.read_text(encoding="utf-8"))
            if all(record[key] == run.record[key] for key in same):
                run.folder = file.parent
                run.record |= record
                return run
        return None

    @property
    def is_finished(self) -> bool:
        return bool(self.record["status"] == "finished")

    def resume(self, **facts: Any) -> None:
        """Notes that the run goes on.

        Raises:
            TrainingError: what decides the result is not what it was; `facts` says what it is now.
                Or another process is at it.
        """
        self._take()
        changed = [
            f"{name}.{key}"
            for name, now in facts.items()
            for key in now
            if self.record.get(name, {}).get(key) != now[key]
        ]
        if changed:
            raise TrainingError(
                f"{self.folder} cannot go on as if nothing had happened: {', '.join(changed)} in "
                "its run.json was another; leave --resume out to train anew"
            )
        self.record.pop("reason", None)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self.note(status="running", resumed=[*self.record.get("resumed", []), now])

    def start(self, files: Sequence[Path], **facts: Any) -> None:
        """Creates the folder with the declaration's files and a first record.

        Raises:
            TrainingError: the folder cannot be written.
        """
        try:
            (self.folder / "declared").mkdir(parents=True)
            self._take()
            for file in files:
                shutil.copy(file, self.folder / "declared" / file.name)
            resolved = as_yaml(self.declaration)
            (self.folder / "declaration.yaml").write_text(resolved, encoding="utf-8")
            self.note(**facts)
            (self.folder / ".reserve").write_bytes(bytes(RESERVE))
        except OSError as error:
            raise TrainingError(f"cannot write {self.folder}: {error.strerror}") from error

    def _take(self) -> None:
        """Locks the folder for this process; the lock ends with it, however it ends."""
        if self.lock:
            return
        self.lock = (self.folder / ".lock").open("w")
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TrainingError(
                f"{self.folder} is being trained by another process: wait for it, or leave "
                "--resume out to train anew"
            ) from None

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
        (self.folder / CHECKPOINT).unlink(missing_ok=True)

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
