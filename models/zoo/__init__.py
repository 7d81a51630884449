"""The zoo: all declarations that ship with the project, one `NAME.yaml` each."""

from __future__ import annotations

import itertools
from pathlib import Path

FOLDER = Path(__file__).parent

# How the first line of a file names the schema with which yaml-language-server completes it.
FOR_EDITORS = "# yaml-language-server: $schema="


def names() -> tuple[str, ...]:
    """The names of all files of the zoo, bases that others extend included."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def path(name: str) -> Path | None:
    """The file of a name of the zoo, or None."""
    return FOLDER / f"{name}.yaml" if name in names() else None


def notes(name: str) -> str:
    """The comment at the head of a file: its recipe's reasons, scores, and what did not help."""
    lines = (FOLDER / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    head = itertools.takewhile(lambda line: line.startswith("#"), lines)
    notes = (line for line in head if not line.startswith(FOR_EDITORS))
    return "\n".join(line.removeprefix("#").removeprefix(" ") for line in notes)


def is_teacher(name: str) -> bool:
    """Whether a network is there to teach others only, and may be convolutional."""
    return name.startswith("teacher-")
