"""The first request to a service that has just been started: proof that it answers."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

PATIENCE = 300  # seconds; loading TensorFlow takes some on a slow machine


def first_answer(url: str, picture: bytes) -> dict[str, Any]:
    """Waits until the service at `url` is ready and returns its answer to one picture.

    Raises:
        TimeoutError: it does not become ready.
    """
    deadline = time.monotonic() + PATIENCE
    while not _is_ready(url):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{url} is not ready after {PATIENCE} s; its log says why")
        time.sleep(0.2)
    with urllib.request.urlopen(f"{url}/predict", picture, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)["predictions"][0]
    return answer


def _is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health/ready", timeout=60):
            return True
    except OSError:  # not listening yet, or 503
        return False
