"""Answers as bytes: those of the application and the worker's own.

An answer is complete before its first byte is sent, so sending never waits for the application, and
if that fails halfway, the answer is 500 and nothing else.
"""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from gunicorn.http import wsgi

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class _Collected:
    """A substitute for a socket, for gunicorn's `Response`."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []
        self.sendall = self.pieces.append


def answer(
    application: Application, request: Any, client: Any, server: Any, cfg: Any, keep: bool
) -> tuple[bytes, bool]:
    """The answer of `application`, and whether the connection stays open, which needs `keep`.

    `request` has arrived completely.
    """
    request._expected_100_continue = False  # the body is here
    collected = _Collected()
    response, environ = wsgi.create(request, collected, client, server, cfg)
    environ["wsgi.multithread"] = True
    if not keep:
        response.force_close()
    pieces = application(environ, response.start_response)
    try:
        for piece in pieces:
            response.write(piece)
        response.close()
    finally:
        if hasattr(pieces, "close"):
            pieces.close()
    return b"".join(collected.pieces), not response.should_close()


def error(status: int, message: str, headers: Mapping[str, str] = {}) -> bytes:
    """The worker's own answer, after which the connection is closed."""
    body = orjson.dumps({"error": message})
    lines = {
        **headers,
        "Connection": "close",
        "Content-Type": "application/json",
        "Content-Length": len(body),
    }
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        lines["Retry-After"] = 1
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{head}\r\n".encode("latin-1") + body
