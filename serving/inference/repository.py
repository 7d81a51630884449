"""The model repository: which models there are, which answers, and why one does not."""

import gc
import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from wardrobe.serving.errors import (
    ArtifactError,
    LabelNotFoundError,
    ModelNotFoundError,
    ModelUnavailableError,
)
from wardrobe.serving.inference import model as saved_model
from wardrobe.serving.inference import version_policy as policy
from wardrobe.serving.inference.artifacts import Artifact, Fingerprint, find, fingerprint
from wardrobe.serving.inference.batching import Batching
from wardrobe.serving.inference.model import Model
from wardrobe.serving.inference.version_policy import Policy

logger = logging.getLogger(__name__)

State = Literal["not loaded", "loading", "available", "broken"]


@dataclass(frozen=True)
class Attempt:
    """What came of loading a version as its files then were. `model` may be an earlier success
    that serves on, although the files were changed and are broken now."""

    files: Fingerprint
    model: Model | None
    reason: str = ""


@dataclass(frozen=True)
class Condition:
    """How a version stands: the `reason` says why it is broken."""

    artifact: Artifact
    state: State
    reason: str = ""
    pictures: bool = False


class Repository:
    """The models in some artifact folders, loaded when first asked for and kept.

    `refresh` makes it agree with the folders again. Loading, and all other change, is one thread's
    work at a time; those who ask read what is served without a lock, and keep the model that they
    were given even if another takes its place meanwhile.
    """

    def __init__(self, folders: Sequence[Path], default: str | None = None, latest: int = 2):
        """`default` names the model of requests that name none; `latest` says how many versions
        of a model are served where its `serving.json` does not."""
        self._folders = folders
        self._present = [folder for folder in folders if folder.is_dir()]
        self._default = default
        self._default_policy = Policy(latest)
        self._changing = threading.RLock()
        self._policies: dict[str, Policy] = {}
        self._versions: dict[str, list[Artifact]] = {}  # newest first
        self._served: dict[str, dict[int, Model]] = {}  # newest first; of names once asked for
        self._attempts: dict[Artifact, Attempt] = {}
        self._unsettled: dict[Artifact, Fingerprint] = {}
        self._loading: Artifact | None = None
        self._is_retired = False
        self._look()

    def load(self) -> None:
        """Load every version that is to be served now rather than when it is asked for."""
        for name in self._versions:
            self._serve(name)

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

    def get(
        self, name: str | None = None, version: int | None = None, label: str | None = None
    ) -> Model:
        """The model to answer with: without `version` or `label` the newest that loads; without
        `name` the default, or else the first by folder and alphabet that takes pictures.

        Raises `ModelNotFoundError`, `LabelNotFoundError` or `ModelUnavailableError`.
        """
        if name is None:
            name = self._default or self._first_for_pictures()
        self._find(name)
        served = self._asked_for(name)
        if label is not None:
            version = self._policies[name].labels.get(label)
            if version is None:
                raise LabelNotFoundError(f"Unrecognized servable version label: {label}")
        if version in served:
            return served[version]
        if version is None and served:
            return next(iter(served.values()))
        raise self._why_not(name, version)

    @property
    def ready(self) -> bool:
        """Whether something can answer: the default if there is one, else any model.

        True only of loaded models, each of which has answered a prediction.
        """
        if self._is_retired:
            return False
        names = [self._default] if self._default else list(self._served)
        return any(self._served.get(name) for name in names)

    def retire(self) -> None:
        """The process is about to stop: it answers on, but is ready no more."""
        self._is_retired = True

    def describe(self) -> list[dict[str, Any]]:
        """Every version for people and probes: name, version, state ("available", "broken",
        "loading" or "not loaded"), the reason if there is one, and whether it takes pictures."""
        return [_describe(self._condition(each)) for each in self._all_versions()]

    def conditions(self, name: str | None = None) -> list[Condition]:
        """How the versions of a model (or of all) stand, newest first, those that were not tried
        left out.

        Raises `ModelNotFoundError`.
        """
        versions = self._all_versions() if name is None else self._find(name)
        conditions = [self._condition(each) for each in versions]
        return [each for each in conditions if each.state != "not loaded"]

    def set_loaded(self, name: str, loaded: bool) -> None:
        """Serve a model, or serve it no longer; every worker does so, and after a restart too.

        Raises `ModelNotFoundError`, `RepositoryError`, or `ModelUnavailableError` if none of its
        versions can be loaded.
        """
        policy.write_loaded(self._find(name)[0].folder.parent, loaded)
        with self._changing:
            self._look()
            self._serve(name)
        if loaded:
            self.get(name)

    def refresh(self) -> None:
        """Agree with the folders: what is new and whole is loaded and takes over, what is gone is
        dropped. New files count as whole when two calls have found them alike.

        While a whole artifact folder is missing, nothing is changed: it is more likely to be out
        of reach than to be meant.
        """
        with self._changing:
            if not all(folder.is_dir() for folder in self._present):
                return
            self._look()
            for name in [*self._versions, *(self._served.keys() - self._versions.keys())]:
                self._serve(name, settle=True)

    def _look(self) -> None:
        """Read the names, versions and policies that the folders hold now."""
        versions: dict[str, list[Artifact]] = {}
        for artifact in find(self._folders):
            versions.setdefault(artifact.name, []).append(artifact)
        for name, artifacts in versions.items():
            try:
                new = policy.read(artifacts[0].folder.parent, self._default_policy)
            except ArtifactError as error:
                logger.warning("%s: %s; its former content holds on", name, error)
                new = self._policies.get(name, self._default_policy)
            self._policies[name] = new
        self._versions = versions

    def _serve(self, name: str, settle: bool = False) -> dict[int, Model]:
        """Load what the policy wants of a model, let it take over, drop the rest."""
        with self._changing:
            served: dict[int, Model] = {}
            tried = set()
            wants = self._policies[name]
            for artifact in self._versions.get(name, ()) if wants.loaded else ():
                if wants.wants(artifact.version, newer=len(served)):
                    tried.add(artifact)
                    if model := self._try(artifact, settle):
                        served[artifact.version] = model
            if name in self._versions:
                self._served[name] = served
            else:
                self._served.pop(name, None)
            self._drop(each for each in self._attempts if each.name == name and each not in tried)
            return served

    def _try(self, artifact: Artifact, settle: bool) -> Model | None:
        """The loaded model, if there is one; each state of the files is tried once."""
        files, last = fingerprint(artifact), self._attempts.get(artifact)
        model = last.model if last else None
        if last and last.files == files:
            return model
        if settle and self._unsettled.get(artifact) != files:
            self._unsettled[artifact] = files
            return model
        self._unsettled.pop(artifact, None)
        self._loading, reason = artifact, ""
        try:
            model = saved_model.load(artifact, gather=partial(Batching, name=artifact.name))
            logger.info("%s is served", artifact.folder)
        except ArtifactError as error:
            reason = str(error)
            logger.warning("%s is not served: %s", artifact.folder, reason)
        self._loading = None
        self._attempts[artifact] = Attempt(files, model, reason)
        return model

    def _drop(self, artifacts: Iterable[Artifact]) -> None:
        """Forget these; a graph is freed when the last request that it answers is over."""
        for artifact in list(artifacts):
            del self._attempts[artifact]
            logger.info("%s is no longer served", artifact.folder)
            gc.collect()  # graphs refer to themselves

    def _find(self, name: str) -> list[Artifact]:
        if name not in self._versions:
            known = ", ".join(self._versions) or "none"
            raise ModelNotFoundError(f"there is no model {name!r}; there are: {known}")
        return self._versions[name]

    def _asked_for(self, name: str) -> dict[int, Model]:
        served = self._served.get(name)
        return self._serve(name) if served is None else served

    def _why_not(self, name: str, version: int | None) -> Exception:
        """The error of a model that is known, but of which nothing, or not this, is served."""
        if not self._policies[name].loaded:
            return ModelUnavailableError(
                f"model {name!r} is unloaded; POST /v2/repository/models/{name}/load loads it"
            )
        tried = self.conditions(name)
        wanted = [each for each in tried if version in (None, each.artifact.version)]
        if wanted or version is None:
            reasons = (f"{each.artifact}: {each.reason or each.state}" for each in wanted)
            return ModelUnavailableError("; ".join(reasons) or f"model {name!r} has no version")
        known = ", ".join(str(each.artifact.version) for each in tried)
        return ModelNotFoundError(f"model {name!r} has no version {version}; it has {known}")

    def _first_for_pictures(self) -> str:
        for name in self._versions:
            newest = next(iter(self._asked_for(name).values()), None)
            if newest and newest.picture:
                return name
        raise ModelUnavailableError(
            "no model here can classify pictures; /health/ready says what there is, and why not"
        )

    def _all_versions(self) -> list[Artifact]:
        return [artifact for versions in self._versions.values() for artifact in versions]

    def _condition(self, artifact: Artifact) -> Condition:
        if artifact == self._loading:
            return Condition(artifact, "loading")
        attempt = self._attempts.get(artifact)
        if attempt is None:
            return Condition(artifact, "not loaded")
        if attempt.model is None:
            return Condition(artifact, "broken", attempt.reason)
        return Condition(artifact, "available", attempt.reason, attempt.model.picture is not None)


def _describe(condition: Condition) -> dict[str, Any]:
    artifact = condition.artifact
    told = {"name": artifact.name, "version": artifact.version, "state": condition.state}
    if condition.state == "available":
        told["pictures"] = condition.pictures
    return told | ({"reason": condition.reason} if condition.reason else {})
