"""A request id, metrics and a line of access log for each request.

It wraps the WSGI application rather than using Flask's hooks, where each access to the request goes
through a proxy: a third of the time.
"""

import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any

import orjson
from flask import Flask
from prometheus_client import Counter, Histogram

from wardrobe.serving import deadline
from wardrobe.serving.metrics import QUEUE_SECONDS, REQUEST_SECONDS, REQUESTS

HEADER = "X-Request-Id"
VALID_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)
STDOUT = 1


def instrument(app: Flask, access_log: bool) -> None:
    """Make the application put a request id into each response, count and time the requests, write
    a line of JSON to stdout for each if `access_log`, and answer 504 to those that have waited
    beyond their deadline."""
    wrapped = app.wsgi_app

    def instrumented(
        environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        identity = request_id(environ.get("HTTP_X_REQUEST_ID", ""))
        begun = time.monotonic()
        arrived = deadline.arrived() or begun
        QUEUE_SECONDS.observe(begun - arrived)

        def start(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
            headers.append((HEADER, identity))
            seconds, method = time.monotonic() - arrived, environ["REQUEST_METHOD"]
            rule = environ["werkzeug.request"].url_rule
            requests, request_seconds = _metrics(
                method if rule else "any", rule.rule if rule else "none", status[:3]
            )
            requests.inc()
            request_seconds.observe(seconds)
            if access_log:
                log(
                    identity,
                    client=environ.get("REMOTE_ADDR"),
                    method=method,
                    path=environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
                    status=int(status[:3]),
                    size=int(dict(headers).get("Content-Length", 0)),
                    seconds=seconds,
                    queued=begun - arrived,
                )
            return start_response(status, headers, error)

        return wrapped(environ, start)

    app.wsgi_app = instrumented  # type: ignore[method-assign]
    app.before_request(_check_deadline)


@cache
def _metrics(method: str, route: str, status: str) -> tuple[Counter, Histogram]:
    """The metrics of a kind of request. Requests that match no route share one: their paths and
    methods are whatever clients make up."""
    return REQUESTS.labels(method, route, status), REQUEST_SECONDS.labels(route)


def request_id(sent: str) -> str:
    """The id that the client has sent, or a new one."""
    return sent if VALID_ID.fullmatch(sent) else f"{time.time_ns():x}"


def log(
    identity: str,
    client: str | None,
    method: str | None,
    path: str | None,
    status: int,
    size: int,
    seconds: float,
    queued: float = 0.0,
) -> None:
    """Write a line of access log, in one system call, so that those of several threads do not mix.
    Method and path are None where the request could not be read."""
    line = {
        "time": round(time.time(), 3),
        "id": identity,
        "client": client,
        "method": method,
        "path": path,
        "status": status,
        "bytes": size,
        "milliseconds": round(1000 * seconds, 2),
        "queued": round(1000 * queued, 2),
    }
    with suppress(OSError):  # nobody reads the log any more
        os.write(STDOUT, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _check_deadline() -> None:
    deadline.remaining()
