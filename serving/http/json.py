"""JSON as the protocols need it: fast, with NaN and Infinity, and with NumPy arrays."""

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import numpy as np
import orjson
from flask import Response
from flask.json.provider import JSONProvider

from wardrobe.serving.errors import RequestError, TooLargeError

MOST_VALUES = 8_000_000
"""Numbers in a document, 32 bytes each in memory: all 10,000 test pictures are 7.8 million."""
MOST_CONTAINERS = 2_000_000
"""Lists, objects and strings in a document, about 64 bytes each."""
PIECE = 2**20
"""Bytes that are counted at a time."""


def loads(data: bytes | memoryview) -> Any:
    """Parse a document in which `NaN`, `Infinity` and `-Infinity` are numbers, too.

    Raises `RequestError` if it is not JSON or is nested too deeply, `TooLargeError` if it would
    take many times its size in memory.
    """
    _check_count(data)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return _loads_leniently(bytes(data))


def _check_count(data: bytes | memoryview) -> None:
    """Count, before anything is allocated, what would become objects of their own."""
    if len(data) < MOST_CONTAINERS:
        return
    values = containers = 0
    for start in range(0, len(data), PIECE):
        piece = bytes(data[start : start + PIECE])
        values += piece.count(b",")
        containers += piece.count(b"[") + piece.count(b"{") + piece.count(b'"') // 2
    if values > MOST_VALUES or containers > MOST_CONTAINERS:
        raise TooLargeError(
            f"the JSON has more than {MOST_VALUES} values or {MOST_CONTAINERS} lists, objects and"
            " strings; send fewer examples at a time, or binary tensors to /v2"
        )


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
