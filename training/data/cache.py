"""Data sets that were read before, one file of bytes each: the next training starts at once.

An entry is found by a hash over the names and contents of all files of the data set, and over how
they are read: there is no stale one. Beside its bytes is a description with their hash: what is
damaged or half-written is read anew from the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import asdict, replace
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from wardrobe.serving import images
from wardrobe.training.data.columns import RawColumn, Target
from wardrobe.training.data.dataset import Collection, Examples, file_hash
from wardrobe.training.data.listing import files_below
from wardrobe.training.files import atomic_write

SMALLEST = 1 << 20
"""Bytes of the files below which reading them is quicker than looking for them here."""

UNUSED_DAYS = 30
"""After as many days, what was not used is removed."""

DECIDE = ("pillow", "opencv-python-headless", "numpy")
"""Packages whose version may change what is read."""

CODE = (Path(__file__).parent, Path(images.__file__).parent)
"""The folders of the code that reads and prepares: a change there may change what is read."""


def folder() -> Path:
    """$WARDROBE_CACHE, else the user's folder for what may be deleted at any time."""
    if named := os.environ.get("WARDROBE_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "wardrobe"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wardrobe"


def cached(
    path: Path,
    settings: Any,
    collect: Callable[[], Collection],
    files: Sequence[Path] | None = None,
) -> Collection:
    """What `collect` reads from a file or folder, from the cache if it is there.

    settings: whatever else decides what is read, as JSON.
    files: those that are read below the folder; None: all.
    A folder of the cache that cannot be written costs only the time of reading the files again.
    """
    if files is None:
        files = [path] if path.is_file() else list(files_below(path))
    if sum(map(_size, files)) < SMALLEST:
        return collect()
    entry = folder() / "data" / _key(path, files, settings)
    found = _read(entry)
    if found is not None:
        return found
    collection = collect()
    with suppress(OSError):
        _write(entry, collection)
        _remove_unused(entry.parent)
    return collection


def _size(file: Path) -> int:
    with suppress(OSError):  # a link that leads nowhere
        return file.stat().st_size
    return 0


def _key(path: Path, files: Sequence[Path], settings: Any) -> str:
    digest = hashlib.sha256()
    versions = {package: version(package) for package in DECIDE} | {"wardrobe": _code()}
    digest.update(json.dumps([str(path), settings, versions], sort_keys=True).encode())
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for file, contents in zip(files, pool.map(_contents, files), strict=True):
            digest.update(os.fsencode(file.relative_to(path)) + b"\0" + contents.encode())
    return digest.hexdigest()


@cache
def _code() -> str:
    files = sorted(file for folder in CODE for file in folder.glob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _contents(file: Path) -> str:
    try:
        return file_hash(file)
    except OSError as error:  # whether it matters, its reader will say
        return str(error)


def _write(entry: Path, collection: Collection) -> None:
    """The bytes first: an entry is there once its description is."""
    entry.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: of for name, of in vars(collection.examples).items() if of is not None}
    digest = hashlib.sha256()
    with atomic_write(entry.with_suffix(".bytes"), "wb") as stream:
        for array in arrays.values():
            contents = np.ascontiguousarray(array).data.cast("B")
            digest.update(contents)
            stream.write(contents)
    facts = asdict(replace(collection, examples=Examples(np.empty(0), np.empty(0))))
    del facts["examples"]
    described = {name: [array.dtype.str, array.shape] for name, array in arrays.items()}
    with atomic_write(entry.with_suffix(".json")) as stream:
        json.dump({"sha256": digest.hexdigest(), "arrays": described, "facts": facts}, stream)


def _read(entry: Path) -> Collection | None:
    """The collection of an entry; None if there is none, or it is damaged."""
    try:
        described = json.loads(entry.with_suffix(".json").read_text(encoding="utf-8"))
        contents = np.fromfile(entry.with_suffix(".bytes"), np.uint8)
        if hashlib.sha256(contents.data).hexdigest() != described["sha256"]:
            return None
        arrays, start = {}, 0
        for name, (dtype, shape) in described["arrays"].items():
            end = start + int(np.prod(shape)) * np.dtype(dtype).itemsize
            arrays[name] = contents[start:end].view(dtype).reshape(shape)
            start = end
        collection = _collection(described["facts"], Examples(**arrays))
        for ending in (".json", ".bytes"):
            os.utime(entry.with_suffix(ending))
        return collection
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _collection(facts: dict[str, Any], examples: Examples) -> Collection:
    columns, target, names = facts["columns"], facts["target"], facts["class_names"]
    return Collection(
        **{
            **facts,
            "examples": examples,
            "class_names": None if names is None else tuple(names),
            "notes": tuple(facts["notes"]),
            "doubts": tuple(facts["doubts"]),
            "columns": columns
            and tuple(
                RawColumn(each["name"], each["categories"] and tuple(each["categories"]))
                for each in columns
            ),
            "target": target and Target(**target),
        }
    )


def _remove_unused(entries: Path) -> None:
    oldest = time.time() - UNUSED_DAYS * 24 * 3600
    for file in entries.iterdir():
        if file.stat().st_mtime < oldest:
            file.unlink(missing_ok=True)
