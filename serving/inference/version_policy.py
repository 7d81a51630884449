"""Which versions of a model are served: what an operator writes into `FOLDER/NAME/serving.json`.

    {"versions": {"latest": 2}, "labels": {"stable": 4, "canary": 5}, "loaded": true}

`versions` may also be `"all"` or a list of numbers, and every key is optional. Because the file is
kept with the artifacts, it survives a restart and every worker reads the same one.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wardrobe.serving.errors import ArtifactError, RepositoryError

FILE = "serving.json"


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
    return replace(policy, labels=labels, loaded=loaded)


def write_loaded(folder: Path, loaded: bool) -> None:
    """Set `loaded` in the file, and keep the rest of it.

    Raises `ArtifactError` for an invalid file and `RepositoryError` if it cannot be written.
    """
    path = folder / FILE
    try:
        _write_atomically(path, _read(path) | {"loaded": loaded})
    except OSError as error:
        raise RepositoryError(
            f"{path} cannot be written ({error.strerror}); let the service write there, or write"
            f' {{"loaded": {json.dumps(loaded)}}} into it yourself'
        ) from error


def _write_atomically(path: Path, content: dict[str, Any]) -> None:
    """Write JSON so that a reader sees either the old file or the new one, whole."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(json.dumps(content, indent=2) + "\n")
    partial.replace(path)


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{FILE} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{FILE} must be a JSON object")
    return content


def _is_version(value: object) -> bool:
    return type(value) is int and value > 0
