"""Each request under a number: in the answer's header, the access log and the metrics."""

import json
import logging
import re
import time
from typing import Any

from flask import Flask, Response, g, request

from serving import deadline
from serving.metrics import QUEUE_SECONDS, REQUEST_SECONDS, REQUESTS

HEADER = "X-Request-Id"
SENSIBLE = re.compile(r"[\w.:-]{1,64}", re.ASCII)

logger = logging.getLogger("serving.access")


def observe(app: Flask) -> None:
    """Makes the application number, time, count and log what it answers."""
    app.before_request(_begin)
    app.after_request(_end)


def _begin() -> None:
    told = request.headers.get(HEADER, "")
    g.id = told if SENSIBLE.fullmatch(told) else f"{time.time_ns():x}"
    g.begun = time.monotonic()
    g.arrived = deadline.arrived() or g.begun
    QUEUE_SECONDS.observe(g.begun - g.arrived)
    deadline.remaining()  # what waited too long is not begun


def _end(response: Response) -> Response:
    response.headers[HEADER] = g.id
    seconds = time.monotonic() - g.arrived
    route = request.url_rule.rule if request.url_rule else "none"
    REQUESTS.labels(request.method, route, response.status_code).inc()
    REQUEST_SECONDS.labels(route).observe(seconds)
    if logger.isEnabledFor(logging.INFO):
        logger.info("%s", json.dumps(_line(response, seconds)))
    return response


def _line(response: Response, seconds: float) -> dict[str, Any]:
    return {
        "time": round(time.time(), 3),
        "id": g.id,
        "client": request.remote_addr,
        "method": request.method,
        "path": request.path,
        "status": response.status_code,
        "bytes": response.content_length,
        "milliseconds": round(1000 * seconds, 2),
        "queued": round(1000 * (g.begun - g.arrived), 2),
    }
