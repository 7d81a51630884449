"""From an artifact on disk to a model: its network, and what the outputs mean."""

import statistics
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wardrobe.serving.errors import ArtifactError
from wardrobe.serving.inference.artifacts import Artifact, Extras, PictureInput, at, read_extras
from wardrobe.serving.inference.batching import Batcher
from wardrobe.serving.inference.graph import DEFAULT, Array, Network, Signature, Spec
from wardrobe.serving.metrics import PredictionMetrics

Floats = npt.NDArray[np.float32]
PROBABILITIES = "probabilities"
ATTRIBUTION = "evidence"
"""Names of outputs in a SavedModel's signatures."""

MEASURED_BATCHES = (1, 64)
MEASURED_CALLS = 500


@dataclass(frozen=True)
class Model:
    """One loaded version of a model, safe to call from several threads.

    `picture` and `metrics` are None if the network does not classify pictures.
    """

    artifact: Artifact
    labels: tuple[str, ...]
    picture: PictureInput | None
    uncertain_below: float | None
    network: Network | Batcher
    metrics: PredictionMetrics | None
    columns: Mapping[str, Spec]
    """The inputs of a network that takes the columns of a table one by one; else none."""

    def call(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a signature; a classifier's predictions are counted.

        Raises `RequestError` for values that the network rejects, and `TooLateError` after the
        request's deadline if calls are batched.
        """
        outputs = self.network.call(signature, inputs)
        if self.metrics and signature == DEFAULT:
            self.metrics.count(outputs[PROBABILITIES])
        return outputs

    def predict(self, examples: Floats | Mapping[str, Array]) -> Floats:
        """Pictures `float32 [N, height, width]`, 0–255 → probabilities `float32 [N, classes]`;
        rows of a table `float32 [N, inputs]`, or its columns if the network takes them one by one,
        → probabilities, or values `float32 [N, outputs]`."""
        if not isinstance(examples, Mapping):
            (name,) = self.network.signatures[DEFAULT].inputs
            examples = {name: examples}
        outputs = self.call(DEFAULT, examples)
        return outputs[PROBABILITIES if PROBABILITIES in outputs else next(iter(outputs))]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of one example, as the signature declares it; of a table that is taken by
        column, the number of columns."""
        if self.columns:
            return (len(self.columns),)
        (spec,) = self.network.signatures[DEFAULT].inputs.values()
        return tuple(spec.shape or ())[1:]

    def explain(self, images: Floats) -> Floats | None:
        """`float32 [N, height, width]`, 0–255 → attribution `float32 [N, height, width]`, positive
        where a pixel supports the likeliest class; None if there is no signature `explain`."""
        signature = self.network.signatures.get("explain")
        if signature is None:
            return None
        (name,) = signature.inputs
        return self.network.call("explain", {name: images})[ATTRIBUTION]


def load(artifact: Artifact, batched: bool = False) -> Model:
    """Load a version, check its signature and call it once; `batched` lets the requests of a
    worker's thread share calls.

    Raises `ArtifactError` with the reason if it cannot be served.
    """
    if not (artifact.folder / "saved_model.pb").is_file():
        raise ArtifactError(
            "saved_model.pb is missing: the folder is empty or half-copied;"
            " copy it again or delete it"
        )
    extras = read_extras(artifact)
    network = Network(artifact.folder)
    picture = _picture(network.signatures[DEFAULT], extras)
    labels, metrics = extras.labels or (), None
    if picture:
        labels = _labels(network.example[PROBABILITIES], extras.labels)
        metrics = PredictionMetrics(artifact.name, artifact.version, labels)
    called = Batcher(network, artifact.name) if batched else network
    columns = _columns(network.signatures[DEFAULT], extras)
    return Model(artifact, labels, picture, extras.uncertain_below, called, metrics, columns)


def size_and_latency(folder: Path) -> dict[str, Any]:
    """What the artifact in `folder` (NAME/VERSION) costs on this machine: `bytes` on disk, and
    `microseconds` of a call by the number of examples in it, the median in this process, without
    HTTP.

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
    """The inputs that are columns of a table, in its order."""
    if extras.columns and {*extras.columns} != {*signature.inputs}:
        raise ArtifactError(
            f"input.json declares the columns {list(extras.columns)}, but the signature takes "
            f"{list(signature.inputs)}; export the model again"
        )
    return {name: signature.inputs[name] for name in extras.columns}


def _picture(signature: Signature, extras: Extras) -> PictureInput | None:
    """The pictures that a network takes: what its artifact declares, which its signature must
    confirm, or else what its signature says."""
    found = _picture_of(signature)
    if extras.kind is None:
        return found
    if extras.picture and (not found or extras.picture.example_shape != found.example_shape):
        raise ArtifactError(
            f"input.json declares pictures of shape {list(extras.picture.example_shape)}, but the"
            f" signature is {signature.inputs} → {signature.outputs}; export the model again"
        )
    return extras.picture


def _picture_of(signature: Signature) -> PictureInput | None:
    """The pictures of a signature `float32 [None, height, width]` → `probabilities`, or
    `[None, height, width, 3]`; None if it is another one."""
    if len(signature.inputs) != 1 or PROBABILITIES not in signature.outputs:
        return None
    (images,) = signature.inputs.values()
    if images.dtype != "float32" or images.shape is None:
        return None
    match images.shape:
        case (None, int(height), int(width)):
            return PictureInput((height, width))
        case (None, int(height), int(width), 3):
            return PictureInput((height, width), channels=3, prepare="resize")
    return None


def _labels(probabilities: Floats, labels: tuple[str, ...] | None) -> tuple[str, ...]:
    """The names of the network's classes; numbers if the artifact names none."""
    if probabilities.ndim != 2 or not np.isfinite(probabilities).all():
        raise ArtifactError("its probabilities are not finite numbers [N, classes]; train it again")
    classes = probabilities.shape[1]
    if labels is None:
        return tuple(str(index) for index in range(classes))
    if len(labels) != classes:
        raise ArtifactError(
            f"labels.json names {len(labels)} classes, but the network has {classes};"
            " export the model again"
        )
    return labels
