"""From pictures to labelled predictions: what `POST /predict` and `wardrobe predict` share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wardrobe.serving.errors import PictureError
from wardrobe.serving.images.prepare import Prepared, prepared
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


Readable = tuple[dict[str, Any], Prepared]
"""A prediction that is still to be made, and its picture."""


def classify(
    model: Model,
    uploads: Sequence[Upload],
    limits: Limits,
    top: int = TOP,
    explain: bool = False,
    for_photographs: Callable[[], Model | None] | None = None,
) -> list[dict[str, Any]]:
    """One prediction for each upload, in order, all from one call of the network, or of two: the
    model that `for_photographs` returns answers photographs.

    A prediction has `file`, `label`, `class_index`, `probability`, `uncertain` (less probable than
    the artifact's threshold, or none of the known classes), `top` (the likeliest classes), `model`,
    `version` and `prepared`, what the picture turned out to be. If the label is the one for what is
    unknown, `most_like` is the likeliest of the other classes. `explain` adds `input`, the 0–255
    pixels that the network saw, and `evidence`, the attribution of the label to each of them, None
    if the artifact has no signature `explain`. A picture that cannot be classified has `file`,
    `error` and `status` instead.

    Raises `NotAPictureModelError` if the model does not classify pictures, and `TooLateError`
    between two pictures if the request's deadline has passed.
    """
    model.check_takes_pictures()
    predictions: list[dict[str, Any]] = [{"file": upload.name} for upload in uploads]
    readable: dict[str, list[Readable]] = {}
    models = {model.artifact.name: model}
    for prediction, upload in zip(predictions, uploads, strict=True):
        try:
            answering, picture = _read(model, upload, limits, for_photographs)
            models[answering.artifact.name] = answering
            readable.setdefault(answering.artifact.name, []).append((prediction, picture))
        except PictureError as error:
            prediction.update(error=str(error), status=error.status)
    for name, pictures in readable.items():
        _answer(models[name], pictures, top, explain)
    return predictions


def _read(
    model: Model,
    upload: Upload,
    limits: Limits,
    for_photographs: Callable[[], Model | None] | None,
) -> tuple[Model, Prepared]:
    """The model that answers, and the picture as it takes it."""
    if isinstance(upload.data, PictureError):
        raise upload.data
    assert model.picture is not None
    picture = prepared(upload.data, model.picture, limits)
    companion = for_photographs() if for_photographs and picture.found == "photograph" else None
    if companion is None or companion.picture is None:
        return model, picture
    if companion.picture != model.picture:
        pixels = prepared(upload.data, companion.picture, limits).pixels
        picture = Prepared(pixels, "photograph")
    return companion, picture


def _answer(model: Model, pictures: Sequence[Readable], top: int, explain: bool) -> None:
    """Complete the predictions of one model."""
    images = np.stack([picture.pixels for _, picture in pictures]).astype(np.float32)
    for (prediction, picture), row in zip(pictures, model.predict(images), strict=True):
        prediction.update(_label(model, row, top), prepared=picture.found)
    attribution = model.explain(images) if explain else None
    for index, (prediction, picture) in enumerate(pictures if explain else ()):
        prediction["input"] = picture.pixels.tolist()
        prediction["evidence"] = None if attribution is None else _rounded(attribution[index])


def _label(model: Model, probabilities: Floats, top: int) -> dict[str, Any]:
    """Probabilities `float32 [classes]` → the prediction, with the `top` likeliest classes."""
    order = np.argsort(-probabilities, kind="stable")[: max(top, 2)]
    likeliest, *others = classes = [
        {
            "label": model.labels[index],
            "class_index": int(index),
            "probability": round(float(probabilities[index]), 6),
        }
        for index in order
    ]
    is_unknown = likeliest["label"] == model.unknown
    below = model.uncertain_below
    is_improbable = below is not None and float(probabilities[order[0]]) < below
    return (
        likeliest
        | {"uncertain": is_unknown or is_improbable}
        | ({"most_like": others[0]} if is_unknown else {})
        | {
            "top": classes[:top],
            "model": model.artifact.name,
            "version": model.artifact.version,
        }
    )


def _rounded(attribution: Floats) -> list[list[float]]:
    """Rounded to four decimals: with all digits, the response would be twice as long."""
    rows: list[list[float]] = attribution.astype(np.float64).round(4).tolist()
    return rows
