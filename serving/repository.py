"""The model repository: which models there are, which answers, and why one does not."""

import logging
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from serving import saved_model
from serving.artifacts import Artifact, find
from serving.errors import ArtifactError, ModelNotFoundError, ModelUnavailableError
from serving.saved_model import Model

logger = logging.getLogger(__name__)


class Repository:
    """The models in some artifact folders, loaded when first asked for and kept.

    A version that cannot be loaded is remembered with its reason; the others serve.
    """

    def __init__(self, folders: Sequence[Path], default: str | None = None) -> None:
        """`default` names the model of requests that name none."""
        self._folders = folders
        self._default = default
        self._versions: dict[str, list[Artifact]] = {}  # newest first
        for artifact in find(folders):
            self._versions.setdefault(artifact.name, []).append(artifact)
        self._loaded: dict[Artifact, Model | ArtifactError] = {}
        self._loading = threading.Lock()

    def load(self) -> None:
        """Load every version now rather than when it is asked for."""
        for versions in self._versions.values():
            for artifact in versions:
                self._load(artifact)

    def check(self) -> None:
        """Raises `ModelNotFoundError` if there is no version to load, or none of the default.

        Looks at names only: nothing is loaded.
        """
        if not self._versions:
            folders = ", ".join(map(str, self._folders))
            raise ModelNotFoundError(
                f"no model in {folders}; train one with `wardrobe train mlp-256-128-100`"
            )
        if self._default:
            self._find(self._default)

    def get(self, name: str | None = None, version: int | None = None) -> Model:
        """The model to answer with: without `version` the newest that loads; without `name` the
        default, or else the first by folder and alphabet that takes pictures.

        Raises `ModelNotFoundError` or `ModelUnavailableError`.
        """
        if name is None:
            name = self._default or self._first_for_pictures()
        versions = self._find(name)
        if version is not None:
            versions = [artifact for artifact in versions if artifact.version == version]
            if not versions:
                known = ", ".join(str(artifact.version) for artifact in self._find(name))
                raise ModelNotFoundError(f"model {name!r} has no version {version}; it has {known}")
        reasons = []
        for artifact in versions:
            model = self._load(artifact)
            if isinstance(model, Model):
                return model
            reasons.append(f"{artifact}: {model}")
        raise ModelUnavailableError("; ".join(reasons))

    @property
    def ready(self) -> bool:
        """Whether something can answer: the default if there is one, else any model.

        True only of loaded models, each of which has answered a prediction.
        """
        names = [self._default] if self._default else list(self._versions)
        return any(
            isinstance(self._loaded.get(artifact), Model)
            for name in names
            for artifact in self._versions.get(name, [])
        )

    def describe(self) -> list[dict[str, Any]]:
        """Every version for people and probes: name, version, state ("available", "broken" or
        "not loaded"), the reason if broken, and whether it takes pictures."""
        return [
            _describe(artifact, self._loaded.get(artifact))
            for versions in self._versions.values()
            for artifact in versions
        ]

    def _find(self, name: str) -> list[Artifact]:
        if name not in self._versions:
            known = ", ".join(self._versions) or "none"
            raise ModelNotFoundError(f"there is no model {name!r}; there are: {known}")
        return self._versions[name]

    def _first_for_pictures(self) -> str:
        for name, versions in self._versions.items():
            for artifact in versions:
                model = self._load(artifact)
                if isinstance(model, Model):
                    if model.picture:
                        return name
                    break
        raise ModelUnavailableError(
            "no model here can classify pictures; /health/ready says what there is, and why not"
        )

    def _load(self, artifact: Artifact) -> Model | ArtifactError:
        """The loaded model or the reason why there is none, found out once."""
        with self._loading:
            if artifact not in self._loaded:
                try:
                    self._loaded[artifact] = saved_model.load(artifact)
                except ArtifactError as error:
                    logger.warning("%s is not served: %s", artifact.folder, error)
                    self._loaded[artifact] = error
            return self._loaded[artifact]


def _describe(artifact: Artifact, loaded: Model | ArtifactError | None) -> dict[str, Any]:
    description: dict[str, Any] = {"name": artifact.name, "version": artifact.version}
    if isinstance(loaded, Model):
        return description | {"state": "available", "pictures": loaded.picture is not None}
    if loaded is None:
        return description | {"state": "not loaded"}
    return description | {"state": "broken", "reason": str(loaded)}
