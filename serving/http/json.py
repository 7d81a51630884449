"""JSON as the protocols need it: fast, with NaN and Infinity, and with NumPy arrays."""

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
    """Parse a document in which `NaN`, `Infinity` and `-Infinity` are numbers, too.

    Raises `RequestError` if it is not JSON or is nested too deeply.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _loads_leniently(bytes(data))


def _loads_leniently(data: bytes) -> Any:
    """The standard library's parser is slow, but accepts NaN and Infinity."""
    if not data.strip():
        raise RequestError("JSON Parse error: The document is empty")
    try:
        return json.loads(data)
    except RecursionError:
        raise RequestError("JSON Parse error: The document is nested too deeply") from None
    except ValueError as error:
        raise RequestError(f"JSON Parse error: {error}") from None


def dumps(value: Any, arrays: Iterable[np.ndarray[Any, Any]] = ()) -> bytes:
    """Write a value that may contain arrays. Name in `arrays` those among them that may contain NaN
    or Infinity, which orjson would write as null. Whole floats are written as `3.0`."""
    if all(array.dtype.kind != "f" or np.isfinite(array).all() for array in arrays):
        with suppress(orjson.JSONEncodeError):  # very large integers, lone surrogates
            return orjson.dumps(value, default=_plain, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(value, default=_plain, separators=(",", ":")).encode()


def _plain(value: Any) -> Any:
    """What neither library writes by itself: arrays that are not contiguous, and bytes."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


class FastJSON(JSONProvider):
    """For Flask's `jsonify` and `Response.json`."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return dumps(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return json.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return Response(
            dumps(self._prepare_response_obj(args, kwargs)), mimetype="application/json"
        )
