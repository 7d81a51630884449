"""Which versions of a model are served: the operator's file `FOLDER/NAME/serving.json`.

    {"versions": {"latest": 2}, "labels": {"stable": 4, "canary": 5}, "loaded": true,
     "photographs": "mlp-photos"}

`versions` may also be `"all"` or a list of numbers. `photographs`, the model that answers
photographs instead of this one, may also be false. Every key is optional. Because the file is kept
with the artifacts, it survives a restart and every worker reads the same one.
"""

import ctypes
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

from wardrobe.serving.errors import ArtifactError, RepositoryError
from wardrobe.serving.inference.artifacts import Companion, companion, read_json

FILE = "serving.json"
PATIENCE = 1.0
"""Seconds in which others are expected to finish writing the file."""
AFTERMATH = 0.05
"""Seconds after we replaced the file in which others may still write to the previous one."""
AT_FDCWD, RENAME_EXCHANGE = -100, 2
"""Of Linux' `renameat2`."""


@dataclass(frozen=True)
class VersionPolicy:
    """Which versions of a model are served, and their labels."""

    latest: int | None
    """How many of the newest versions; None for all of them."""
    only: frozenset[int] | None = None
    """If given, these versions instead of the newest."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """A labelled version is served even if it is older than the newest."""
    loaded: bool = True
    photographs: Companion = None
    """The model that answers photographs instead; overrides what its artifacts say."""

    def wants(self, version: int, newer: int) -> bool:
        """Whether to serve `version`, given that `newer` newer versions are served already."""
        if version in self.labels.values():
            return True
        if self.only is not None:
            return version in self.only
        return self.latest is None or newer < self.latest


def read_policy(folder: Path, default: VersionPolicy) -> VersionPolicy:
    """The policy of the model in `folder`; what its file leaves out is as in `default`.

    Raises `ArtifactError` for an invalid file.
    """
    content = _read(folder / FILE)
    policy = default
    versions = content.get("versions")
    if versions == "all":
        policy = replace(policy, latest=None)
    elif isinstance(versions, dict) and _is_version(versions.get("latest")):
        policy = replace(policy, latest=versions["latest"])
    elif isinstance(versions, list) and all(map(_is_version, versions)):
        policy = replace(policy, only=frozenset(versions))
    elif versions is not None:
        raise ArtifactError(
            f'{FILE}: versions must be {{"latest": N}}, "all" or a list of version numbers'
        )
    labels, loaded = content.get("labels", {}), content.get("loaded", True)
    if not isinstance(labels, dict) or not all(map(_is_version, labels.values())):
        raise ArtifactError(f'{FILE}: labels must be {{"LABEL": VERSION, …}}')
    if not isinstance(loaded, bool):
        raise ArtifactError(f"{FILE}: loaded must be true or false")
    photographs = companion(FILE, content)
    return replace(policy, labels=labels, loaded=loaded, photographs=photographs)


def write_loaded(folder: Path, loaded: bool) -> None:
    """Set `loaded` in the file, and keep the rest, whoever else writes it in the meantime.

    Raises `ArtifactError` for an invalid file and `RepositoryError` if it cannot be written.
    """
    path = folder / FILE
    try:
        with _locked(folder):
            _change(path, {"loaded": loaded})
    except OSError as error:
        raise RepositoryError(
            f"{path} cannot be written ({error.strerror}); let the service write there, or write"
            f' {{"loaded": {json.dumps(loaded)}}} into it yourself'
        ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One of us at a time, in this process or another on the same file system."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # the file system may know no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _change(path: Path, changes: dict[str, Any]) -> None:
    """Write changes into the file, so that a reader sees either the old file or the new one.

    An operator's editor or `echo` ignores our lock. If the file that we replace is not the one that
    we read, it was written in the meantime, and we apply the changes to that.
    """
    content = expected = _when_whole(path)
    new = path.with_name(f".{path.name}.{uuid4().hex}")  # ids of processes: of one container only
    try:
        while True:
            new.write_text(json.dumps(content | changes, indent=2) + "\n", encoding="utf-8")
            if not _swap(new, path):
                return
            time.sleep(AFTERMATH)
            displaced = _when_whole(new)
            if displaced == expected:
                return
            content, expected = displaced, content | changes
    finally:
        new.unlink(missing_ok=True)


def _swap(new: Path, old: Path) -> bool:
    """Exchange a file with another; returns False if there is no other, or if the system can only
    replace it."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    paths = AT_FDCWD, os.fsencode(new), AT_FDCWD, os.fsencode(old)
    if rename and rename(*paths, RENAME_EXCHANGE) == 0:
        return True
    new.replace(old)
    return False


def _when_whole(path: Path) -> dict[str, Any]:
    """The file's content, once it is valid: whoever writes in place begins by emptying the file.

    Raises `ArtifactError` if it does not become so.
    """
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return _read(path)
        except ArtifactError:
            if time.monotonic() > until:
                raise
        time.sleep(AFTERMATH)


def _read(path: Path) -> dict[str, Any]:
    content = read_json(path)
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ArtifactError(f"{FILE} must be a JSON object")
    return content


def _is_version(value: object) -> bool:
    return type(value) is int and value > 0
