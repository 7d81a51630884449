"""From pictures to labelled predictions: what `POST /predict` and `wardrobe predict` share."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wardrobe.serving.errors import NotAPictureModelError, PictureError
from wardrobe.serving.images.prepare import Pixels, read
from wardrobe.serving.inference.classifier import Floats
from wardrobe.serving.inference.model import Model
from wardrobe.serving.settings import Limits

TOP = 3
"""Classes that a prediction lists by default."""


@dataclass(frozen=True)
class Upload:
    """The bytes of a picture, or why there are none, and the name of its file, if any."""

    name: str | None
    data: bytes | PictureError


def classify(
    model: Model, uploads: Sequence[Upload], limits: Limits, top: int = TOP, explain: bool = False
) -> list[dict[str, Any]]:
    """One prediction for each upload, in order, all from one call of the network.

    A prediction has `file`, `label`, `class_index`, `probability`, `uncertain` (less probable than
    the artifact's threshold), `top` (the likeliest classes), `model` and `version`. `explain` adds
    `input`, the 0–255 pixels that the network saw, and `evidence`, the attribution of the label to
    each of them, None if the artifact has no signature `explain`. A picture that cannot be
    classified has `file`, `error` and `status` instead.

    Raises `NotAPictureModelError` if the model does not classify pictures, and `TooLateError`
    between two pictures if the request's deadline has passed.
    """
    if model.picture is None:
        raise NotAPictureModelError(
            f"model {model.artifact} takes no pictures: {model.why_not}; name another model"
        )
    predictions: list[dict[str, Any]] = [{"file": upload.name} for upload in uploads]
    readable: list[tuple[dict[str, Any], Pixels]] = []
    for prediction, upload in zip(predictions, uploads, strict=True):
        try:
            if isinstance(upload.data, PictureError):
                raise upload.data
            pixels = read(upload.data, model.picture, limits)
            readable.append((prediction, pixels))
        except PictureError as error:
            prediction.update(error=str(error), status=error.status)
    if readable:
        images = np.stack([pixels for _, pixels in readable]).astype(np.float32)
        for (prediction, _), probabilities in zip(readable, model.predict(images), strict=True):
            prediction.update(_label(model, probabilities, top))
        if explain:
            _explain(model, readable, images)
    return predictions


def _label(model: Model, probabilities: Floats, top: int) -> dict[str, Any]:
    """Probabilities `float32 [classes]` → the prediction, with the `top` likeliest classes."""
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
    model: Model, readable: Sequence[tuple[dict[str, Any], Pixels]], images: Floats
) -> None:
    """Add to each prediction what the network saw, and the attribution of its label."""
    attribution = model.explain(images)
    for index, (prediction, pixels) in enumerate(readable):
        prediction["input"] = pixels.tolist()
        prediction["evidence"] = None if attribution is None else _rounded(attribution[index])


def _rounded(attribution: Floats) -> list[list[float]]:
    """Rounded to four decimals: with all digits, the response would be twice as long."""
    rows: list[list[float]] = attribution.astype(np.float64).round(4).tolist()
    return rows
