"""From an artifact on disk to a model that answers: its network, and what its answers mean."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wardrobe.serving.errors import ArtifactError
from wardrobe.serving.inference.artifacts import Artifact, Extras, PictureInput, read_extras
from wardrobe.serving.inference.batching import Batching
from wardrobe.serving.inference.graph import DEFAULT, Array, Network, Signature
from wardrobe.serving.metrics import Classes

Floats = npt.NDArray[np.float32]
PROBABILITIES = "probabilities"


@dataclass(frozen=True)
class Model:
    """One loaded version of a model, safe to call from several threads.

    `picture` is None where the network does not classify pictures. `network` is the only way to
    the weights: what gathers batches stands in its place.
    """

    artifact: Artifact
    labels: tuple[str, ...]
    picture: PictureInput | None
    uncertain_below: float | None
    network: Network | Batching
    counts: Classes | None

    def call(self, signature: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a signature; what a classifier says is counted.

        Raises `RequestError` for values that the network refuses, `TooLateError` at the deadline.
        """
        answers = self.network.call(signature, inputs)
        if self.counts and signature == DEFAULT:
            self.counts.count(answers[PROBABILITIES])
        return answers

    def predict(self, examples: Floats) -> Floats:
        """Pictures `float32 [N, height, width]`, 0–255 → probabilities `float32 [N, classes]`;
        rows of a table `float32 [N, inputs]` → probabilities, or values `float32 [N, outputs]`."""
        signature = self.network.signatures[DEFAULT]
        (name,) = signature.inputs
        answers = self.call(DEFAULT, {name: examples})
        return answers[PROBABILITIES if PROBABILITIES in answers else next(iter(answers))]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of one example, as the signature declares it."""
        (spec,) = self.network.signatures[DEFAULT].inputs.values()
        return tuple(spec.shape or ())[1:]

    def explain(self, images: Floats) -> Floats | None:
        """`float32 [N, height, width]`, 0–255 → evidence `float32 [N, height, width]`, positive
        where a pixel spoke for the likeliest class; None where the network has no `explain`."""
        signature = self.network.signatures.get("explain")
        if signature is None:
            return None
        (name,) = signature.inputs
        return self.network.call("explain", {name: images})["evidence"]


def load(artifact: Artifact, gather: Callable[[Network], Batching] | None = None) -> Model:
    """Load a version, check its signature and let it answer once; what gathers batches, if given,
    is put in the network's place.

    Raises `ArtifactError` with the reason for anything that cannot be served.
    """
    if not (artifact.folder / "saved_model.pb").is_file():
        raise ArtifactError(
            "saved_model.pb is missing: the folder is empty or half-copied;"
            " copy it again or delete it"
        )
    extras = read_extras(artifact)
    network = Network(artifact.folder)
    picture = _picture(network.signatures[DEFAULT], extras)
    labels, counts = extras.labels or (), None
    if picture:
        labels = _labels(network.example[PROBABILITIES], extras.labels)
        counts = Classes(artifact.name, artifact.version, labels)
    in_place = gather(network) if gather else network
    return Model(artifact, labels, picture, extras.uncertain_below, in_place, counts)


def _picture(signature: Signature, extras: Extras) -> PictureInput | None:
    """What pictures a network takes: as it says, if its signature agrees; without a word, as its
    signature looks."""
    shape = _picture_shape(signature)
    if extras.kind is None:
        return PictureInput(shape) if shape else None
    if extras.picture and extras.picture.shape != shape:
        raise ArtifactError(
            f"input.json promises pictures of shape {list(extras.picture.shape)}, but its signature"
            f" is {signature.inputs} → {signature.outputs}; export the model again"
        )
    return extras.picture


def _picture_shape(signature: Signature) -> tuple[int, int] | None:
    """(height, width) if the signature is one `float32 [None, height, width]` → `probabilities`."""
    if len(signature.inputs) != 1 or PROBABILITIES not in signature.outputs:
        return None
    (images,) = signature.inputs.values()
    if images.dtype != "float32" or images.shape is None or len(images.shape) != 3:
        return None
    count, height, width = images.shape
    return (height, width) if count is None and height and width else None


def _labels(probabilities: Floats, labels: tuple[str, ...] | None) -> tuple[str, ...]:
    """The names of the network's classes; numbers where it came without names."""
    if probabilities.ndim != 2 or not np.isfinite(probabilities).all():
        raise ArtifactError("it answers no finite probabilities [N, classes]; train it again")
    classes = probabilities.shape[1]
    if labels is None:
        return tuple(str(index) for index in range(classes))
    if len(labels) != classes:
        raise ArtifactError(
            f"labels.json names {len(labels)} classes, the network answers {classes};"
            " export the model again"
        )
    return labels
