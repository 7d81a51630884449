"""gunicorn's threaded worker, with what it lacks: a bound on its queue, a deadline, and a way out.

A connection costs no thread until a request arrives on it. A request that finds the queue full is
answered 503 at once, by the thread that accepts, before anything of it is read. One that is slow
to arrive is given up at its deadline.
"""

import errno
import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from selectors import EVENT_READ
from typing import Any

from gunicorn.workers.gthread import TConn, ThreadWorker

from serving import deadline
from serving.metrics import IN_HAND, REFUSED
from serving.settings import Settings

LINGER = 2.0
"""Seconds in which a client may take its last answer, before the connection is closed for good."""

_MESSAGE = b'{"error":"the server is full; try again in a second"}'
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n"
    b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(_MESSAGE), _MESSAGE)
)


class _Reading:
    """The socket as the parser reads it: no longer than a request may hold a thread."""

    until = 0.0

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def recv(self, size: int) -> bytes:
        try:
            self._connection.settimeout(max(self.until - time.monotonic(), 0.001))
            return self._connection.recv(size)
        except TimeoutError:
            raise ConnectionResetError(errno.ECONNRESET, "too slow") from None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


class _Connection(TConn):  # type: ignore[misc]
    """A connection that is closed without the accepting thread waiting for it."""

    linger: Callable[["_Connection"], None]
    seconds: float
    """How long the client may take to send a request, once a thread waits for it."""
    arrived = 0.0

    def init(self) -> None:
        super().init()
        reading = _Reading(self.sock)
        reading.until = time.monotonic() + self.seconds
        self.parser.unreader.sock = reading

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.linger(self)
        else:
            super().close()


class Worker(ThreadWorker):  # type: ignore[misc]
    """See above. `settings` is set by the server before the workers start."""

    settings: Settings

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._in_hand = 0
        self._draining = False

    def accept(self, listener: socket.socket) -> None:
        """As gunicorn's, but it waits for the request in the selector, not in a thread."""
        try:
            client, address = listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED, errno.EWOULDBLOCK):
                raise
            return
        self.nr_conns += 1
        connection = _Connection(self.cfg, client, address, listener.getsockname())
        connection.linger = self._linger
        connection.seconds = self.settings.deadline_seconds
        self._pend(connection, self.cfg.keepalive, self.on_pending_socket_readable)

    def enqueue_req(self, conn: _Connection) -> None:
        """Give the request to a thread, or refuse it; questions (GET) are never refused."""
        if self._in_hand >= self.settings.threads + self.settings.queue and _is_post(conn.sock):
            REFUSED.inc()
            self.nr_conns -= 1
            _send_without_waiting(conn.sock, BUSY)
            self._linger(conn)
            return
        conn.arrived = time.monotonic()
        self._in_hand += 1
        IN_HAND.set(self._in_hand)
        super().enqueue_req(conn)

    def handle(self, conn: _Connection) -> Any:
        deadline.start(conn.arrived, self.settings.deadline_seconds)
        try:
            return super().handle(conn)
        finally:
            deadline.stop()

    def finish_request(self, conn: _Connection, fs: "Future[Any]") -> None:
        self._in_hand -= 1
        if not self._in_hand:
            IN_HAND.set(0)
        super().finish_request(conn, fs)

    def handle_exit(self, sig: int, frame: Any) -> None:
        """SIGTERM: readiness turns false first, so that who balances load sends nobody any more;
        then what is in flight is finished."""
        if self._draining or self.wsgi is None:
            super().handle_exit(sig, frame)
            return
        self._draining = True
        self.wsgi.extensions["repository"].retire()
        leave = threading.Timer(self.settings.drain_seconds, super().handle_exit, (sig, frame))
        leave.daemon = True
        leave.start()

    def _pend(
        self, conn: _Connection, seconds: float, readable: Callable[[_Connection, Any], None]
    ) -> None:
        """Wait for something to read, at most so long; gunicorn closes what waits longer."""
        conn.sock.setblocking(False)
        conn.timeout = time.monotonic() + seconds
        self.pending_conns.append(conn)
        self.poller.register(conn.sock, EVENT_READ, partial(readable, conn))

    def _linger(self, conn: _Connection) -> None:
        """Close once the client has closed: a reset would take the answer from it."""
        self.nr_conns += 1
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            self._pend(conn, LINGER, self._drain)
        except OSError:  # closed already
            self._forget(conn)

    def _drain(self, conn: _Connection, client: Any) -> None:
        try:
            if conn.sock.recv(65536):
                return
        except BlockingIOError:
            return
        except OSError:
            pass
        self.poller.unregister(client)
        self.pending_conns.remove(conn)
        self._forget(conn)

    def _forget(self, conn: _Connection) -> None:
        self.nr_conns -= 1
        conn.close()


def _is_post(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return connection.recv(4, socket.MSG_PEEK) == b"POST"
    except OSError:
        return False


def _send_without_waiting(connection: socket.socket, answer: bytes) -> None:
    """Takes the request from the socket as far as it is there, and answers it."""
    try:
        connection.recv(65536)
        connection.send(answer)
    except OSError:  # the client has left
        pass
