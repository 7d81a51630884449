"""Our own protocol, `POST /predict`: pictures in, labels out."""

import base64
import difflib
import re
from collections.abc import Iterable, Mapping
from functools import partial
from urllib.parse import unquote, unquote_to_bytes

from flask import Blueprint, Response, jsonify, request

from wardrobe.serving.errors import PictureError, RequestError, TooLargeError
from wardrobe.serving.http import json, request_body
from wardrobe.serving.http.multipart import parts
from wardrobe.serving.images.classify import TOP, Upload, classify
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.protocols.tensors import quote
from wardrobe.serving.settings import Settings

HOW_TO_SEND = "send one as the body, or any number as `file` parts: curl -F file=@boot.png URL"
HOW_TO_SEND_JSON = (
    'send {"image": B64}, {"images": [B64, …]} or {"instances": [{"b64": B64}, …]}, B64 the'
    " picture's bytes in base64 or a data URL"
)
JSON_KEYS = ("image", "images", "instances")
JSON_SPACE, BYTE_ORDER_MARK = b" \t\r\n\xef\xbb\xbf", b"\xef\xbb\xbf"
SPACE, URL_SAFE = re.compile(r"\s+"), str.maketrans("-_", "+/")
MOST_FIELDS = 100
"""Fields of text in a form, beside the pictures."""
OPTIONS = ("model", "version", "top", "explain")
"""The parameters of the query string."""
YES, NO = ("1", "true"), ("0", "false", "")


def pictures(repository: Repository, settings: Settings) -> Blueprint:
    """The blueprint of `POST /predict`, answered by the models of `repository`."""
    blueprint = Blueprint("pictures", __name__)

    @blueprint.post("/predict")
    def predict() -> tuple[Response, int]:
        query = request.args.to_dict()
        _refuse_misspelt(query)
        name, version = query.get("model"), _number(query, "version", None)
        model = repository.get(name, version)
        is_chosen = name is not None or version is not None
        companion = None if is_chosen else partial(repository.for_photographs, model)
        uploads = _uploads(settings.max_pictures)
        top = _number(query, "top", TOP) or TOP
        explain = _flag(query, "explain")
        predictions = classify(model, uploads, settings.limits, top, explain, companion)
        if any("error" not in prediction for prediction in predictions):
            return jsonify(predictions=predictions), 200
        first = predictions[0]
        return jsonify(error=first["error"], predictions=predictions), first["status"]

    return blueprint


def _uploads(most: int) -> list[Upload]:
    """The pictures of the request, whatever type it claims: those of a form or of a JSON document,
    or else the body itself."""
    body = bytes(request_body.read())
    if request.mimetype == "multipart/form-data":
        uploads = _from_form(body, most)
    elif request.mimetype == "application/json" or body.lstrip(JSON_SPACE)[:1] in (b"{", b"["):
        uploads = _from_json(body)
    else:
        uploads = _from_body(body)
    if len(uploads) > most:
        raise TooLargeError(f"the request has more than {most} pictures; send fewer at a time")
    return uploads


def _from_body(body: bytes) -> list[Upload]:
    if not body:
        raise RequestError(f"the request contains no picture; {HOW_TO_SEND}")
    if request.mimetype == "application/x-www-form-urlencoded" and not any(
        end in body for end in (b"\r", b"\n")
    ):
        raise RequestError(
            "the picture was damaged on the way, as `curl -d` leaves out line ends: send it with"
            " curl --data-binary @boot.png URL, or with curl -F file=@boot.png URL"
        )
    return [Upload(None, body)]


def _from_form(body: bytes, most: int) -> list[Upload]:
    """The parts called `file`, with a file name or without. Other fields of text are ignored, but
    for options, which would have no effect; other files would be missed."""
    boundary = request.mimetype_params.get("boundary", "")
    if body and not boundary:
        raise RequestError(
            "the Content-Type of the form names no boundary; leave this header to the client, which"
            " sets it with the boundary"
        )
    sent = parts(body, boundary, most + MOST_FIELDS) if body else []
    _refuse_in_body(part.name or "" for part in sent)
    uploads = [Upload(part.filename, part.data) for part in sent if part.name == "file"]
    others = [part for part in sent if part.name != "file"]
    missed = [part for part in others if part.filename is not None]
    if missed or not uploads:
        named = ", ".join(dict.fromkeys(repr(part.name) for part in missed or others)) or "no part"
        rest = "which must be named `file`, too" if uploads else "but no file named `file`"
        raise RequestError(f"the form has {named}, {rest}; {HOW_TO_SEND}")
    return uploads


def _from_json(body: bytes) -> list[Upload]:
    """The pictures of `{"image": …}`, `{"images": […]}` or `{"instances": […]}`."""
    document = json.loads(body.removeprefix(BYTE_ORDER_MARK))
    keys = [key for key in JSON_KEYS if isinstance(document, dict) and key in document]
    if len(keys) != 1:
        found = ", ".join(map(quote, document)) if isinstance(document, dict) else quote(document)
        raise RequestError(f"the JSON has {found or 'nothing'}; {HOW_TO_SEND_JSON}")
    _refuse_in_body(document)
    value = document[keys[0]]
    values = [value] if keys[0] == "image" else value
    if not isinstance(values, list) or not values:
        raise RequestError(
            f"{keys[0]!r} must be a list of at least one picture; {HOW_TO_SEND_JSON}"
        )
    return [Upload(None, _from_base64(each)) for each in values]


def _refuse_misspelt(query: Iterable[str]) -> None:
    """Refuses what looks like an option and is none: the default model would answer, say, in place
    of the one that is meant. Parameters of others, such as those of a gateway, are ignored."""
    for name in query:
        close = difflib.get_close_matches(name.lower(), OPTIONS, n=1)
        if close and name not in OPTIONS:
            raise RequestError(f"there is no option {name!r}; did you mean {close[0]!r}?")


def _refuse_in_body(names: Iterable[str]) -> None:
    for name in names:
        if name in OPTIONS:
            raise RequestError(f"options belong into the address: /predict?{name}=…")


def _from_base64(value: object) -> bytes | PictureError:
    """The bytes of a picture that was sent as text: base64, plain or safe for URLs, with spaces and
    line ends or without the padding, as `{"b64": …}` or as a data URL."""
    if isinstance(value, dict):
        value = value.get("b64")
    if not isinstance(value, str):
        return PictureError(f"this is not a picture in base64; {HOW_TO_SEND_JSON}", 400)
    text = value.strip()
    if text[:5].lower() == "data:":
        kind, comma, text = text.partition(",")
        if not comma:
            return PictureError("the data URL has no comma; send data:image/png;base64,…", 400)
        if not kind.lower().rstrip().endswith(";base64"):
            return unquote_to_bytes(text)
        text = unquote(text)
    text = SPACE.sub("", text).translate(URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return PictureError("the picture is not valid base64; encode its bytes again", 400)


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
