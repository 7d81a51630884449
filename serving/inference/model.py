"""From an artifact on disk to a model: its network, and the meaning of the outputs."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wardrobe.serving.errors import ArtifactError, NotAPictureModelError, RequestError
from wardrobe.serving.images import PREPARATION
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.inference.artifacts import (
    Artifact,
    Companion,
    Extras,
    at,
    check_files,
    read_extras,
    warn_once,
)
from wardrobe.serving.inference.batching import Batcher
from wardrobe.serving.inference.classifier import (
    PROBABILITIES,
    Classifier,
    Floats,
    find_classifier,
)
from wardrobe.serving.inference.graph import Array, Network, Signature, Spec
from wardrobe.serving.metrics import PredictionMetrics

ATTRIBUTION = "evidence"
"""The output of the signature `explain`."""

MEASURED_BATCHES = (1, 64)
MEASURED_CALLS = 500


@dataclass(frozen=True)
class Model:
    """One loaded version of a model, safe to call from several threads.

    `unknown` is the class for everything else; `photographs` names the model that answers
    photographs instead, if the artifact declares one. `classifier` and `metrics` are None if the
    network does not classify pictures; `why_not` says why.
    """

    artifact: Artifact
    labels: tuple[str, ...]
    classifier: Classifier | None
    uncertain_below: float | None
    network: Network | Batcher
    metrics: PredictionMetrics | None
    columns: Mapping[str, Spec]
    """The inputs of a network that takes the columns of a table one by one; empty for others."""
    why_not: str = ""
    unknown: str | None = None
    photographs: Companion = None

    @property
    def picture(self) -> PictureInput | None:
        """The pictures that the network takes, None if it takes none."""
        return self.classifier.picture if self.classifier else None

    def labels_of(self, output: str, shape: tuple[int, ...]) -> tuple[str, ...]:
        """The classes of an output, of which an example has this shape; none if `labels` are those
        of another one."""
        is_another = self.classifier is not None and self.classifier.output != output
        return () if is_another or shape != (len(self.labels),) else self.labels

    def check_takes_pictures(self) -> None:
        """Raises `NotAPictureModelError`, which says why it does not, if it takes none."""
        if self.picture is None:
            raise NotAPictureModelError(
                f"model {self.artifact} does not take pictures: {self.why_not}; name another model"
            )

    @property
    def known(self) -> frozenset[str]:
        """The classes except the one for everything else."""
        return frozenset(self.labels) - {self.unknown}

    def call(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a signature; a classifier's predictions are counted.

        Raises `RequestError` for values that the network rejects, and `TooLateError` after the
        request's deadline if calls are batched.
        """
        outputs = self.network.call(signature, inputs)
        if self.metrics and self.classifier and signature == self.classifier.signature:
            self.metrics.count(self.classifier.probabilities(outputs[self.classifier.output]))
        return outputs

    def predict(self, examples: Array | Mapping[str, Array]) -> Floats:
        """Pictures `[N, height, width]` or `[N, height, width, 3]`, 0–255 → probabilities
        `float32 [N, classes]`; rows of a table `float32 [N, inputs]`, or its columns if the network
        takes them one by one, → probabilities, or values `float32 [N, outputs]`.

        Raises `NotAPictureModelError` if the outputs are not probabilities.
        """
        if not isinstance(examples, Mapping):
            if self.classifier:
                return self.classifier.predict(self.call, examples)
            examples = {self._only_input: examples}
        outputs = self.call(self.network.default, examples)
        return outputs[PROBABILITIES if PROBABILITIES in outputs else next(iter(outputs))]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of one example for `predict`; for a table taken by column, the number of
        columns.

        Raises `RequestError` if the network takes several inputs.
        """
        if self.columns:
            return (len(self.columns),)
        if self.picture:
            return self.picture.example_shape
        return tuple(self.inputs[self._only_input].shape or ())[1:]

    @property
    def inputs(self) -> Mapping[str, Spec]:
        """The inputs of the signature that is called."""
        return self.network.signatures[self.network.default].inputs

    @property
    def _only_input(self) -> str:
        if len(self.inputs) != 1:
            raise RequestError(
                f"{self.artifact} has the inputs {', '.join(self.inputs)}; send them to the"
                " service's /v1 or /v2"
            )
        return next(iter(self.inputs))

    def explain(self, images: Floats) -> Floats | None:
        """`float32 [N, height, width]`, 0–255 → attribution `float32 [N, height, width]`, positive
        where a pixel supports the likeliest class; None if there is no signature `explain`
        that takes such pictures."""
        signature = self.network.signatures.get("explain")
        if signature is None or len(signature.inputs) != 1 or ATTRIBUTION not in signature.outputs:
            return None
        ((name, spec),) = signature.inputs.items()
        if spec.numpy != images.dtype or not spec.admits(images.shape):
            return None  # made elsewhere, for something else
        return self.network.call("explain", {name: images})[ATTRIBUTION]


def load(artifact: Artifact, batched: bool = False) -> Model:
    """Load a version, check its signature and call it once; `batched` lets the requests of a
    worker's thread share calls.

    Raises `ArtifactError` with the reason if it cannot be served.
    """
    check_files(artifact)
    extras = read_extras(artifact)
    network = Network(artifact.folder, extras.signature)
    found = find_classifier(network, extras)
    classifier, why_not = (None, found) if isinstance(found, str) else (found, "")
    if classifier and extras.preparation not in (None, PREPARATION):
        warn_once(
            f"{artifact.folder} was trained with version {extras.preparation} of the preparation of"
            f" pictures, and gets them from version {PREPARATION} here; train it again, or expect"
            " worse answers"
        )
    labels, metrics = extras.labels or (), None
    if classifier:
        labels = _labels(classifier.classes, extras.labels)
        metrics = PredictionMetrics(artifact.name, artifact.version, labels)
    called = Batcher(network, artifact.name, artifact.version) if batched else network
    columns = _columns(network.signatures[network.default], extras)
    return Model(
        artifact,
        labels,
        classifier,
        extras.uncertain_below,
        called,
        metrics,
        columns,
        why_not,
        _unknown(labels, extras),
        extras.photographs,
    )


def size_and_latency(folder: Path) -> dict[str, Any]:
    """The costs of the artifact in `folder` (NAME/VERSION) on this machine: `bytes` on disk, and
    the median `microseconds` of a call in this process, without HTTP, by its number of examples.

    Raises `ArtifactError` if it cannot be loaded.
    """
    model = load(at(folder))
    shape = [int(size or 1) for size in model.input_shape]
    return {
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "microseconds": {
            str(count): round(_median_latency(model, np.zeros((count, *shape), np.float32)), 1)
            for count in MEASURED_BATCHES
        },
    }


def _median_latency(model: Model, examples: Floats) -> float:
    """Microseconds of one call."""
    seconds = []
    for _ in range(MEASURED_CALLS):
        begun = time.perf_counter()
        model.predict(examples)
        seconds.append(time.perf_counter() - begun)
    return 1e6 * statistics.median(seconds)


def _columns(signature: Signature, extras: Extras) -> dict[str, Spec]:
    """The inputs that are columns of a table, in the table's order."""
    if extras.columns and {*extras.columns} != {*signature.inputs}:
        raise ArtifactError(
            f"input.json declares the columns {list(extras.columns)}, but the signature takes "
            f"{list(signature.inputs)}; export the model again"
        )
    return {name: signature.inputs[name] for name in extras.columns}


def _unknown(labels: tuple[str, ...], extras: Extras) -> str | None:
    """The class for everything else."""
    if extras.unknown is not None and (extras.unknown not in labels or len(labels) < 2):
        raise ArtifactError(
            f"uncertainty.json: unknown is {extras.unknown!r}; it must be one of the classes, not"
            " the only one"
        )
    return extras.unknown


def _labels(classes: int, labels: tuple[str, ...] | None) -> tuple[str, ...]:
    """The names of the network's classes; numbers if the artifact names none."""
    if labels is None:
        return tuple(str(index) for index in range(classes))
    if len(labels) != classes:
        raise ArtifactError(
            f"labels.json names {len(labels)} classes, but the network has {classes};"
            " export the model again"
        )
    return labels
