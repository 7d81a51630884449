"""What the worker uses of gunicorn's inside: fails when a release changes it."""

from socket import socketpair
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.body import CHUNK_EXT_RE, ChunkedReader, LengthReader
from gunicorn.http.message import Request
from gunicorn.workers.base import Worker

from wardrobe.serving.worker.request import Incoming, RefusedError, _Head


@pytest.mark.parametrize(
    ("line", "reader"),
    [
        (b"Content-Length: 5\r\n", LengthReader),
        (b"", LengthReader),
        (b"Transfer-Encoding: chunked\r\n", ChunkedReader),
    ],
)
def test_the_parser_takes_a_head_and_says_how_the_body_is_framed(line: bytes, reader: Any) -> None:
    rest = _Head(b"POST /x HTTP/1.1\r\nExpect: 100-continue\r\n" + line + b"\r\n")
    request = Request(Config(), rest, ("127.0.0.1", 1))
    assert isinstance(request.body.reader, reader)
    assert (request.method, request.path, request.uri) == ("POST", "/x", "/x")
    assert request._expected_100_continue is True
    assert rest.take_buffered() == b""
    assert getattr(request.body.reader, "length", 5) == (5 if line else 0)


def test_extensions_of_chunks_are_a_pattern() -> None:
    assert CHUNK_EXT_RE.fullmatch(b"; a=b")
    assert not CHUNK_EXT_RE.fullmatch(b"; a\nb")


def test_a_response_needs_sendall_only_and_the_worker_a_pipe() -> None:
    incoming = Incoming(Config(), ("127.0.0.1", 1), 10)
    incoming.received += b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
    pieces: list[bytes] = []
    socket = type("Socket", (), {"sendall": staticmethod(pieces.append)})()
    address = ("127.0.0.1", 1)
    response, environ = wsgi.create(incoming.next(), socket, address, address, Config())
    response.start_response("200 OK", [("Content-Length", "2")])
    response.write(b"ok")
    response.close()
    assert b"".join(pieces).endswith(b"\r\n\r\nok")
    assert environ["wsgi.input"].read() == b""
    assert not response.should_close()
    assert Worker.PIPE == []
    assert all(hasattr(Worker, name) for name in ("notify", "handle_exit", "init_process"))


def test_a_body_is_received_where_it_belongs_and_then_the_requests_alone() -> None:
    incoming = Incoming(Config(), ("127.0.0.1", 1), 2**20)
    ours, theirs = socketpair()
    with ours, theirs:
        theirs.sendall(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nabc")
        incoming.receive(ours, 100)
        assert incoming.next() is None
        theirs.sendall(b"defghiGET / HTTP/1.1\r\n")
        assert (incoming.receive(ours, 4), incoming.size) == (4, 7)
        assert incoming.next() is None
        assert incoming.receive(ours, 100) == 2
        body = incoming.next().body
    assert body.read() == b"abcdefghi"
    body.truncate(0)  # impossible while anything else holds its memory
    assert incoming.size == 0


def test_a_forbidden_trailer_is_refused() -> None:
    incoming = Incoming(Config(), ("127.0.0.1", 1), 10)
    incoming.received += (
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: y\r\n\r\n"
    )
    with pytest.raises(RefusedError, match="cannot be read"):
        incoming.next()
