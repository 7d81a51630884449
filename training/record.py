"""The record of a run, in `run.json`: what was trained, on what data, and with which result."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import MISSING, dataclass, field, fields
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

from wardrobe.models import Declaration
from wardrobe.training.data import DataSet
from wardrobe.training.errors import TrainingError
from wardrobe.training.fit.class_weights import class_weights
from wardrobe.training.transfer import Transferred

Status = Literal["running", "finished", "failed", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class DataRecord:
    """The data set of a run, and how it was split."""

    name: str
    source: str = ""  # where it was found; not in records that ship
    files: dict[str, str]  # file (or array) name → SHA-256
    split: str  # SHA-256 of the split
    examples: dict[str, int]  # part → number of examples
    sets: dict[str, Any] = field(default_factory=dict)  # of several: share, weight, examples
    resplit: int | None = None  # seed of a test set drawn anew; only in records that ship

    @classmethod
    def of(cls, data: DataSet) -> DataRecord:
        parts = {"train": data.train, "validation": data.validation, "test": data.test}
        return cls(
            name=data.name,
            source=data.source,
            files=data.hashes,
            split=data.split_hash,
            examples={name: len(examples) for name, examples in parts.items()},
            sets={
                part.name: {
                    "share": part.share,
                    "weight": part.weight,
                    "examples": {name: len(chosen) for name, chosen in part.examples.items()},
                }
                for part in data.parts
            },
        )


@dataclass(frozen=True)
class TeacherRecord:
    """The run that a network was distilled from."""

    name: str
    seed: int
    declaration: str
    started: str
    parameters: int
    weights: str  # SHA-256 of its model.keras


@dataclass(frozen=True, kw_only=True)
class Record:
    """One run. Fields are written in this order; one that has its default is left out."""

    id: str  # of this run alone; "" in records older than it
    name: str
    status: Status
    started: str  # ISO 8601, UTC
    seed: int
    declaration: str  # SHA-256 of the declaration as resolved
    command: str
    data: DataRecord
    teacher: TeacherRecord | None
    versions: dict[str, str]  # Python and packages, and the name of the Keras `backend`
    devices: list[str]
    processor: str
    git: dict[str, Any] | None  # `commit` of the source code, and whether it is `dirty`
    callbacks: list[str] = field(default_factory=list)  # classes that a script passed to `train`
    resumed: list[str] = field(default_factory=list)  # when: ISO 8601, UTC
    initial_weights: dict[str, Any] = field(default_factory=dict)  # where `model.from` found them
    class_weights: dict[str, float] = field(default_factory=dict)  # of the loss, if they differ
    continues: str = ""  # the `id` of the run with fewer epochs from whose end it went on
    parameters: int = 0
    epochs: int = 0
    seconds: float = 0.0
    calibration: dict[str, Any] = field(default_factory=dict)  # a classifier's
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)  # `validation` and `test`
    artifact: str = ""  # its folder; not in records that ship
    reason: str = ""  # why it failed or was interrupted
    costs: dict[str, Any] = field(default_factory=dict)  # the artifact's; in records that ship

    @classmethod
    def of(
        cls,
        declaration: Declaration,
        data: DataSet,
        teacher: TeacherRecord | None,
        *,
        started: datetime,
        command: str,
        callbacks: Sequence[str],
        transferred: Transferred | None = None,
    ) -> Record:
        """The record of a run that starts now, in this process."""
        import keras

        return cls(
            id=uuid.uuid4().hex,
            name=declaration.name,
            status="running",
            started=started.isoformat(timespec="seconds"),
            seed=declaration.seed,
            declaration=declaration.digest,
            command=command,
            data=DataRecord.of(data),
            teacher=teacher,
            versions=_versions(keras.backend.backend()),
            devices=list(keras.distribution.list_devices()),
            processor=_processor(),
            git=_git(),
            callbacks=list(callbacks),
            initial_weights=vars(transferred) if transferred else {},
            class_weights=class_weights(declaration, data),
        )

    @classmethod
    def from_json(cls, facts: dict[str, Any]) -> Record:
        """Raises KeyError or TypeError if keys are missing or unknown."""
        parts = {
            "data": DataRecord(**facts["data"]),
            "teacher": TeacherRecord(**facts["teacher"]) if facts.get("teacher") else None,
        }
        return cls(**({"id": ""} | facts | parts))

    def to_json(self) -> dict[str, Any]:
        """What `run.json` holds."""
        teacher = _written(self.teacher) if self.teacher else {}
        return _written(self) | {"data": _written(self.data), "teacher": teacher}

    def changes(self, other: Record) -> list[str]:
        """Which of the facts that a run's result depends on differ, such as `data.split`."""
        parts = {
            "data": (vars(self.data), vars(other.data)),
            "teacher": tuple(vars(of.teacher) if of.teacher else {} for of in (self, other)),
            "versions": (self.versions, other.versions),
            "initial_weights": tuple(
                {key: of.initial_weights[key] for key in ("weights",) if of.initial_weights}
                for of in (self, other)
            ),
        }
        return [
            f"{name}.{key}"
            for name, (mine, others) in parts.items()
            for key in others
            if mine.get(key) != others[key]
        ]


def read(file: Path) -> Record:
    """The record in a file.

    Raises:
        TrainingError: the file is not a run's record.
    """
    try:
        return Record.from_json(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise TrainingError(f"{file}: not the record of a run ({error!r})") from error


def _written(facts: Any) -> dict[str, Any]:
    """The fields of a dataclass, without those that have their default."""
    written = {}
    for one in fields(facts):
        default = one.default if one.default_factory is MISSING else one.default_factory()
        if (value := getattr(facts, one.name)) != default:
            written[one.name] = value
    return written


def _versions(backend: str) -> dict[str, str]:
    """Of Python and of the packages that decide a result."""
    packages = {"keras", "numpy", backend, "wardrobe"}
    return {
        "python": platform.python_version(),
        "backend": backend,
        **{package: version(package) for package in sorted(packages)},
    }


def _processor() -> str:
    """The processor's model, if the system names it, and its number of cores."""
    try:
        facts = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        name = facts.partition("model name")[2].partition("\n")[0].lstrip("\t :")
    except OSError:
        name = ""
    return f"{name or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _git() -> dict[str, Any] | None:
    """The commit of the source code and whether it was changed since; None outside git."""
    try:
        commit = _output("git", "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_output("git", "status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _output(*command: str) -> str:
    source = Path(__file__).resolve().parent
    done = subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    return done.stdout.strip()
