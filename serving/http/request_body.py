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
from wardrobe.serving.scheduling import let_others_finish

ALIGNMENT = 64
"""Bytes; TensorFlow copies arrays that start elsewhere."""
PIECE = 65536
"""Bytes that are read or unpacked at a time."""
QUICK = 2**20
"""Bytes that are unpacked and parsed in a few milliseconds."""
MOST_STREAMS = 2000
"""Compressed streams in one body; 64 MiB in bgzip's small blocks are 1,025."""
GZIP_OR_ZLIB = zlib.MAX_WBITS | 32
"""zlib's option to look at the header of what it unpacks."""
GZIP = 0x1F
"""The first byte of gzip."""


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
    if encoding in ("identity", ""):
        return body
    unpacked = _unpack(body, encoding, most)
    if len(unpacked) > QUICK:
        let_others_finish()
    return unpacked


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
    """One stream or several, one after another, as tools that compress in parallel write them."""
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise UnsupportedError(f"Content-Encoding is {encoding!r}; send gzip, deflate or none")
    unpacked, streams = bytearray(), [_decompressor(body, encoding)]
    for start in range(0, len(body), PIECE):
        data = bytes(body[start : start + PIECE])
        while data:
            if streams[-1].eof:
                streams.append(zlib.decompressobj(GZIP_OR_ZLIB))
            try:
                unpacked += streams[-1].decompress(data, most + 1 - len(unpacked))
            except zlib.error as error:
                raise RequestError(f"the body is not valid {encoding}: {error}") from None
            if len(unpacked) > most or len(streams) > MOST_STREAMS:
                raise TooLargeError(
                    f"the body decompresses to more than {most} bytes, or consists of more than"
                    f" {MOST_STREAMS} compressed streams; send less at a time"
                )
            data = streams[-1].unused_data
    if not streams[-1].eof:
        raise RequestError(f"the {encoding} body is cut short; send it again")
    return memoryview(unpacked)


def _decompressor(body: memoryview, encoding: str) -> Any:
    """Many clients send deflate without zlib's header, which RFC 9110 asks for."""
    has_header = len(body) > 1 and body[0] & 15 == 8 and int.from_bytes(body[:2]) % 31 == 0
    is_bare = encoding == "deflate" and len(body) > 0 and not has_header and body[0] != GZIP
    return zlib.decompressobj(-zlib.MAX_WBITS if is_bare else GZIP_OR_ZLIB)
