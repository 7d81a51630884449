"""Each request under a number: in the answer's header, the access log and the metrics.

It stands around the application rather than in Flask's hooks, where each look at the request goes
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
SENSIBLE = re.compile(r"[\w.:-]{1,64}", re.ASCII)
STDOUT = 1


def observe(app: Flask, log: bool) -> None:
    """Makes the application number, time and count what it answers, and write a line of JSON to
    stdout for each."""
    answer = app.wsgi_app

    def observed(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        told = environ.get("HTTP_X_REQUEST_ID", "")
        identity = told if SENSIBLE.fullmatch(told) else f"{time.time_ns():x}"
        begun = time.monotonic()
        arrived = deadline.arrived() or begun
        QUEUE_SECONDS.observe(begun - arrived)

        def start(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
            headers.append((HEADER, identity))
            seconds, method = time.monotonic() - arrived, environ["REQUEST_METHOD"]
            rule = environ["werkzeug.request"].url_rule
            requests, request_seconds = _counters(
                method if rule else "any", rule.rule if rule else "none", status[:3]
            )
            requests.inc()
            request_seconds.observe(seconds)
            if log:
                _write(
                    {
                        "time": round(time.time(), 3),
                        "id": identity,
                        "client": environ.get("REMOTE_ADDR"),
                        "method": method,
                        "path": environ["PATH_INFO"].encode("latin-1").decode(errors="replace"),
                        "status": int(status[:3]),
                        "bytes": int(dict(headers).get("Content-Length", 0)),
                        "milliseconds": round(1000 * seconds, 2),
                        "queued": round(1000 * (begun - arrived), 2),
                    }
                )
            return start_response(status, headers, error)

        return answer(environ, start)

    app.wsgi_app = observed  # type: ignore[method-assign]
    app.before_request(_in_time)


@cache
def _counters(method: str, route: str, status: str) -> tuple[Counter, Histogram]:
    """What is counted of such requests; those to nowhere, of which there may be any, are one."""
    return REQUESTS.labels(method, route, status), REQUEST_SECONDS.labels(route)


def _write(line: dict[str, Any]) -> None:
    """In one piece, so that neither a lock nor a flush is needed."""
    with suppress(OSError):  # whoever read the log has left
        os.write(STDOUT, orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))


def _in_time() -> None:
    """What waited too long is not begun."""
    deadline.remaining()
