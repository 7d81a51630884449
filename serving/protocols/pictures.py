"""Our own protocol, `POST /predict`: pictures in, labels out."""

from collections.abc import Mapping

from flask import Blueprint, Response, jsonify, request

from wardrobe.serving.errors import RequestError
from wardrobe.serving.http import request_body
from wardrobe.serving.http.multipart import parts
from wardrobe.serving.images.classify import TOP, Upload, classify
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.settings import Settings

HOW_TO_SEND = "send one as the body, or any number as `file` parts: curl -F file=@boot.png URL"
YES, NO = ("1", "true"), ("0", "false", "")


def pictures(repository: Repository, settings: Settings) -> Blueprint:
    """The blueprint of `POST /predict`, answered by the models of `repository`."""
    blueprint = Blueprint("pictures", __name__)

    @blueprint.post("/predict")
    def predict() -> tuple[Response, int]:
        query = request.args.to_dict()
        model = repository.get(query.get("model"), _number(query, "version", None))
        uploads = _uploads(settings.max_pictures)
        top = _number(query, "top", TOP) or TOP
        predictions = classify(model, uploads, settings.limits, top, _flag(query, "explain"))
        if any("error" not in prediction for prediction in predictions):
            return jsonify(predictions=predictions), 200
        first = predictions[0]
        return jsonify(error=first["error"], predictions=predictions), first["status"]

    return blueprint


def _uploads(most: int) -> list[Upload]:
    """The pictures of the request: `file` parts, or else the body, whatever type it claims."""
    body = bytes(request_body.read())
    if request.mimetype != "multipart/form-data":
        if not body:
            raise RequestError(f"the request contains no picture; {HOW_TO_SEND}")
        return [Upload(None, body)]
    boundary = request.mimetype_params.get("boundary", "")
    sent = parts(body, boundary, most) if boundary else []
    uploads = [
        Upload(part.filename, part.data)
        for part in sent
        if part.name == "file" and part.filename is not None
    ]
    if not uploads:
        others = ", ".join(repr(part.name) for part in sent) or "no part"
        raise RequestError(f"the form has {others}, but no file named `file`; {HOW_TO_SEND}")
    return uploads


def _number(query: Mapping[str, str], name: str, default: int | None) -> int | None:
    """A positive integer in the query string, `default` if it is missing."""
    text = query.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
    if number < 1:
        raise RequestError(f"{name} is {text!r}; it must be a whole number of at least 1")
    return number


def _flag(query: Mapping[str, str], name: str) -> bool:
    text = query.get(name, "").lower()
    if text not in YES + NO:
        raise RequestError(f"{name} is {text!r}; it must be 1 or 0")
    return text in YES
