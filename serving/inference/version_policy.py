"""What an operator says of a model as a whole, in `FOLDER/NAME/serving.json`, beside its versions:

    {"versions": {"latest": 2}, "labels": {"stable": 4, "canary": 5}, "loaded": true}

`versions` may also be `"all"` or a list of numbers. Every key may be left out. The file lies with
the artifacts, so it survives a restart and every worker reads the same one.
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
class Policy:
    """Which versions of a model are served and what they are called."""

    latest: int | None
    """The newest so many; None for all of them."""
    named: frozenset[int] | None = None
    """These and no others, if given."""
    labels: Mapping[str, int] = field(default_factory=dict)
    """A labelled version is served even if it is older than the newest."""
    loaded: bool = True

    def wants(self, version: int, newer: int) -> bool:
        """Whether to serve `version`, of which `newer` newer ones are served already."""
        if version in self.labels.values():
            return True
        if self.named is not None:
            return version in self.named
        return self.latest is None or newer < self.latest


def read(folder: Path, default: Policy) -> Policy:
    """The policy of the model in `folder`, `default` where its file says nothing.

    Raises `ArtifactError` for a file that cannot be meant.
    """
    told = _content(folder / FILE)
    policy = default
    versions = told.get("versions")
    if versions == "all":
        policy = replace(policy, latest=None)
    elif isinstance(versions, dict) and _is_version(versions.get("latest")):
        policy = replace(policy, latest=versions["latest"])
    elif isinstance(versions, list) and all(map(_is_version, versions)):
        policy = replace(policy, named=frozenset(versions))
    elif versions is not None:
        raise ArtifactError(f'{FILE}: versions is not {{"latest": N}}, "all" or a list of numbers')
    labels, loaded = told.get("labels", {}), told.get("loaded", True)
    if not isinstance(labels, dict) or not all(map(_is_version, labels.values())):
        raise ArtifactError(f'{FILE}: labels is not {{"label": version}}')
    if not isinstance(loaded, bool):
        raise ArtifactError(f"{FILE}: loaded is neither true nor false")
    return replace(policy, labels=labels, loaded=loaded)


def write_loaded(folder: Path, loaded: bool) -> None:
    """Say in the file whether the model is to be served, and leave what else it says.

    Raises `RepositoryError` where it cannot be written.
    """
    path = folder / FILE
    partial = path.with_name(f".{FILE}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(_content(path) | {"loaded": loaded}, indent=2) + "\n")
        partial.replace(path)
    except OSError as error:
        raise RepositoryError(
            f"{path} cannot be written ({error.strerror}); let the service write there, or write"
            f' {{"loaded": {json.dumps(loaded)}}} into it yourself'
        ) from error


def _content(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise ArtifactError(f"{FILE} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise ArtifactError(f"{FILE} is no JSON object")
    return content


def _is_version(value: object) -> bool:
    return type(value) is int and value > 0
