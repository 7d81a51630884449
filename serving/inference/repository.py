"""The model repository: which models there are, which are served, and why others are not."""

import gc
import logging
import os
import re
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from wardrobe.serving.errors import (
    ArtifactError,
    LabelNotFoundError,
    ModelNotFoundError,
    ModelUnavailableError,
)
from wardrobe.serving.inference.artifacts import (
    Artifact,
    Fingerprint,
    check_writers,
    find,
    fingerprint,
    is_one_model,
    passed_over,
    warn_once,
)
from wardrobe.serving.inference.model import Model, load
from wardrobe.serving.inference.version_policy import (
    FILE,
    VersionPolicy,
    read_policy,
    write_loaded,
)
from wardrobe.serving.metrics import set_versions

logger = logging.getLogger(__name__)

PHOTOGRAPHS = "mlp-photos"
"""By default, answers photographs instead of any model that knows the same garments."""

MOST_REASONS = 5
"""Models of which an error says why they cannot answer."""

State = Literal["not loaded", "loading", "available", "broken"]

FOLDERS = re.compile(r"(?<![\w.…])/(?:[^\s/'\":;,()]+/)+")
"""The folders of a path in a message."""


@dataclass(frozen=True)
class Attempt:
    """The outcome of loading a version with its files at that time. `model` may be from an earlier
    attempt: it is still served although the files have since become broken."""

    files: Fingerprint
    model: Model | None
    reason: str = ""


@dataclass(frozen=True)
class VersionStatus:
    """The state of a version; `reason` says why it is broken, `pictures` whether it takes them."""

    artifact: Artifact
    state: State
    reason: str = ""
    pictures: bool = False


