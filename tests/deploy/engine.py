"""The container engine, and how what it runs is asked."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
ENGINE = shlex.split(os.environ.get("CONTAINER_ENGINE", "docker"))

needs_engine = pytest.mark.skipif(
    shutil.which(ENGINE[0]) is None, reason=f"there is no {ENGINE[0]}; see CONTAINER_ENGINE"
)


def build(image: str, *options: str) -> None:
    """Builds one of the Dockerfile's images; soon done if nothing has changed since."""
    subprocess.run(
        [*ENGINE, "build", "-t", image, *options, "."], cwd=ROOT, check=True, timeout=3600
    )


def ask(url: str, body: bytes | None = None) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def eventually(holds: Callable[[], Any], seconds: float) -> Any:
    """The first answer that is true; failures to ask count as not yet."""
    ends = time.monotonic() + seconds
    while True:
        try:
            if answer := holds():
                return answer
            failure: object = answer
        except (OSError, urllib.error.HTTPError) as error:
            failure = error
        assert time.monotonic() < ends, failure
        time.sleep(0.5)
