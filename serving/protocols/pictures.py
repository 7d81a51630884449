"""Our own protocol: pictures in, labels out. `POST /predict`."""

from flask import Blueprint, Response, jsonify, request

from serving.classification import TOP, Upload, classify
from serving.errors import RequestError
from serving.repository import Repository
from serving.settings import Settings

HOW_TO_SEND = "send one as the body, or any number as `file` parts: curl -F file=@boot.png URL"
YES, NO = ("1", "true"), ("0", "false", "")


def pictures(repository: Repository, settings: Settings) -> Blueprint:
    """The blueprint of `POST /predict`, answering with the models of `repository`."""
    blueprint = Blueprint("pictures", __name__)

    @blueprint.post("/predict")
    def predict() -> tuple[Response, int]:
        model = repository.get(request.args.get("model"), _number("version", None))
        uploads = _uploads(settings.max_picture_bytes)
        top = _number("top", TOP) or TOP
        answers = classify(model, uploads, settings.limits, top, _flag("explain"))
        if any("error" not in answer for answer in answers):
            return jsonify(predictions=answers), 200
        return jsonify(error=answers[0]["error"], predictions=answers), answers[0]["status"]

    return blueprint


def _uploads(max_bytes: int) -> list[Upload]:
    """The pictures of the request: `file` parts, or else the body, whatever type it claims."""
    if request.mimetype != "multipart/form-data":
        body = request.get_data(cache=False)
        if not body:
            raise RequestError(f"the request holds no picture; {HOW_TO_SEND}")
        return [Upload(None, body)]
    parts = request.files.getlist("file")
    if not parts:
        others = ", ".join(repr(name) for name in [*request.files, *request.form]) or "no part"
        raise RequestError(f"the form has {others}, but no file named `file`; {HOW_TO_SEND}")
    # One byte too many is enough for the decoder to refuse a part.
    return [Upload(part.filename, part.stream.read(max_bytes + 1)) for part in parts]


def _number(name: str, default: int | None) -> int | None:
    """A positive whole number of the query."""
    text = request.args.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
    if number < 1:
        raise RequestError(f"{name} is {text!r}; it must be a whole number of at least 1")
    return number


def _flag(name: str) -> bool:
    text = request.args.get(name, "").lower()
    if text not in YES + NO:
        raise RequestError(f"{name} is {text!r}; it must be 1 or 0")
    return text in YES
