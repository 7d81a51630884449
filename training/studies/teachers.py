"""The teachers of a study's students: each is trained first, as by `wardrobe train`.

A teacher is sent to the processes that train its students as the bytes of its `model.keras`.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from wardrobe.models import Declaration
from wardrobe.training.data import DataSet

ARTIFACTS = "artifacts"


def network_of_teacher(
    student: Declaration, folder: Path, load: Callable[[Declaration], DataSet]
) -> bytes | None:
    """The teacher's `model.keras`; None if no teacher is declared.

    It is the teacher's last run on the same data in the parent of `folder`, which is finished or
    trained first if necessary. Its artifact is kept in `folder`.

    Raises:
        DeclarationError, TrainingError: as `training.train.train`.
    """
    if student.distillation is None:
        return None
    from wardrobe.training.train import train_teacher

    teacher = train_teacher(student, load(student), folder.parent, folder / ARTIFACTS)
    assert teacher is not None  # it is declared
    return (teacher.folder / "model.keras").read_bytes()


_folders: dict[str, tempfile.TemporaryDirectory[str]] = {}


def folder_of(network: bytes) -> Path:
    """A folder with a teacher's `model.keras`, which lasts as long as this process.

    It also caches the teacher's outputs for all groups of its students.
    """
    key = hashlib.sha256(network).hexdigest()
    if key not in _folders:
        _folders[key] = tempfile.TemporaryDirectory(prefix="teacher-")
        Path(_folders[key].name, "model.keras").write_bytes(network)
    return Path(_folders[key].name)
