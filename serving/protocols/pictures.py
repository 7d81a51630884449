"""Our own protocol, `POST /predict`: pictures in, labels out."""

import base64
import difflib
import re
from collections.abc import Mapping
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
AS_JSON = (
    '{"image": B64}, {"images": [B64, …]} or {"instances": [{"b64": B64}, …]}, B64 the'
    " picture's bytes in base64 or a data URL"
)
HOW_TO_SEND_JSON = f"send {AS_JSON}"
JSON_KEYS = ("image", "images", "instances")
OPTIONS = ("model", "version", "top", "explain")
"""What may stand in the query, or beside the pictures in a form or a JSON document."""
LONGEST_OPTION = 255
"""Characters; a folder's name has no more."""
JSON_SPACE, BYTE_ORDER_MARK = b" \t\r\n\xef\xbb\xbf", b"\xef\xbb\xbf"
SPACE, URL_SAFE = re.compile(r"\s+"), str.maketrans("-_", "+/")
MOST_FIELDS = 100
"""Fields of text in a form, beside the pictures."""
YES, NO = ("1", "true"), ("0", "false", "")


def pictures(repository: Repository, settings: Settings) -> Blueprint:
    """The blueprint of `POST /predict`, answered by the models of `repository`."""
    blueprint = Blueprint("pictures", __name__)

    @blueprint.post("/predict")
    def predict() -> tuple[Response, int]:
        uploads, beside = _read(settings.max_pictures)
        options = _options(beside)
        name, version = options.get("model"), _number(options, "version", None)
        model = repository.get(name, version)
        is_chosen = name is not None or version is not None
        companion = None if is_chosen else partial(repository.for_photographs, model)
        top = _number(options, "top", TOP) or TOP
        explain = _flag(options, "explain")
        predictions = classify(model, uploads, settings.limits, top, explain, companion)
        if any("error" not in prediction for prediction in predictions):
            return jsonify(predictions=predictions), 200
        first = predictions[0]
        return jsonify(error=first["error"], predictions=predictions), first["status"]

    return blueprint


Fields = list[tuple[str, str]]
"""Names and values that were sent beside the pictures."""


def _read(most: int) -> tuple[list[Upload], Fields]:
    """The pictures of the request, whatever type it claims: those of a form or of a JSON document,
    or else the body itself; and what stands beside them."""
    body, beside = bytes(request_body.read()), Fields()
    if request.mimetype == "multipart/form-data":
        uploads, beside = _from_form(body, most)
    elif request.mimetype == "application/json" or body.lstrip(JSON_SPACE)[:1] in (b"{", b"["):
        uploads, beside = _from_json(body)
    else:
        uploads = _from_body(body)
    if len(uploads) > most:
        raise TooLargeError(f"the request has more than {most} pictures; send fewer at a time")
    return uploads, beside


def _options(beside: Fields) -> dict[str, str]:
    """The options, wherever they stand, except those left empty. Parameters of others, such as
    those of a gateway, are ignored.

    Raises `RequestError` if one has two values, or is misspelt in the address: another model would
    answer.
    """
    for name in request.args:
        close = difflib.get_close_matches(name.lower(), OPTIONS, n=1)
        if close and name not in OPTIONS:
            raise RequestError(f"there is no option {name!r}; did you mean {close[0]!r}?")
    options: dict[str, str] = {}
    for name, value in (*request.args.items(multi=True), *beside):
        if name not in OPTIONS or not value:
            continue
        if len(value) > LONGEST_OPTION:
            raise RequestError(
                f"{name} is {value[:80]!r}… and has {len(value)} characters;"
                f" {LONGEST_OPTION} are the most"
            )
        if options.setdefault(name, value) != value:
            raise RequestError(f"{name} is both {options[name]!r} and {value!r}; send it once")
    return options


def _from_body(body: bytes) -> list[Upload]:
    if not body:
        raise RequestError(f"the request contains no picture; {HOW_TO_SEND}")
    is_form = request.mimetype == "application/x-www-form-urlencoded"
    if is_form and body.isascii():
        raise RequestError(f"this is text, not a picture; {HOW_TO_SEND}, or as JSON: {AS_JSON}")
    if is_form and not any(end in body for end in (b"\r", b"\n")):
        raise RequestError(
            "the picture was damaged in transit, as `curl -d` drops line ends: send it with"
            " curl --data-binary @boot.png URL, or with curl -F file=@boot.png URL"
        )
    return [Upload(None, body)]


def _from_form(body: bytes, most: int) -> tuple[list[Upload], Fields]:
    """The parts called `file`, with a file name or without, and the fields of text. Other files
    would be missed."""
    boundary = request.mimetype_params.get("boundary", "")
    if body and not boundary:
        raise RequestError(
            "the Content-Type of the form names no boundary; leave this header to the client, which"
            " sets it with the boundary"
        )
    sent = parts(body, boundary, most + MOST_FIELDS) if body else []
    uploads = [Upload(part.filename, part.data) for part in sent if part.name == "file"]
    others = [part for part in sent if part.name != "file"]
    missed = [part for part in others if part.filename is not None]
    if missed or not uploads:
        named = ", ".join(dict.fromkeys(repr(part.name) for part in missed or others))
        rest = "which must be named `file`, too" if uploads else "but no file named `file`"
        found = f"has {named}, {rest}" if named else "is empty"
        raise RequestError(f"the form {found}; {HOW_TO_SEND}")
    texts = [(part.name or "", part.data.decode(errors="replace")) for part in others]
    return uploads, texts


def _from_json(body: bytes) -> tuple[list[Upload], Fields]:
    """The pictures of `{"image": …}`, `{"images": […]}` or `{"instances": […]}`, and the options
    beside them."""
    document = json.loads(body.removeprefix(BYTE_ORDER_MARK))
    keys = [key for key in JSON_KEYS if isinstance(document, dict) and key in document]
    if len(keys) != 1:
        found = ", ".join(map(quote, document)) if isinstance(document, dict) else quote(document)
        raise RequestError(f"the JSON has {found or 'nothing'}; {HOW_TO_SEND_JSON}")
    value = document[keys[0]]
    values = [value] if keys[0] == "image" else value
    if not isinstance(values, list) or not values:
        raise RequestError(
            f"{keys[0]!r} must be a list of at least one picture; {HOW_TO_SEND_JSON}"
        )
    options = [
        (name, each if isinstance(each := document[name], str) else quote(each))
        for name in OPTIONS
        if document.get(name) is not None
    ]
    return [Upload(None, _from_base64(each)) for each in values], options


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
        return PictureError(
            "the picture is not valid base64; encode its bytes, not its name or address", 400
        )


def _number(options: Mapping[str, str], name: str, default: int | None) -> int | None:
    """A positive integer, `default` if it is missing."""
    text = options.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else 0
    if number < 1:
        raise RequestError(f"{name} is {text!r}; it must be a whole number of at least 1")
    return number


def _flag(options: Mapping[str, str], name: str) -> bool:
    text = options.get(name, "").lower()
    if text not in YES + NO:
        raise RequestError(f"{name} is {text!r}; it must be 1 or 0")
    return text in YES
