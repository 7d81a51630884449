"""What the worker answers itself looks like what the application answers."""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

SHOP = "https://shop.example"
HEAD = f"POST /predict HTTP/1.1\r\nHost: x\r\nX-Request-Id: mine-7\r\nOrigin: {SHOP}\r\n"


@pytest.fixture(scope="module")
def locked(start, good) -> Iterator[Any]:
    """A server with a key, an allowed origin and an access log that can be read."""
    running = start(
        [good], 1, stdout=subprocess.PIPE,
        API_KEY="secret", CORS_ORIGINS=SHOP, MAX_REQUEST_BYTES="100000", DEADLINE_SECONDS="1",
    )  # fmt: skip
    yield running
    running.process.stdout.close()


def logged(server: Any, identity: str) -> dict[str, Any]:
    """The line of the access log about a request."""
    for text in server.process.stdout:
        line: dict[str, Any] = json.loads(text)
        if line["id"] == identity:
            return line
    raise AssertionError(identity)


@pytest.mark.parametrize(
    ("status", "request_"),
    [
        (413, HEAD + "X-API-Key: secret\r\nContent-Length: 1000000\r\n\r\n"),
        (408, HEAD + "X-API-Key: secret\r\nContent-Length: 1000\r\n\r\n"),
        (400, HEAD + "X-API-Key: secret\r\nTransfer-Encoding: chunked\r\n\r\nno size\r\n"),
        (401, HEAD + "Content-Length: 90000\r\n\r\n"),
        (401, HEAD + "Authorization: Bearer other\r\nTransfer-Encoding: chunked\r\n\r\n"),
    ],
)
def test_it_has_a_request_id_a_line_of_log_and_is_readable_for_allowed_pages(
    connect, locked, status: int, request_: str
) -> None:
    (answer,) = connect(locked, request_.encode()).answers()
    assert answer.status == status
    assert answer.error
    assert answer.headers["connection"] == "close"
    assert answer.headers["x-request-id"] == "mine-7"
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert ("www-authenticate" in answer.headers) == (status == 401)
    line = logged(locked, "mine-7")
    assert (line["status"], line["method"], line["path"]) == (status, "POST", "/predict")
    assert line["bytes"] == len(answer.body)


def test_a_head_that_cannot_be_read_is_logged_without_method_and_path(connect, locked) -> None:
    (answer,) = connect(locked, b"nonsense\r\n\r\n").answers()
    assert answer.status == 400
    line = logged(locked, answer.headers["x-request-id"])
    assert (line["method"], line["path"], line["status"]) == (None, None, 400)


def test_a_client_that_speaks_tls_is_answered_at_once(connect, locked) -> None:
    (answer,) = connect(locked, b"\x16\x03\x01\x00\xa5" + bytes(0xA5)).answers()
    assert (answer.status, "speaks HTTP" in answer.error) == (400, True)


def test_with_the_key_a_body_is_waited_for(connect, locked) -> None:
    raw = connect(locked, (HEAD + "X-API-Key: secret\r\nContent-Length: 4\r\n\r\nte").encode())
    raw.send(b"xt")
    assert raw.answer().status == 415