class Repository:
    """The models in some artifact folders, loaded on first use and kept.

    `refresh` updates it from the folders. One thread at a time loads and changes models; requests
    read without a lock and keep the model that they got even if another replaces it meanwhile.
    """

    def __init__(self, folders: Sequence[Path], default: str | None = None, latest: int = 2):
        """`default` is the model for requests that name none; `latest` is the number of versions to
        serve of a model unless its `serving.json` says otherwise."""
        self._folders = folders
        self._present = [folder for folder in folders if os.path.isdir(folder)]  # noqa: PTH112, never raises
        self._default = default
        self._default_policy = VersionPolicy(latest)
        self._changing = threading.RLock()
        self._policies: dict[str, VersionPolicy] = {}
        self._policy_errors: dict[str, str] = {}
        self._versions: dict[str, list[Artifact]] = {}  # newest first
        self._served: dict[str, dict[int, Model]] = {}  # newest first; of names in use
        self._attempts: dict[Artifact, Attempt] = {}
        self._unsettled: dict[Artifact, Fingerprint] = {}
        self._loading: Artifact | None = None
        self._is_retired = False
        self._scan()

    def load(self) -> None:
        """Load every version to be served now instead of on first use."""
        for name in self._versions:
            self._serve(name)

    def check(self) -> None:
        """Check that there is something to serve, by name, without loading anything.

        Raises `ModelNotFoundError` if there is no version at all, or none of the default model.
        """
        if not self._versions:
            folders = ", ".join(map(str, self._folders))
            ignored = [each for folder in self._folders for each in passed_over(folder)]
            raise ModelNotFoundError(
                "; ".join(ignored)
                or f"no model in {folders}; train one with `wardrobe train mlp-256-128-100`"
            )
        if self._default:
            self._find(self._default)

    def get(
        self, name: str | None = None, version: int | None = None, label: str | None = None
    ) -> Model:
        """The model that a request asks for. Without `version` or `label`, it is the newest that
        loads; without `name`, the default, or else the first by folder and name that takes
        pictures, with `mlp-photos` last.

        Raises `ModelNotFoundError`, `LabelNotFoundError` or `ModelUnavailableError`.
        """
        if name is None:
            name = self._default or self._first_for_pictures()
        self._find(name)
        served = self._loaded(name)
        if label is not None:
            version = self._policies[name].labels.get(label)
            if version is None:
                raise LabelNotFoundError(f"Unrecognized servable version label: {label}")
        if version in served:
            return served[version]
        if version is None and served:
            return next(iter(served.values()))
        raise self._why_not(name, version)

    def for_photographs(self, model: Model) -> Model | None:
        """The model that answers photographs instead of `model`; None if it does so itself.

        It is named in the `serving.json` of `model`, or else in its artifact. By default it is
        `mlp-photos`, if both models know the same classes and cut garments out.
        """
        name = model.artifact.name
        said = self._policies[name].photographs if name in self._policies else None
        named = model.photographs if said is None else said
        wanted = PHOTOGRAPHS if named is None else named
        if wanted is False or wanted == name:
            return None
        companion = self._newest(wanted)
        if companion and companion.picture:
            return companion if named or _know_the_same_garments(companion, model) else None
        if named:
            warn_once(f"{named!r} should answer photographs for {name}, but does not take pictures")
        return None

    def _newest(self, name: str) -> Model | None:
        """The newest version of a model that is served, if there is one."""
        return next(iter(self._loaded(name).values()), None) if name in self._versions else None

    @property
    def ready(self) -> bool:
        """Whether a prediction would be answered, by the default model if there is one, or any.

        Only a model that has been loaded and called once counts.
        """
        if self._is_retired:
            return False
        names = [self._default] if self._default else list(self._served)
        return any(self._served.get(name) for name in names)

    def retire(self) -> None:
        """Stop being `ready`, because the process is about to stop; requests are still answered."""
        self._is_retired = True

    def describe(self) -> list[dict[str, Any]]:
        """Every version for people and probes: name, version, state ("available", "broken",
        "loading" or "not loaded"), the reason if there is one, and whether it takes pictures."""
        return [_describe(self._status(each)) for each in self._all_versions()]

    def statuses(self, name: str | None = None) -> list[VersionStatus]:
        """The status of each version of a model (or of all), newest first, except those that are
        not to be loaded.

        Raises `ModelNotFoundError`.
        """
        versions = self._all_versions() if name is None else self._find(name)
        statuses = [self._status(each) for each in versions]
        return [each for each in statuses if each.state != "not loaded"]

    def set_loaded(self, name: str, loaded: bool) -> None:
        """Serve a model or stop serving it, in every worker and after a restart, too.

        Raises `ModelNotFoundError`, `RepositoryError`, or `ModelUnavailableError` if none of its
        versions can be loaded.
        """
        write_loaded(self._policy_folder(self._find(name)), loaded)
        with self._changing:
            self._scan()
            self._serve(name)
        if loaded:
            self.get(name)

    def refresh(self) -> None:
        """Update from the folders: load what is new and complete, drop what is gone. New files
        count as complete when two calls have found them unchanged.

        While a whole artifact folder is missing, nothing changes: it is more likely to be
        temporarily unavailable than to have been deleted.
        """
        with self._changing:
            if not all(os.path.isdir(folder) for folder in self._present):  # noqa: PTH112
                return
            self._scan()
            for name in [*self._versions, *(self._served.keys() - self._versions.keys())]:
                self._serve(name, settle=True)

    def watch(self, seconds: float) -> None:
        """Start the thread that refreshes every `seconds`, for as long as the process lives."""
        threading.Thread(target=self._watch, args=(seconds,), daemon=True, name="watch").start()

    def _watch(self, seconds: float) -> None:
        while True:
            try:
                self.refresh()
                set_versions(
                    (s.artifact.name, s.artifact.version, s.state) for s in self.statuses()
                )
            except Exception:  # a file system can fail in any way; the next refresh may succeed
                logger.exception("cannot read the artifact folders; loaded models are still served")
            time.sleep(seconds)

    def _scan(self) -> None:
        """Read the names, versions and policies from the folders."""
        versions: dict[str, list[Artifact]] = {}
        for artifact in find(self._folders, self._default):
            versions.setdefault(artifact.name, []).append(artifact)
        for name, artifacts in versions.items():
            self._policies[name] = self._policy(name, artifacts)
        self._versions = versions

    def _policy(self, name: str, versions: list[Artifact]) -> VersionPolicy:
        """The policy in the model's file; while that is invalid, its previous content."""
        try:
            policy = read_policy(self._policy_folder(versions), self._default_policy)
        except ArtifactError as error:
            if self._policy_errors.get(name) != str(error):
                logger.warning("%s: %s; its previous content stays in effect", name, error)
            self._policy_errors[name] = str(error)
            return self._policies.get(name, self._default_policy)
        self._policy_errors.pop(name, None)
        return policy

    def _policy_folder(self, versions: list[Artifact]) -> Path:
        """The first folder with a policy of the model, or that of its newest version."""
        name = versions[0].name
        beside = [each if is_one_model(each) else each / name for each in self._folders]
        written = (folder for folder in beside if os.path.lexists(folder / FILE))
        return next(written, versions[0].home)

    def _serve(self, name: str, settle: bool = False) -> dict[int, Model]:
        """Load the versions of a model that its policy wants, serve them and drop the others.

        A version stays in service until its successor has answered, even if its folder has been
        replaced or, if the successors do not work, is gone.
        """
        with self._changing:
            before = self._served.get(name, {})
            served: dict[int, Model] = {}
            tried = set()
            policy = self._policies[name]
            for artifact in self._versions.get(name, ()) if policy.loaded else ():
                if policy.wants(artifact.version, newer=len(served)):
                    model = self._try_each(artifact, settle) or before.get(artifact.version)
                    tried |= {artifact} if model else {artifact, *artifact.hides}
                    if model:
                        served[artifact.version] = model
            if tried and not served:
                served = before
            if name in self._versions:
                self._served[name] = served
                self._list_served(name)
            else:
                self._served.pop(name, None)
            kept = tried | {model.artifact for model in served.values()}
            self._drop(each for each in self._attempts if each.name == name and each not in kept)
            return served

    def _list_served(self, name: str) -> None:
        """Versions that are served although their folders are gone; `_scan` does not find them."""
        by_version = {version: model.artifact for version, model in self._served[name].items()}
        by_version |= {artifact.version: artifact for artifact in self._versions[name]}
        self._versions[name] = [by_version[version] for version in sorted(by_version)[::-1]]

    def _try_each(self, artifact: Artifact, settle: bool) -> Model | None:
        """The version or, while that cannot be served, one that it hides."""
        return self._try(artifact, settle) or next(
            (model for each in artifact.hides if (model := self._try(each, settle))), None
        )

    def _try(self, artifact: Artifact, settle: bool) -> Model | None:
        """The loaded model, or None; each state of the files is tried only once. With `settle`, the
        files must not have changed since the last call."""
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
            check_writers(artifact)
            model = load(artifact, batched=True)
            logger.info("%s is served", artifact.folder)
        except Exception as error:  # whatever is wrong with its files concerns no other model
            reason = str(error) if isinstance(error, ArtifactError) else f"cannot load it ({error})"
            logger.warning("%s is not served: %s", artifact.folder, reason)
        self._loading = None
        self._attempts[artifact] = Attempt(files, model, _without_folders(reason, artifact))
        return model

    def _drop(self, artifacts: Iterable[Artifact]) -> None:
        """Forget these; a graph is freed when the last request that uses it is over."""
        for artifact in list(artifacts):
            del self._attempts[artifact]
            logger.info("%s is no longer served", artifact.folder)
            gc.collect()  # graphs are reference cycles

    def _find(self, name: str) -> list[Artifact]:
        if name not in self._versions:
            known = ", ".join(self._versions) or "none"
            raise ModelNotFoundError(f"there is no model {name!r}; there are: {known}")
        return self._versions[name]

    def _loaded(self, name: str) -> dict[int, Model]:
        served = self._served.get(name)
        return self._serve(name) if served is None else served

    def _why_not(self, name: str, version: int | None) -> Exception:
        """The error for a known model if none of its versions, or not this one, is served."""
        if not self._policies[name].loaded:
            return ModelUnavailableError(
                f"model {name!r} is unloaded; POST /v2/repository/models/{name}/load loads it"
            )
        tried = self.statuses(name)
        found = [each for each in tried if version in (None, each.artifact.version)]
        if found or version is None:
            reasons = (f"{each.artifact}: {each.reason or each.state}" for each in found)
            return ModelUnavailableError(
                "; ".join(reasons) or f"model {name!r} has no version to serve, {FILE} says which"
            )
        known = ", ".join(str(each.artifact.version) for each in tried)
        return ModelNotFoundError(f"model {name!r} has no version {version}; it has {known}")

    def _first_for_pictures(self) -> str:
        # Last, what is there for photographs: others leave these to it, and it leaves them nothing.
        reasons = []
        for name in sorted(self._versions, key=PHOTOGRAPHS.__eq__):
            newest = self._newest(name)
            if newest and newest.picture:
                return name
            reasons.append(
                f"{name}: {newest.why_not}" if newest else str(self._why_not(name, None))
            )
        told = "; ".join(reasons[:MOST_REASONS]) + ("; …" if len(reasons) > MOST_REASONS else "")
        raise ModelUnavailableError(
            f"no model here can classify pictures: {told or 'there is none at all'}"
        )

    def _all_versions(self) -> list[Artifact]:
        return [artifact for versions in self._versions.values() for artifact in versions]

    def _status(self, artifact: Artifact) -> VersionStatus:
        if artifact == self._loading:
            return VersionStatus(artifact, "loading")
        own, *hidden = (self._attempts.get(each) for each in (artifact, *artifact.hides))
        answering = next((each.model for each in (own, *hidden) if each and each.model), None)
        reason = own.reason if own else ""
        if answering:
            takes_pictures = answering.picture is not None
            return VersionStatus(artifact, "available", reason, takes_pictures)
        return VersionStatus(artifact, "broken" if own else "not loaded", reason)


def _know_the_same_garments(one: Model, other: Model) -> bool:
    """Whether both cut garments out of a picture and know the same classes."""
    are_cut_out = all(each.picture and each.picture.prepare == "garment" for each in (one, other))
    return are_cut_out and one.known == other.known


def _without_folders(reason: str, artifact: Artifact) -> str:
    """A reason that strangers may read: without the location of files on this machine."""
    for folder in (artifact.folder, artifact.folder.resolve()):
        reason = reason.replace(str(folder), str(artifact))
    for root in (artifact.root, artifact.root.resolve()):
        reason = reason.replace(str(root), "…")
    return FOLDERS.sub("…/", reason)


def _describe(status: VersionStatus) -> dict[str, Any]:
    artifact = status.artifact
    described = {"name": artifact.name, "version": artifact.version, "state": status.state}
    if status.state == "available":
        described["pictures"] = status.pictures
    if status.reason:
        described["reason"] = status.reason
    return described
