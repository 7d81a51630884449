"""The containers, for real: built, brought up, trained in, shot at. `make test-containers`.

The engine is the command that `CONTAINER_ENGINE` names, `docker` if none: it must know `build` and
`compose`.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import threading
import time
import urllib.error
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.conftest import free_port
from tests.deploy.engine import ENGINE, ROOT, ask, build, eventually, needs_engine
from wardrobe.training.data import silhouettes

pytestmark = [pytest.mark.containers, needs_engine]

MODEL = "mlp-256-128-100"
TRAIN = [MODEL, "--set", "data=silhouettes", "--epochs", "2"]
PROJECT = "wardrobe-test"
WORKERS = 2
"""Of each replica."""


class Compose:
    """The project's compose file under a name and ports of its own."""

    def __init__(self) -> None:
        self.port, self.prometheus_port = free_port(), free_port()
        self.environment = os.environ | {
            "COMPOSE_PROJECT_NAME": PROJECT,
            "PORT": str(self.port),
            "PROMETHEUS_PORT": str(self.prometheus_port),
            "WARDROBE_REPOSITORY_CHANGES": "1",
            "DATA": str(ROOT / "deploy"),  # some folder: silhouettes are drawn
        }

    def __call__(self, *arguments: str) -> str:
        done = subprocess.run(
            [*ENGINE, "compose", *arguments],
            cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=900,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def get(self, path: str) -> Any:
        return ask(f"http://127.0.0.1:{self.port}{path}")

    def predict(self) -> Any:
        """What the service says of a drawn garment."""
        (pixels,) = silhouettes.draw(1, seed=3).x
        body = json.dumps({"instances": [pixels.tolist()]}).encode()
        return ask(f"http://127.0.0.1:{self.port}/v1/models/{MODEL}:predict", body)


@pytest.fixture(scope="module")
def service() -> Iterator[Compose]:
    """Both replicas behind the proxy, ready, with Prometheus; the volumes are new."""
    build("wardrobe")
    build("wardrobe-training", "--target", "training")
    compose = Compose()
    compose("--profile", "monitoring", "up", "-d", "--no-build", "proxy", "prometheus")
    try:
        eventually(lambda: compose.get("/health/ready"), 180)
        yield compose
    finally:
        compose("--profile", "monitoring", "--profile", "train", "down", "-v", "-t", "30")


def test_a_picture_is_answered_through_the_proxy(service: Compose) -> None:
    (probabilities,) = service.predict()["predictions"]
    assert np.isclose(sum(probabilities), 1, atol=1e-4)


def test_the_root_file_system_is_read_only_and_the_user_is_nobody(service: Compose) -> None:
    printed = service("exec", "-T", "replica-1", "python", "-c",
                   "import os; print(os.getuid(), os.access('/opt/wardrobe', os.W_OK),"
                   " os.statvfs('/').f_flag & os.ST_RDONLY)")  # fmt: skip
    assert printed.split()[-3:] == ["10001", "False", "1"]


def test_the_service_has_only_what_serving_needs(service: Compose) -> None:
    program = (
        "from importlib.util import find_spec as find;"
        " print([name for name in ('jax', 'keras', 'tensorboard', 'wardrobe.training')"
        " if find(name)])"
    )
    assert service("exec", "-T", "replica-1", "python", "-Pc", program).strip().endswith("[]")
    size = subprocess.run(
        [*ENGINE, "image", "inspect", "-f", "{{.Size}}", "wardrobe"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    if size.returncode == 0:  # not every engine has the command
        assert int(size.stdout) <= 1.4e9


def test_there_is_no_compiler(service: Compose) -> None:
    program = "import shutil; print([shutil.which(name) for name in ('cc', 'gcc', 'g++', 'clang')])"
    printed = service("exec", "-T", "replica-1", "python", "-c", program)
    assert "[None, None, None, None]" in printed


def test_what_is_trained_inside_is_served_without_a_restart(service: Compose) -> None:
    def versions() -> list[int]:
        states = service.get(f"/v1/models/{MODEL}")["model_version_status"]
        return [int(each["version"]) for each in states if each["state"] == "AVAILABLE"]

    before = versions()
    for _ in range(2):
        service("--profile", "train", "run", "--rm", "-T", "train", *TRAIN)
    # Whichever replica answers. Each may see the first of the two before the second.
    newest = max(before) + 2
    eventually(lambda: all(newest in versions() for _ in range(20)), 60)


def test_unload_is_remembered_in_the_shared_volume(service: Compose) -> None:
    url = f"http://127.0.0.1:{service.port}/v2/repository/models/{MODEL}"

    def workers() -> float:
        """In how many workers of the replica that answers a version of the model is available: the
        proxy keeps connections, so asking the model would reach one worker of each."""
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{service.port}/metrics", timeout=30)
        available = re.compile(
            rf'wardrobe_model_versions{{model="{MODEL}",state="available",version="\d+"}} (\S+)'
        )
        return max(map(float, available.findall(metrics.read().decode())), default=0)

    ask(f"{url}/unload", b"{}")
    eventually(lambda: all(workers() == 0 for _ in range(10)), 30)
    ask(f"{url}/load", b"{}")
    eventually(lambda: all(workers() == WORKERS for _ in range(10)), 30)


def test_a_replica_is_killed_under_load_and_nothing_is_lost(service: Compose) -> None:
    answers: Counter[str] = Counter()
    is_over = threading.Event()

    def keep_asking() -> None:
        while not is_over.is_set():
            try:
                service.predict()
                answers["answered"] += 1
            except OSError as error:  # an HTTPError is one, too
                answers[str(error)] += 1

    threads = [threading.Thread(target=keep_asking) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(3)
    service("kill", "-s", "SIGKILL", "replica-1")
    time.sleep(6)
    service("start", "replica-1")
    time.sleep(3)
    is_over.set()
    for thread in threads:
        thread.join()
    print(dict(answers))
    assert set(answers) == {"answered"}
    assert answers["answered"] > 50


def test_prometheus_scrapes_both_replicas(service: Compose) -> None:
    api = f"http://127.0.0.1:{service.prometheus_port}/api/v1"

    def value(query: str) -> float:
        (result,) = ask(f"{api}/query?query={query}")["data"]["result"]
        return float(result["value"][1])

    def replicas_that_answered() -> float:
        service.predict()  # the one that was killed may not have had a request since
        return value("count(count%20by%20(instance)(wardrobe_requests_total))")

    eventually(lambda: value("sum(up)") == 2, 90)
    eventually(lambda: replicas_that_answered() == 2, 90)


def test_a_replica_stops_when_told_to(service: Compose) -> None:
    began = time.monotonic()
    service("stop", "-t", "30", "replica-2")
    assert time.monotonic() - began < 20  # of its own accord, not killed after 30 s
