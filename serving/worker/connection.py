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
"""Bytes to read at a time; the second applies while a body arrives."""


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
    """A socket, the bytes that have arrived on it and those still to be sent.

    It belongs to the loop, except while a thread answers its request.
    """

    def __init__(self, sock: socket.socket, client: Any, server: Any, incoming: Incoming) -> None:
        sock.setblocking(False)
        self.socket, self.client, self.server = sock, client, server
        self.incoming = incoming
        self.phase: Phase | None = None
        self.since = 0.0
        """When the phase began, by `time.monotonic`."""
        self.until = math.inf
        """When it must end."""
        self.moved = 0
        """Bytes received or sent since the phase began or was last prolonged."""
        self.watched = 0
        """The events for which it is registered with the selector."""
        self.request: Any = None
        """The request that is being answered."""
        self.arrived = 0.0
        """When the last byte of the request arrived."""
        self._body_size = 0
        self.unsent = memoryview(b"")
        self.is_kept = True
        """Whether another request may follow."""

    def take(self, request: Any) -> None:
        """A request has arrived completely."""
        self.request, self.arrived = request, time.monotonic()
        self._body_size = request.body.getbuffer().nbytes

    @property
    def size(self) -> int:
        """Bytes of requests held in memory."""
        return self.incoming.size + self._body_size

    def receive(self) -> bool:
        """Reads some bytes; False if the client has finished sending. Raises `OSError`."""
        most = BODY_PIECE if self.phase is Phase.BODY else PIECE
        try:
            count = self.incoming.receive(self.socket, most)
        except BlockingIOError:
            return True
        self.moved += count
        return count > 0

    def ask_for_body(self) -> None:
        """Tells a client that waits for `100 Continue` to send the body. Raises `OSError`."""
        if self.incoming.head._expected_100_continue:
            self.incoming.head._expected_100_continue = False
            if self.socket.send(CONTINUE) < len(CONTINUE):
                raise ConnectionAbortedError("the client does not read")

    def answer(self, answer: bytes, keep: bool) -> None:
        """Sends as much of the answer as possible without waiting."""
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
        """Shuts down sending; a reset now could cost the client the last answer.

        Raises `OSError` if the client has left.
        """
        self.incoming.received.clear()
        self.socket.shutdown(socket.SHUT_WR)

    def abort(self) -> None:
        """Makes closing discard bytes that the client has not read, so that the system does not
        keep them."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def has_left(self) -> bool:
        """Whether the client has closed its side; what it still sends is discarded."""
        try:
            return not all(self.socket.recv(PIECE) for _ in range(64))
        except BlockingIOError:
            return False
        except OSError:
            return True
