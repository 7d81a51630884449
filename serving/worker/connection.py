"""A client's connection. None of its methods waits."""

import math
import socket
import struct
import time
from contextlib import suppress
from enum import Enum
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

from wardrobe.serving.worker.answer import CONTINUE
from wardrobe.serving.worker.request import Incoming

PIECE, BODY_PIECE = 65536, 2**20
"""Bytes that are read at a time, the latter while a body arrives."""


class Phase(Enum):
    """Where a connection is between two requests."""

    WAITING = "for a request"
    HEAD = "part of a head has arrived"
    BODY = "part of a body has arrived"
    ANSWERING = "the request waits for a thread or has one"
    SENDING = "the client has not taken the whole answer yet"
    LEAVING = "the client has had its last answer; what it still sends is thrown away"


EVENTS = {
    Phase.WAITING: EVENT_READ,
    Phase.HEAD: EVENT_READ,
    Phase.BODY: EVENT_READ,
    Phase.SENDING: EVENT_WRITE,
    Phase.LEAVING: EVENT_READ,
}


class Connection:
    """A socket, what has arrived on it and what is still to be sent.

    Belongs to the loop, except while a request is being answered: then to the thread that does it.
    """

    def __init__(self, sock: socket.socket, client: Any, server: Any, incoming: Incoming) -> None:
        sock.setblocking(False)
        self.socket, self.client, self.server = sock, client, server
        self.incoming = incoming
        self.phase: Phase | None = None
        self.since = 0.0
        """When the phase began, by `time.monotonic`."""
        self.until = math.inf
        """When it must have ended."""
        self.moved = 0
        """Bytes that have come or gone since the phase began, or since that prolonged it."""
        self.watched = 0
        """The events that the selector tells of it."""
        self.request: Any = None
        """What is being answered."""
        self.arrived = 0.0
        """When the request was there to its last byte."""
        self._body_size = 0
        self.unsent = memoryview(b"")
        self.is_kept = True
        """Whether another request may follow."""

    def take(self, request: Any) -> None:
        """A request has arrived whole."""
        self.request, self.arrived = request, time.monotonic()
        self._body_size = request.body.getbuffer().nbytes

    @property
    def size(self) -> int:
        """Bytes of requests held in memory."""
        return self.incoming.size + self._body_size

    def receive(self) -> bool:
        """Reads a piece; False at the end of what the client sends. Raises `OSError`."""
        most = BODY_PIECE if self.phase is Phase.BODY else PIECE
        try:
            count = self.incoming.receive(self.socket, most)
        except BlockingIOError:
            return True
        self.moved += count
        return count > 0

    def ask_for_body(self) -> None:
        """Tells a client that waits for it to go on with the body. Raises `OSError`."""
        if self.incoming.head._expected_100_continue:
            self.incoming.head._expected_100_continue = False
            if self.socket.send(CONTINUE) < len(CONTINUE):
                raise ConnectionAbortedError("the client does not read")

    def answer(self, answer: bytes, keep: bool) -> None:
        """Sends as much of the answer as the client takes at once."""
        self.request, self._body_size = None, 0
        self.unsent, self.is_kept = memoryview(answer), keep
        try:
            self.send()
        except OSError:  # the client has left; so will we
            self.unsent, self.is_kept = memoryview(b""), False

    def send(self) -> None:
        """Sends more of the answer. Raises `OSError`."""
        with suppress(BlockingIOError):
            sent = self.socket.send(self.unsent)
            self.unsent = self.unsent[sent:]
            self.moved += sent

    def leave(self) -> None:
        """Says that nothing more will come; a reset now would take the last answer from the client.

        Raises `OSError` if the client has left.
        """
        self.incoming.received.clear()
        self.socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Makes closing throw away what the client does not read, rather than leave it to the
        system to keep."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def has_left(self) -> bool:
        """Whether the client has closed its side; what it still sends is thrown away."""
        try:
            return not all(self.socket.recv(PIECE) for _ in range(64))
        except BlockingIOError:
            return False
        except OSError:
            return True
