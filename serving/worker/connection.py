"""A client: its connection, read no longer than a request may hold a thread, and its answers."""

import errno
import io
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from gunicorn.http.unreader import Unreader
from gunicorn.http.wsgi import Response
from gunicorn.workers.gthread import TConn

LINGER = 2.0
"""Seconds in which a client may take its last answer, before the connection is closed for good."""

_MESSAGE = b'{"error":"the server is full; try again in a second"}'
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_MESSAGE), _MESSAGE)
)
SMALL = 16384
"""Bytes of a request that is looked at whole."""
LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,5})\r\n", re.IGNORECASE)


class _Reading:
    """The socket as the parser reads it: no longer than a request may hold a thread."""

    def __init__(self, connection: socket.socket) -> None:
        self.until = 0.0
        self._connection = connection
        self.gettimeout, self.settimeout = connection.gettimeout, connection.settimeout

    def recv(self, size: int) -> bytes:
        with self._in_time():
            return self._connection.recv(size)

    def recv_into(self, buffer: memoryview) -> int:
        with self._in_time():
            return self._connection.recv_into(buffer)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        self.settimeout(max(self.until - time.monotonic(), 0.001))
        try:
            yield
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "too slow") from None


class Body(io.RawIOBase):
    """The body of a request that says how long it is.

    gunicorn's own copies each byte six times on its way; this one writes it where it is wanted.
    """

    failed = False

    def __init__(self, unreader: Unreader, length: int) -> None:
        self.left = length
        self._unreader = unreader

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fills `buffer`, as far as there is something to come."""
        wanted = memoryview(buffer)[: self.left]
        with_head = self._unreader.take_buffered()
        filled = min(len(with_head), len(wanted))
        wanted[:filled] = with_head[:filled]
        self._unreader.unread(with_head[filled:])
        while filled < len(wanted) and (got := self._unreader.sock.recv_into(wanted[filled:])):
            filled += got
        self.left -= filled
        return filled


class Answer(Response):  # type: ignore[misc]
    """gunicorn's, which sends its head together with its body: one packet, not two."""

    _head = b""
    headers_sent: bool

    def send_headers(self) -> None:
        if not self.headers_sent:
            lines = [*self.default_headers(), *(f"{k}: {v}\r\n" for k, v in self.headers), "\r\n"]
            self._head, self.headers_sent = "".join(lines).encode("latin-1"), True

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            data = b"%x\r\n%s\r\n" % (len(data), data)
        self.sock.sendall(self._head + data)
        self._head = b""

    def close(self) -> None:
        self.send_headers()
        end = b"0\r\n\r\n" if self.chunked else b""
        if self._head or end:
            self.sock.sendall(self._head + end)


class Connection(TConn):  # type: ignore[misc]
    """gunicorn's, with what the worker must know of it."""

    seconds = 0.0
    """How long the client may take to send a request, once a thread waits for it."""
    until = 0.0
    """When the worker stops waiting for a request."""
    arrived = 0.0
    """When the request arrived that waits, or is being answered."""
    is_whole = False
    """Whether the request was small and here to the last byte when it was seen."""
    is_watched = False
    """Whether the poller looks at it."""
    is_leaving = False
    """Whether it has had its last answer."""

    def init(self) -> None:
        """At the beginning of each request."""
        if not self.initialized:
            super().init()
            self.parser.unreader.sock = _Reading(self.sock)
        self.parser.unreader.sock.until = time.monotonic() + self.seconds

    def holds_another_request(self) -> bool:
        """Whether more was read than the last request."""
        return self.initialized and bool(self.parser.unreader.buf.getvalue())

    def has_whole_request(self) -> bool:
        """Looks without taking."""
        self.sock.setblocking(False)
        try:
            seen = self.sock.recv(SMALL, socket.MSG_PEEK)
        except OSError:
            return False
        head, _, body = seen.partition(b"\r\n\r\n")
        length = LENGTH.search(head + b"\r\n")
        return bool(length and int(length[1]) == len(body))

    def is_post(self) -> bool:
        """Looks without taking."""
        self.sock.setblocking(False)
        try:
            return bool(self.sock.recv(4, socket.MSG_PEEK) == b"POST")
        except OSError:
            return False

    def refuse(self) -> None:
        """Takes the request as far as it is there, and answers it without waiting."""
        self.sock.setblocking(False)
        try:
            self.sock.recv(65536)
            self.sock.send(BUSY)
        except OSError:  # the client has left
            pass

    def leave(self) -> None:
        """Say that nothing more will come; a reset now would take the last answer from the client.

        Raises `OSError` where the client is gone already.
        """
        self.is_leaving = True
        self.sock.setblocking(False)
        self.sock.shutdown(socket.SHUT_WR)

    def has_left(self) -> bool:
        """Whether the client has closed its side; what it still sends is thrown away."""
        try:
            return not all(self.sock.recv(65536) for _ in range(64))
        except BlockingIOError:
            return False
        except OSError:
            return True
