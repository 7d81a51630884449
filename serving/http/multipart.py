"""The parts of a `multipart/form-data` body, as `curl -F`, browsers and libraries send them (RFC
7578).

Flask's `request.files` parses a stream piece by piece and wraps each file in a temporary file. Here
the body is in memory already: it is split at its boundary, in a quarter of the time.
"""

import base64
import binascii
import quopri
import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.http import parse_options_header

from wardrobe.serving.errors import RequestError

AFTER_BOUNDARY = re.compile(rb"(--)|[ \t]*\r?\n")
"""The end of the form or of the boundary's line; anything else belongs to a longer boundary."""
EMPTY_LINE = re.compile(rb"\r?\n(?:\r?\n|\Z)")
"""What ends a part's headers; it may also be the line end before the next boundary."""
LINE_END = re.compile(r"\r?\n")
FOLD = re.compile(r"\r?\n[ \t]+")
"""Where a long header goes on in the next line."""
LARGEST_HEAD = 16384
"""Bytes of a part's headers."""
DECODERS: Mapping[str, Callable[[bytes], bytes]] = {
    "base64": base64.b64decode,
    "quoted-printable": quopri.decodestring,
}
"""What old clients, made for mail, name as `Content-Transfer-Encoding`."""


class Part(NamedTuple):
    """One part: its name, the file's name if it is a file, and its content."""

    name: str | None
    filename: str | None
    data: bytes


def parts(body: bytes, boundary: str, most: int) -> list[Part]:
    """The parts of a body, in order.

    Raises `RequestError` for a broken body and Werkzeug's `RequestEntityTooLarge` for more
    than `most` parts.
    """
    found: list[Part] = []
    for piece in _pieces(b"\n" + body, b"\n--" + boundary.encode("latin-1", "replace")):
        if len(found) == most:
            raise RequestEntityTooLarge
        found.append(_part(piece))
    return found


def _pieces(body: bytes, delimiter: bytes) -> Iterator[bytes]:
    """What is between the delimiters, without the text before the first and after the last."""
    start, position = None, body.find(delimiter)
    while position >= 0:
        after = AFTER_BOUNDARY.match(body, position + len(delimiter))
        if after:
            if start is not None:
                end = position - 1 if body[position - 1 : position] == b"\r" else position
                yield body[start : max(start, end)]
            if after[1]:
                return
            start = after.end()
        # The line's end may also begin the next delimiter.
        position = body.find(delimiter, after.end() - 1 if after else position + 1)
    raise _broken()


def _part(piece: bytes) -> Part:
    end = EMPTY_LINE.search(piece, 0, LARGEST_HEAD)
    if not end:
        raise _broken()
    head = FOLD.sub(" ", piece[: end.start()].decode(errors="replace"))
    lines = (line.partition(":") for line in LINE_END.split(head))
    headers = {key.strip().lower(): value.strip() for key, _, value in lines}
    if "content-disposition" not in headers:
        raise _broken()
    _, options = parse_options_header(headers["content-disposition"])
    decoder = DECODERS.get(headers.get("content-transfer-encoding", "").lower(), bytes)
    try:
        data = decoder(piece[end.end() :])
    except binascii.Error:
        raise _broken() from None
    return Part(options.get("name"), options.get("filename"), data)


def _broken() -> RequestError:
    return RequestError("the form is cut short or broken; send it again")
