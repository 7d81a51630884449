"""What `POST /predict` and `wardrobe predict` share: pictures in, labelled answers out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from wardrobe.serving.errors import NotAPictureModelError, PictureError
from wardrobe.serving.images.decode import decode
from wardrobe.serving.images.preprocess import Grey, prepare
from wardrobe.serving.inference.model import Model
from wardrobe.serving.settings import Limits

TOP = 3


@dataclass(frozen=True)
class Upload:
    """The bytes of a picture, and the name it came under, if any."""

    name: str | None
    data: bytes


def classify(
    model: Model, uploads: Sequence[Upload], limits: Limits, top: int = TOP, explain: bool = False
) -> list[dict[str, Any]]:
    """One answer for each upload, in their order, all from one call of the network.

    An answer has `file`, `label`, `class_index`, `probability`, `uncertain` (less probable than
    the artifact's own threshold), `top` (the likeliest classes), `model` and `version`. `explain`
    adds `input`, the 0–255 pixels that the network saw, and `evidence`, how much each of them
    spoke for the label: None where the artifact has no signature `explain`. A picture that cannot
    be read has `file`, `error` and `status` instead.

    Raises `NotAPictureModelError` if the model takes something else.
    """
    if model.picture is None:
        raise NotAPictureModelError(
            f"model {model.artifact} takes no pictures, or answers no `probabilities`;"
            " name another model"
        )
    answers: list[dict[str, Any]] = [{"file": upload.name} for upload in uploads]
    seen: list[tuple[dict[str, Any], Grey]] = []
    for answer, upload in zip(answers, uploads, strict=True):
        try:
            seen.append((answer, prepare(decode(upload.data, limits), model.picture)))
        except PictureError as error:
            answer.update(error=str(error), status=error.status)
    if seen:
        images = np.stack([pixels for _, pixels in seen]).astype(np.float32)
        for (answer, _), probabilities in zip(seen, model.predict(images), strict=True):
            answer.update(label(model, probabilities, top))
        if explain:
            _explain(model, seen, images)
    return answers


def label(model: Model, probabilities: npt.NDArray[np.float32], top: int) -> dict[str, Any]:
    """`float32 [classes]` → the answer of one picture, its `top` likeliest classes first."""
    likeliest = np.argsort(-probabilities, kind="stable")[:top]
    classes = [
        {
            "label": model.labels[index],
            "class_index": int(index),
            "probability": round(float(probabilities[index]), 6),
        }
        for index in likeliest
    ]
    below = model.uncertain_below
    return classes[0] | {
        "uncertain": below is not None and float(probabilities[likeliest[0]]) < below,
        "top": classes,
        "model": model.artifact.name,
        "version": model.artifact.version,
    }


def _explain(
    model: Model, seen: Sequence[tuple[dict[str, Any], Grey]], images: npt.NDArray[np.float32]
) -> None:
    """Adds to each answer what the network saw and what spoke for its label."""
    evidence = model.explain(images)
    for index, (answer, pixels) in enumerate(seen):
        answer["input"] = pixels.tolist()
        answer["evidence"] = None if evidence is None else _rounded(evidence[index])


def _rounded(evidence: npt.NDArray[np.float32]) -> list[list[float]]:
    """To four decimals: an answer would be twice as long with all that a float32 has."""
    rows: list[list[float]] = evidence.astype(np.float64).round(4).tolist()
    return rows
