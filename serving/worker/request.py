"""Parses requests from the bytes that a client has sent so far.

Nothing here waits: `Incoming.receive` takes the bytes that have arrived, and `next` returns a
request once its head and its complete body are there. The bytes of a body are never in `received`
when the next head is parsed, so they cannot be read as a request.

gunicorn parses the head and decides how the body is framed. Its readers of bodies are not used,
because they wait for the client.
"""

import io
import logging
import re
import socket
from collections.abc import Generator
from functools import cache
from typing import Any

from gunicorn.http.body import CHUNK_EXT_RE, ChunkedReader
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    NoMoreData,
    ParseException,
)
from gunicorn.http.message import Request
from gunicorn.http.unreader import Unreader

logger = logging.getLogger(__name__)

LARGEST_HEAD = 65536
"""Bytes; a longer head is refused."""
LONGEST_LINE = 8190
"""Bytes of a line with a chunk's size, and of all trailers together."""

TLS = b"\x16\x03"
"""The first bytes of a client that speaks TLS."""

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})([ \t]*;.*)?", re.DOTALL)
_STATUSES = {LimitRequestLine: 414, ExpectationFailed: 417, LimitRequestHeaders: 431}


class RefusedError(Exception):
    """The client sent something that is not a request, or one that is too large.

    Where the next request begins is unknown: the connection must be closed after the answer.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class _Head(Unreader):  # type: ignore[misc]
    """The input of gunicorn's parser: a head, and nothing after it."""

    def __init__(self, head: bytes) -> None:
        super().__init__()
        self.unread(head)

    def chunk(self, size_hint: int | None = None) -> bytes:
        return b""


class Incoming:
    """The bytes of one client that have not been answered yet."""

    def __init__(self, cfg: Any, client: Any, largest: int) -> None:
        """`largest`: the most bytes of a body that are accepted."""
        self.received = bytearray()
        self.head: Any = None
        """The request whose body is still arriving."""
        self._cfg, self._client, self._largest = cfg, client, largest
        self._chunks = bytearray()  # what is known of a body that comes in chunks
        self._body = self._missing = memoryview(b"")
        self._reading = self._read()

    @property
    def size(self) -> int:
        """Bytes in memory."""
        return len(self.received) + len(self._chunks) + len(self._body) - len(self._missing)

    def receive(self, sock: socket.socket, most: int) -> int:
        """Takes the bytes that have arrived, at most `most`; returns their number, 0 if the client
        has finished sending.

        Raises `OSError`.
        """
        if self._missing:  # straight into the body: copies of large bodies cost more than the rest
            count = sock.recv_into(self._missing[:most])
            self._missing = self._missing[count:]
            return count
        piece = sock.recv(most)
        self.received += piece
        return len(piece)

    def next(self) -> Any:
        """The next complete request, gunicorn's `Request` with a `BytesIO` as body; None while
        bytes are missing.

        Raises `RefusedError`; nothing can be read after that.
        """
        try:
            next(self._reading)
        except StopIteration as end:
            self._reading, self.head, self._chunks = self._read(), None, bytearray()
            self._body = self._missing = memoryview(b"")  # the body is the request's alone
            return end.value
        return None

    def _read(self) -> Generator[None, None, Any]:
        """Reads one request; yields whenever bytes are missing."""
        self.head = request = self._parse((yield from self._take_head()))
        if isinstance(request.body.reader, ChunkedReader):
            body = yield from self._take_chunks()
            others = [each for each in request.headers if each[0] != "TRANSFER-ENCODING"]
            request.headers = [*others, ("CONTENT-LENGTH", str(len(body)))]
            request.body = io.BytesIO(body)
        else:
            request.body = yield from self._take_body(self._fitting(request.body.reader.length))
        return request

    def _take_head(self) -> Generator[None, None, bytes]:
        """A head with the empty line that ends it, or the part that is already wrong."""
        data = self.received
        while True:
            if data.startswith(TLS):
                _warn_of_tls()
                raise RefusedError(400, "this is TLS; the service speaks HTTP")
            start = 2 if data.startswith(b"\r\n") else 0  # one empty line may come first
            end = data.find(b"\r\n\r\n", start)
            has_bare_newline = data.count(b"\n") != data.count(b"\r\n")
            if end < 0 and not has_bare_newline and len(data) <= LARGEST_HEAD:
                yield
                continue
            return (yield from self._take(end + 4 if end >= 0 else len(data)))

    def _parse(self, head: bytes) -> Any:
        rest = _Head(head)
        try:
            request = Request(self._cfg, rest, self._client)
        except (ParseException, NoMoreData) as error:
            raise _refused(error) from None
        if rest.take_buffered():
            raise RefusedError(400, "the request has no end of its own")
        return request

    def _take_body(self, length: int) -> Generator[None, None, io.BytesIO]:
        """A body of so many bytes. The part that is still to come is received into it."""
        body = io.BytesIO(bytes(length))
        begun = min(length, len(self.received))
        self._body = body.getbuffer()
        self._body[:begun] = memoryview(self.received)[:begun]
        del self.received[:begun]
        self._missing = self._body[begun:]
        while self._missing:
            yield
        return body

    def _take_chunks(self) -> Generator[None, None, bytes]:
        """A chunked body and its trailers (RFC 9112, section 7.1)."""
        while size := _chunk_size((yield from self._take_line())):
            self._fitting(len(self._chunks) + size)
            self._chunks += yield from self._take(size)
            if (yield from self._take(2)) != b"\r\n":
                raise RefusedError(400, "the body is broken: a chunk does not end where it says")
        trailers = b""
        while line := (yield from self._take_line()):
            trailers += line + b"\r\n"
            if len(trailers) > LONGEST_LINE:
                raise RefusedError(431, "the trailers behind the body are too long")
        try:
            if trailers:
                self.head.parse_headers(trailers.removesuffix(b"\r\n"), from_trailer=True)
        except ParseException as error:
            raise _refused(error) from None
        return bytes(self._chunks)

    def _take_line(self) -> Generator[None, None, bytes]:
        data = self.received
        while (end := data.find(b"\r\n", 0, LONGEST_LINE + 2)) < 0:
            if len(data) > LONGEST_LINE or b"\n" in data:
                raise RefusedError(400, "the body is broken: a chunk has no size")
            yield
        return (yield from self._take(end + 2))[:-2]

    def _take(self, count: int) -> Generator[None, None, bytes]:
        """The next `count` bytes."""
        while len(self.received) < count:
            yield
        taken = bytes(memoryview(self.received)[:count])
        del self.received[:count]
        return taken

    def _fitting(self, size: int) -> int:
        if size > self._largest:
            raise RefusedError(
                413,
                f"the request has more than {self._largest} bytes; send fewer or smaller pictures"
                " at a time",
            )
        return size


@cache
def _warn_of_tls() -> None:
    """Logged once, since the client cannot read the answer."""
    logger.warning("a client speaks TLS: use http://, or a proxy that terminates TLS")


def _chunk_size(line: bytes) -> int:
    size = _CHUNK_SIZE.fullmatch(line)
    if not size or not CHUNK_EXT_RE.fullmatch(size[2] or b""):
        raise RefusedError(400, "the body is broken: the size of a chunk cannot be read")
    return int(size[1], 16)


def _refused(error: Exception) -> RefusedError:
    """gunicorn's errors; nearly all of them mean 400."""
    status = next((code for kind, code in _STATUSES.items() if isinstance(error, kind)), 400)
    return RefusedError(status, f"the request cannot be read: {error}")
