"""Artifacts on disk: finding them, and reading the metadata beside the network.

An artifact is a SavedModel in `FOLDER/NAME/VERSION/`, VERSION a positive integer, higher is newer.
`assets.extra/` in it may hold:

    labels.json       class names in the order of the outputs; default "0", "1", …
    input.json        {"kind": "image", "shape": [28, 28], "channels": 1, "range": [0, 255],
                      "ground": "dark", "prepare": "garment"}; default: what the network's
                      signature says. Colour pictures have the shape [28, 28, 3] and 3 channels
    uncertainty.json  {"below": 0.6}: predictions of lower probability are marked uncertain
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

Polarity = Literal["dark", "light", "mixed"]
"""The background of a network's pictures, `ground` in input.json; "mixed" takes either, so that
none is inverted."""

Preparation = Literal["none", "resize", "pad", "garment"]
"""How a picture becomes one of the network's shape, see `serving.images.prepare`."""

VERSION = re.compile(r"[1-9][0-9]*")

Fingerprint = frozenset[tuple[str, int, int]]
"""Path, size and modification time of each file."""


@dataclass(frozen=True)
class Artifact:
    """One version of one model: a folder of the right name, of which nothing has been read yet."""

    name: str
    version: int
    folder: Path

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class PictureInput:
    """The pictures that a network takes: 0–255, `shape` (height, width) in pixels, `channels` 1
    (grey, without an axis of its own) or 3 (RGB), and how they are prepared."""

    shape: tuple[int, int]
    polarity: Polarity = "dark"
    channels: int = 1
    prepare: Preparation = "garment"

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one example of the network: `(height, width)` or `(height, width, 3)`."""
        return self.shape if self.channels == 1 else (*self.shape, self.channels)


@dataclass(frozen=True)
class Extras:
    """What an artifact declares in `assets.extra/`; None for what it does not declare.

    `columns` are those of a table that the network takes one by one."""

    labels: tuple[str, ...] | None = None
    kind: str | None = None
    picture: PictureInput | None = None
    uncertain_below: float | None = None
    columns: tuple[str, ...] = ()


def find(folders: Sequence[Path]) -> list[Artifact]:
    """All version folders in `folders`: names in alphabetical order, those of the first folder
    first, and the newest version of each name first.

    Missing folders are treated as empty. Of the same version in two folders the first is taken, and
    a warning is logged. A version folder's name is a positive integer; any other, such as
    `.3.partial` while a version is being written, is ignored.
    """
    found: dict[str, dict[int, Artifact]] = {}
    for folder in folders:
        for path in _versions(folder):
            name, version = path.parent.name, int(path.name)
            versions = found.setdefault(name, {})
            first = versions.setdefault(version, Artifact(name, version, path))
            if first.folder != path:
                _warn_hidden(path, first.folder)
    return [versions[version] for versions in found.values() for version in sorted(versions)[::-1]]


@cache
def _warn_hidden(path: Path, first: Path) -> None:
    """Cached, so that each is logged once: the folders are searched every second."""
    logger.warning("%s is hidden by the same version in %s", path, first)


def at(folder: Path) -> Artifact:
    """The artifact in a version folder, or the newest one in a model's folder.

    Raises `ArtifactError` if there is none.
    """
    folder = folder.absolute()
    if VERSION.fullmatch(folder.name) and folder.is_dir():
        return Artifact(folder.parent.name, int(folder.name), folder)
    newest = [found for found in find([folder.parent]) if found.name == folder.name][:1]
    if not newest:
        raise ArtifactError(f"{folder} is not an artifact; give a folder NAME/VERSION")
    return newest[0]


def fingerprint(artifact: Artifact) -> Fingerprint:
    """Differs when the files of a version have changed, or are still being written."""
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
    """The version folders in one artifact folder, sorted by name and number."""
    paths = [path for path in folder.glob("[!.]*/*") if VERSION.fullmatch(path.name)]
    return sorted(
        (path for path in paths if path.is_dir()),
        key=lambda path: (path.parent.name, int(path.name)),
    )


def read_extras(artifact: Artifact) -> Extras:
    """Read and check `assets.extra/`. Raises `ArtifactError` naming the file that is wrong."""
    folder = artifact.folder / "assets.extra"
    declared = _read_json(folder / "input.json")
    if declared is not None and not isinstance(declared, dict):
        raise ArtifactError("input.json must be a JSON object; export the model again")
    return Extras(
        labels=_labels(_read_json(folder / "labels.json")),
        kind=declared["kind"] if declared and "kind" in declared else None,
        columns=_columns(declared) if declared and declared.get("kind") == "table" else (),
        picture=_picture(declared) if declared and declared.get("kind") == "image" else None,
        uncertain_below=_uncertain_below(_read_json(folder / "uncertainty.json")),
    )


def _read_json(path: Path) -> Any:
    """The content of a JSON file; None if there is no such file."""
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
        raise ArtifactError("labels.json must be a list of class names; export the model again")
    return tuple(content)


def _columns(declared: dict[str, Any]) -> tuple[str, ...]:
    try:
        return tuple(column["name"] for column in declared.get("columns", ()))
    except (TypeError, KeyError) as error:
        raise ArtifactError(
            'input.json: columns must be a list of {"name": …}; export the model again'
        ) from error


def _picture(declared: dict[str, Any]) -> PictureInput:
    shape, polarity = declared.get("shape"), declared.get("ground", "dark")
    if not (
        isinstance(shape, list)
        and (len(shape) == 2 or shape[2:] == [3])
        and all(type(side) is int and side > 0 for side in shape)
    ):
        raise ArtifactError(
            f"input.json: shape is {shape}; it must be [height, width] or [height, width, 3]"
        )
    channels = 1 if len(shape) == 2 else 3
    if declared.get("channels", channels) != channels:
        raise ArtifactError(
            f"input.json: channels is {declared['channels']}, but shape is {shape}; export the"
            " model again"
        )
    prepare = declared.get("prepare", "garment" if channels == 1 else "resize")
    if prepare not in get_args(Preparation) or (prepare, channels) == ("garment", 3):
        raise ArtifactError(
            f"input.json: prepare is {prepare!r}; it must be none, resize, pad or, for grey"
            " pictures, garment"
        )
    if polarity not in get_args(Polarity):
        raise ArtifactError(f"input.json: ground is {polarity!r}; it must be dark, light or mixed")
    if declared.get("range", [0, 255]) != [0, 255]:
        raise ArtifactError(
            f"input.json: range is {declared['range']}; it must be [0, 255], as networks here take"
            " raw pixels and scale them inside"
        )
    return PictureInput((shape[0], shape[1]), polarity, channels, prepare)


def _uncertain_below(content: Any) -> float | None:
    if content is None:
        return None
    below = content.get("below") if isinstance(content, dict) else None
    if not isinstance(below, int | float) or not 0 <= below <= 1:
        raise ArtifactError('uncertainty.json must be {"below": a number from 0 to 1}')
    return float(below)
