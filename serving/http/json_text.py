"""JSON as the protocols need it: fast, with NaN and Infinity, and with arrays."""

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
from flask import Response
from flask.json.provider import JSONProvider

from wardrobe.serving.errors import RequestError


def loads(data: bytes | memoryview) -> Any:
    """The value of a document; `NaN`, `Infinity` and `-Infinity` are numbers.

    Raises `RequestError`, also for what is nested too deeply.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _loads_leniently(bytes(data))


def _loads_leniently(data: bytes) -> Any:
    """The standard library's parser is slow, but knows the tokens that are no JSON."""
    if not data.strip():
        raise RequestError("JSON Parse error: The document is empty")
    try:
        return json.loads(data)
    except RecursionError:
        raise RequestError("JSON Parse error: The document is nested too deeply") from None
    except ValueError as error:
        raise RequestError(f"JSON Parse error: {error}") from None


def dumps(value: Any, arrays: Iterable[np.ndarray[Any, Any]] = ()) -> bytes:
    """The document of a value that may hold arrays; `arrays` names those of them that may hold
    something other than finite numbers. Whole floats print as `3.0`."""
    if all(array.dtype.kind != "f" or np.isfinite(array).all() for array in arrays):
        with suppress(orjson.JSONEncodeError):  # very large numbers, halves of surrogate pairs
            return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(value, default=_plain, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """What neither library prints by itself: arrays that are not contiguous, bytes."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    raise TypeError(f"{type(value).__name__} is no JSON")


class FastJSON(JSONProvider):
    """What Flask's `jsonify` and `Response.json` use."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return json.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(
            dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json"
        )
