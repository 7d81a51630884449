"""Artifacts on disk: finding them, and reading what travels beside the network.

An artifact is a SavedModel in `FOLDER/NAME/VERSION/`, VERSION a positive integer, higher is newer.
`assets.extra/` in it may hold:

    labels.json       class names in the order of the outputs      (else "0", "1", …)
    input.json        {"kind": "image", "shape": [28, 28], "range": [0, 255], "ground": "dark"}
                                                        (else read from the network's signature)
    uncertainty.json  {"below": 0.6}: an answer of less probability is marked uncertain (else none)
"""

import json
import logging
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

from wardrobe.serving.errors import ArtifactError

logger = logging.getLogger(__name__)

Ground = Literal["dark", "light", "mixed"]
"""What a network's pictures stand on; "mixed" takes either, so that none is turned round."""

VERSION = re.compile(r"[1-9][0-9]*")

Fingerprint = frozenset[tuple[str, int, int]]
"""Path, size and time of change of each file."""


@dataclass(frozen=True)
class Artifact:
    """One version of one model: a folder that has the right name; nothing in it is read yet."""

    name: str
    version: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class PictureInput:
    """What pictures a network takes: `shape` (height, width) in pixels, bright on `ground`."""

    shape: tuple[int, int]
    ground: Ground = "dark"


@dataclass(frozen=True)
class Extras:
    """What an artifact says of itself; None where it says nothing."""

    labels: tuple[str, ...] | None = None
    kind: str | None = None
    picture: PictureInput | None = None
    uncertain_below: float | None = None


def find(folders: Sequence[Path]) -> list[Artifact]:
    """All version folders of `folders`: the names of the first folder first, in alphabetical order,
    each name's newest version first.

    Folders that do not exist hold nothing. Where two hold the same version of a name, the first
    is taken and the log says so. Anything whose name is no positive integer, such as `.3.partial`
    of a version being written, is no version.
    """
    found: dict[str, dict[int, Artifact]] = {}
    for folder in folders:
        for path in _versions(folder):
            name, version = path.parent.name, int(path.name)
            versions = found.setdefault(name, {})
            first = versions.setdefault(version, Artifact(name, version, path))
            if first.folder != path:
                _tell_hidden(path, first.folder)
    return [versions[version] for versions in found.values() for version in sorted(versions)[::-1]]


@cache
def _tell_hidden(path: Path, first: Path) -> None:
    """Once a process: the folders are looked through again and again."""
    logger.warning("%s is hidden by the same version in %s", path, first)


def at(folder: Path) -> Artifact:
    """The artifact in a version folder, or the newest one in a model's folder.

    Raises `ArtifactError` where there is none.
    """
    folder = folder.absolute()
    if VERSION.fullmatch(folder.name) and folder.is_dir():
        return Artifact(folder.parent.name, int(folder.name), folder)
    newest = [found for found in find([folder.parent]) if found.name == folder.name][:1]
    if not newest:
        raise ArtifactError(f"{folder} is no artifact; name a folder NAME/VERSION")
    return newest[0]


def fingerprint(artifact: Artifact) -> Fingerprint:
    """What tells whether the files of a version are still being written, or have been changed."""
    found = set()
    for folder, _, files in os.walk(artifact.folder):
        for file in files:
            path = os.path.join(folder, file)  # noqa: PTH118, every second for every model
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError:  # gone again
                continue
            found.add((path, status.st_size, status.st_mtime_ns))
    return frozenset(found)


def _versions(folder: Path) -> list[Path]:
    """The version folders below one artifact folder, by name and number."""
    paths = [path for path in folder.glob("[!.]*/*") if VERSION.fullmatch(path.name)]
    return sorted(
        (path for path in paths if path.is_dir()),
        key=lambda path: (path.parent.name, int(path.name)),
    )


def read_extras(artifact: Artifact) -> Extras:
    """What `assets.extra/` says, checked. Raises `ArtifactError` naming the file that is wrong."""
    folder = artifact.folder / "assets.extra"
    declared = _read_json(folder / "input.json")
    if declared is not None and not isinstance(declared, dict):
        raise ArtifactError("input.json is no JSON object; export the model again")
    return Extras(
        labels=_labels(_read_json(folder / "labels.json")),
        kind=declared["kind"] if declared and "kind" in declared else None,
        picture=_picture(declared) if declared and declared.get("kind") == "image" else None,
        uncertain_below=_uncertain_below(_read_json(folder / "uncertainty.json")),
    )


def _read_json(path: Path) -> Any:
    """The content of a JSON file; None where there is no such file."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"{path.name} cannot be read ({error}); export the model again"
        ) from error


def _labels(content: Any) -> tuple[str, ...] | None:
    if content is None:
        return None
    if not isinstance(content, list) or not all(isinstance(label, str) for label in content):
        raise ArtifactError("labels.json is no list of names; export the model again")
    return tuple(content)


def _picture(declared: dict[str, Any]) -> PictureInput:
    shape, ground = declared.get("shape"), declared.get("ground", "dark")
    if not (
        isinstance(shape, list)
        and len(shape) == 2
        and all(type(side) is int and side > 0 for side in shape)
    ):
        raise ArtifactError(
            f"input.json gives the shape {shape}; grey pictures have [height, width]"
        )
    if ground not in get_args(Ground):
        raise ArtifactError(f"input.json gives the ground {ground!r}; it is dark, light or mixed")
    if declared.get("range", [0, 255]) != [0, 255]:
        raise ArtifactError(
            f"input.json gives the range {declared['range']}; networks here take raw pixels,"
            " [0, 255], and scale them inside"
        )
    return PictureInput((shape[0], shape[1]), ground)


def _uncertain_below(content: Any) -> float | None:
    if content is None:
        return None
    below = content.get("below") if isinstance(content, dict) else None
    if not isinstance(below, int | float) or not 0 <= below <= 1:
        raise ArtifactError('uncertainty.json is not {"below": a number from 0 to 1}')
    return float(below)
