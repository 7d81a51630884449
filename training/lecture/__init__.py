"""The lecture: every idea of it as a study, one `NAME.yaml` each."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent


def names() -> tuple[str, ...]:
    """The names of all studies that ship."""
    return tuple(sorted(file.stem for file in FOLDER.glob("*.yaml")))
