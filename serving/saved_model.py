"""Reading a SavedModel and calling it: the one place in serving that imports TensorFlow."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.artifacts import Artifact, Extras, PictureInput, read_extras
from serving.errors import ArtifactError

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Model:
    """One loaded version of a model, safe to call from several threads.

    `picture` is None where the network does not classify pictures. `predict` is the only way to
    the network: what gathers batches stands in its place.
    """

    artifact: Artifact
    labels: tuple[str, ...]
    picture: PictureInput | None
    uncertain_below: float | None
    network: Any
    """TensorFlow's loaded object; it owns the variables of the signatures below."""

    def predict(self, examples: Floats) -> Floats:
        """Pictures `float32 [N, height, width]`, 0–255 → probabilities `float32 [N, classes]`;
        rows of a table `float32 [N, inputs]` → probabilities, or values `float32 [N, outputs]`."""
        signature = self.network.signatures["serving_default"]
        outputs = signature.structured_outputs
        output = "probabilities" if "probabilities" in outputs else next(iter(outputs))
        return _call(signature, examples, output)

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of one example, as the signature declares it."""
        (spec,) = self.network.signatures["serving_default"].structured_input_signature[1].values()
        return tuple(spec.shape[1:])

    def explain(self, images: Floats) -> Floats | None:
        """`float32 [N, height, width]`, 0–255 → evidence `float32 [N, height, width]`, positive
        where a pixel spoke for the likeliest class; None where the network has no `explain`."""
        if "explain" not in self.network.signatures:
            return None
        return _call(self.network.signatures["explain"], images, "evidence")


def load(artifact: Artifact) -> Model:
    """Load a version, check its signature and let it answer once.

    Raises `ArtifactError` with the reason for anything that cannot be served.
    """
    if not (artifact.folder / "saved_model.pb").is_file():
        raise ArtifactError(
            "saved_model.pb is missing: the folder is empty or half-copied;"
            " copy it again or delete it"
        )
    extras = read_extras(artifact)
    network, answer = _load(artifact)
    picture = _picture(network.signatures["serving_default"], extras)
    labels = extras.labels or ()
    if picture:
        labels = _labels(answer["probabilities"], extras.labels)
    return Model(artifact, labels, picture, extras.uncertain_below, network)


def _load(artifact: Artifact) -> tuple[Any, dict[str, Any]]:
    """TensorFlow's object, and its answer to one example of zeros: the first call is slow, and
    shows what is broken."""
    tensorflow = _tensorflow()
    try:
        network = tensorflow.saved_model.load(str(artifact.folder))
        signature = network.signatures["serving_default"]
        examples = {
            name: tensorflow.zeros([side or 1 for side in spec.shape], spec.dtype)
            for name, spec in signature.structured_input_signature[1].items()
        }
        return network, {name: tensor.numpy() for name, tensor in signature(**examples).items()}
    except Exception as error:  # a broken file can fail anywhere below TensorFlow's loader
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ArtifactError(
            f"TensorFlow cannot load it and call its signature serving_default ({reason});"
            " copy it again or delete it"
        ) from error


def _tensorflow() -> Any:
    """TensorFlow, imported late: finding, checking and refusing artifacts does without it."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # failures arrive as exceptions
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # workers share the GPU
    import tensorflow

    return tensorflow


def _call(signature: Any, images: Floats, output: str) -> Floats:
    (name,) = signature.structured_input_signature[1]
    answer: Floats = signature(**{name: images})[output].numpy()
    return answer


def _picture(signature: Any, extras: Extras) -> PictureInput | None:
    """What pictures a network takes: as it says, if its signature agrees; without a word, as its
    signature looks."""
    shape = _picture_shape(signature)
    if extras.kind is None:
        return PictureInput(shape) if shape else None
    if extras.picture and extras.picture.shape != shape:
        raise ArtifactError(
            f"input.json promises pictures of shape {list(extras.picture.shape)}, but its signature"
            f" is {signature.structured_input_signature[1]} → {signature.structured_outputs};"
            " export the model again"
        )
    return extras.picture


def _picture_shape(signature: Any) -> tuple[int, int] | None:
    """(height, width) if the signature is one `float32 [None, height, width]` → `probabilities`."""
    inputs = list(signature.structured_input_signature[1].values())
    if len(inputs) != 1 or "probabilities" not in signature.structured_outputs:
        return None
    if inputs[0].dtype.name != "float32" or inputs[0].shape.rank != 3:
        return None
    count, height, width = inputs[0].shape.as_list()
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
