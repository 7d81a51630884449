"""Raw connections to a real server, and what comes back on them."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import pytest


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def error(self) -> str:
        """The message, if the answer has the one shape of all errors."""
        document = json.loads(self.body)
        assert isinstance(document["error"], str)
        return str(document["error"])


@dataclass
class Raw:
    """A connection on which anything can be sent."""

    socket: socket.socket
    received: bytes = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def _more(self) -> bool:
        try:
            piece = self.socket.recv(65536)
        except ConnectionResetError:
            piece = b""
        self.received += piece
        return bool(piece)

    def answer(self) -> Answer | None:
        """The next answer; None if the connection is closed instead."""
        while b"\r\n\r\n" not in self.received:
            if not self._more():
                assert not self.received, self.received
                return None
        head, _, self.received = self.received.partition(b"\r\n\r\n")
        status, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        length = int(headers.get("content-length", 0))
        while len(self.received) < length:
            assert self._more()
        body, self.received = self.received[:length], self.received[length:]
        return Answer(int(status.split()[1]), headers, body)

    def answers(self) -> list[Answer]:
        """All answers until the connection is closed."""
        return list(iter(self.answer, None))


@pytest.fixture
def connect() -> Iterator[Callable[..., Raw]]:
    """`connect(server, data=b"")`: a new connection on which `data` has been sent."""
    with connections() as connect:
        yield connect


@contextmanager
def connections() -> Iterator[Callable[..., Raw]]:
    """Opens connections, and closes them all at the end."""
    opened: list[Raw] = []

    def run(server: Any, data: bytes = b"", timeout: float = 30) -> Raw:
        address = urlsplit(server.url)
        raw = Raw(socket.create_connection((address.hostname, address.port), timeout))
        opened.append(raw)
        raw.send(data)
        return raw

    yield run
    for raw in opened:
        raw.socket.close()


@pytest.fixture(scope="session")
def impatient(start_for_all: Callable[..., Any], good: Any) -> Any:
    """One worker of two threads that waits a second for what is slow."""
    return start_for_all([good], 1, THREADS="2", QUEUE="4", DEADLINE_SECONDS="1")
