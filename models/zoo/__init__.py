"""The zoo: all declarations that ship with the project, one `NAME.yaml` each."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of all files of the zoo, bases that others extend included."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))


def path(name: str) -> Path | None:
    """The file of a name of the zoo, or None."""
    return FOLDER / f"{name}.yaml" if name in names() else None
