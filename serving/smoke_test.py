"""The first request to a service that has just been started: proof that it answers."""

from __future__ import annotations

import json
import os
import time
import urllib.request
from typing import Any


def first_answer(url: str, picture: bytes) -> dict[str, Any] | None:
    """Waits until the service at `url` is ready and returns its answer to one picture.

    None where the process that wanted to know has ended before: its service did not come up.
    """
    wanted_by = os.getppid()
    while not _is_ready(url):
        if os.getppid() != wanted_by:
            return None
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
