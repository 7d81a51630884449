"""Reading a request's body: the only way that any protocol gets at it.

Whatever a client sends, no more of it than the application's `MAX_CONTENT_LENGTH` is taken into
memory, neither as sent nor unpacked.
"""

import zlib
from typing import Any

import numpy as np
from flask import current_app, request
from gunicorn.http.errors import ParseException
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from wardrobe.serving.errors import RequestError, TooLargeError, UnsupportedError

ALIGNMENT = 64
"""Bytes; TensorFlow copies arrays that start elsewhere."""
PIECE = 65536
"""Bytes that are read at a time where the server cannot write into an array itself."""


def read(aligned: int = 0) -> memoryview:
    """The body of the current request, whatever type it claims, unpacked if it is gzip or deflate.

    `aligned` is the offset of an array in an unpacked body: that byte is placed in memory so that
    TensorFlow can use the array without copying it.

    Raises Werkzeug's `RequestEntityTooLarge` for a body that is too large and `ClientDisconnected`
    for one that is cut short or late, `TooLargeError` for one that unpacks to too much,
    `RequestError` for broken chunks or compressed data, `UnsupportedError` for other encodings.
    """
    most: int = current_app.config["MAX_CONTENT_LENGTH"]
    try:
        body = _receive(most, aligned)
    except OSError as error:  # the client has left, or was too slow
        raise ClientDisconnected from error
    except ParseException as error:
        raise RequestError(f"the body's chunks are broken: {error}") from None
    encoding = request.headers.get("Content-Encoding", "identity").lower().strip()
    return body if encoding in ("identity", "") else _unpack(body, encoding, most)


def _receive(most: int, aligned: int) -> memoryview:
    """The body as sent, of at most `most` bytes."""
    stream = request.environ["wsgi.input"]
    if request.content_length is not None:
        if request.content_length > most:
            raise RequestEntityTooLarge
        body = _aligned(request.content_length, aligned)
        if _fill(body, stream) < len(body):
            raise ClientDisconnected
        return body
    if not request.environ.get("wsgi.input_terminated"):
        return memoryview(b"")  # without a length there is no body
    received = bytearray()
    while piece := stream.read(PIECE):  # chunked
        received += piece
        if len(received) > most:
            raise RequestEntityTooLarge
    return memoryview(received)


def _aligned(length: int, offset: int) -> memoryview:
    """`length` bytes, the one at `offset` at a multiple of `ALIGNMENT`."""
    space = np.empty(length + ALIGNMENT, np.uint8)
    start = -(space.ctypes.data + offset) % ALIGNMENT
    return space.data[start : start + length]


def _fill(body: memoryview, stream: Any) -> int:
    """Read until `body` is full or the stream ends; returns the number of bytes read.

    The project's own worker offers `readinto`, which copies nothing; WSGI promises only `read`.
    """
    filled = 0
    while filled < len(body):
        if hasattr(stream, "readinto"):
            count = stream.readinto(body[filled:])
        else:
            piece = stream.read(min(PIECE, len(body) - filled))
            count = len(piece)
            body[filled : filled + count] = piece
        if not count:
            break
        filled += count
    return filled


def _unpack(body: memoryview, encoding: str, most: int) -> memoryview:
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedError(f"Content-Encoding is {encoding!r}; send gzip, deflate or none")
    decompressor = zlib.decompressobj(wbits=zlib.MAX_WBITS | 32)  # gzip's header or zlib's
    try:
        unpacked = decompressor.decompress(body, most + 1)
    except zlib.error as error:
        raise RequestError(f"the body is not valid {encoding}: {error}") from None
    if len(unpacked) > most:
        raise TooLargeError(f"the body unpacks to more than {most} bytes; send less at a time")
    if not decompressor.eof or decompressor.unused_data:
        raise RequestError(f"the {encoding} body is cut short, or something follows it")
    return memoryview(unpacked)
