"""The bodies of requests and answers: reading them within limits, compressing them."""

import gzip
import zlib

import numpy as np
from flask import Response, request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from wardrobe.serving.errors import RequestError, TooLargeError, UnsupportedError

COMPRESSED_FROM = 1024
"""Bytes below which an answer is sent as it is: compressing would make it later, not smaller."""
ALIGNMENT = 64
"""Bytes; TensorFlow copies an array that lies otherwise."""
EFFORT = 1
"""Of compression: most of the gain for a fraction of the time."""


def read(max_bytes: int, aligned: int = 0) -> memoryview:
    """The request's body, whatever type it claims, unpacked if it is gzip or deflate. What stands
    `aligned` bytes behind its beginning lies in memory as TensorFlow wants arrays.

    Raises `TooLargeError` for what unpacks to more than `max_bytes`, `RequestError` for what does
    not unpack and `UnsupportedError` for other encodings.
    """
    data = _whole(max_bytes, aligned)
    encoding = request.headers.get("Content-Encoding", "identity").lower().strip()
    if encoding in ("identity", ""):
        return data
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedError(f"Content-Encoding is {encoding!r}; send gzip, deflate or none")
    unpacking = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # either header
    try:
        unpacked = unpacking.decompress(data, max_bytes + 1)
    except zlib.error as error:
        raise RequestError(f"the body is no {encoding}: {error}") from None
    if len(unpacked) > max_bytes:
        raise TooLargeError(f"the body unpacks to more than {max_bytes} bytes; send less at a time")
    if not unpacking.eof or unpacking.unused_data:
        raise RequestError(f"the {encoding} body is cut short or followed by something else")
    return memoryview(unpacked)


def _whole(max_bytes: int, aligned: int) -> memoryview:
    """The body in one piece; Flask would read it in many and put them together."""
    length = request.content_length
    if length is None:
        return memoryview(request.get_data(cache=False))
    if length > max_bytes:
        raise RequestEntityTooLarge
    space = np.empty(length + ALIGNMENT, np.uint8)
    start = -(space.ctypes.data + aligned) % ALIGNMENT
    body = space.data[start : start + length]
    if request.environ["wsgi.input"].readinto(body) < length:
        raise ClientDisconnected
    return body


def compress(response: Response) -> Response:
    """The answer, packed as its receiver accepts it, if it is large enough to gain by it."""
    accepted = request.accept_encodings
    if (
        not accepted
        or response.direct_passthrough
        or "Content-Encoding" in response.headers
        or (response.content_length or 0) < COMPRESSED_FROM
    ):
        return response
    encoding = accepted.best_match(("gzip", "deflate"))
    if encoding:
        pack = gzip.compress if encoding == "gzip" else zlib.compress
        response.set_data(pack(response.get_data(), EFFORT))
        response.headers["Content-Encoding"] = encoding
        response.vary.add("Accept-Encoding")
    return response
