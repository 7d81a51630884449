"""The chart's Deployment, played with podman until it answers and stops. `make test-containers`.

Podman makes the pod of it: user, root file system, capabilities, limits, volumes, environment. What
it lacks is done here, by what the Deployment says: podman has no Service, so the port is published;
it asks no HTTP probe, runs no preStop hook and, before version 4.4, knows no period of grace.
"""

from __future__ import annotations

import http.client
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

from tests.conftest import free_port
from tests.deploy.chart import CHART, needs_helm, one, rendered
from tests.deploy.engine import build, eventually, needs_engine
from wardrobe.training.data import silhouettes

IMAGE = "localhost/wardrobe:latest"

pytestmark = [
    pytest.mark.containers,
    needs_engine,
    needs_helm,
    pytest.mark.skipif(shutil.which("podman") is None, reason="there is no podman"),
]


def podman(*arguments: str) -> str:
    done = subprocess.run(
        ["podman", *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


class Pod:
    """A pod of the chart's Deployment, on a port of this machine."""

    def __init__(self, deployment: dict[str, Any], file: Path) -> None:
        self.spec = deployment["spec"]["template"]["spec"]
        (self.container,) = self.spec["containers"]
        (port,) = self.container["ports"]
        self.port = port["hostPort"] = free_port()
        file.write_text(yaml.safe_dump(deployment))
        self.file = str(file)
        # As podman names the container.
        self.name = f"{deployment['metadata']['name']}-pod-0-{self.container['name']}"

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)

    def holds(self, probe: str) -> bool:
        """What the kubelet would say of a probe."""
        asked = self.container[probe]["httpGet"]
        assert asked["port"] == self.container["ports"][0]["name"]
        connection = self.connection()
        connection.request("GET", asked["path"])
        return 200 <= connection.getresponse().status < 400

    def run(self, *command: str) -> str:
        return podman("exec", self.name, *command)


@pytest.fixture(scope="module")
def pod(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    build("wardrobe")
    if subprocess.run(["podman", "image", "exists", IMAGE], check=False).returncode:
        pytest.skip("the image is not podman's; see CONTAINER_ENGINE")
    repository, _, tag = IMAGE.rpartition(":")
    values = f"replicas=1,image.repository={repository},image.tag={tag},image.pullPolicy=Never"
    deployment = one("Deployment", rendered("--set", values))
    pod = Pod(deployment, tmp_path_factory.mktemp("pod") / "deployment.yaml")
    podman("kube", "play", pod.file)
    try:
        startup = pod.container["startupProbe"]
        eventually(
            lambda: pod.holds("startupProbe"),
            startup["periodSeconds"] * startup["failureThreshold"],
        )
        eventually(lambda: pod.holds("readinessProbe"), 60)
        yield pod
    finally:
        podman("kube", "down", pod.file)


def picture() -> bytes:
    """A drawn garment as a PNG file."""
    file = BytesIO()
    Image.fromarray(silhouettes.draw(1, seed=3).x[0]).save(file, "png")
    return file.getvalue()


def answer(connection: http.client.HTTPConnection) -> Any:
    """The answer to the request that was sent."""
    response = connection.getresponse()
    told = response.read()
    assert response.status == 200, told
    (found,) = json.loads(told)["predictions"]
    return found


def test_the_pod_is_alive_and_answers(pod: Pod) -> None:
    assert pod.holds("livenessProbe")
    connection = pod.connection()
    connection.request("POST", "/predict", picture())
    assert answer(connection)["top"][0]["probability"] > 0.1


def test_the_pod_is_confined_as_the_chart_says(pod: Pod) -> None:
    program = (
        "import os; print(os.getuid(), os.getgid(), os.statvfs('/').f_flag & os.ST_RDONLY,"
        " os.access('/tmp', os.W_OK), open('/proc/self/status').read())"
    )
    user, group, is_read_only, has_tmp, *status = pod.run("python", "-c", program).split()
    security = pod.spec["securityContext"]
    assert [int(user), int(group)] == [security["runAsUser"], security["runAsGroup"]]
    assert [is_read_only, has_tmp] == ["1", "True"]
    assert int(status[status.index("CapEff:") + 1], 16) == 0
    assert status[status.index("NoNewPrivs:") + 1] == "1"


def test_the_pod_stops_in_order(pod: Pod) -> None:
    """A request that has begun is answered; the exit code is 0; all within the period of grace."""
    body = picture()
    in_hand = pod.connection()
    in_hand.putrequest("POST", "/predict")
    in_hand.putheader("Content-Length", str(len(body)))
    in_hand.endheaders(body[:100])

    grace, began = pod.spec["terminationGracePeriodSeconds"], time.monotonic()
    pod.run(*pod.container["lifecycle"]["preStop"]["exec"]["command"])
    assert pod.holds("readinessProbe")
    remaining = round(grace - (time.monotonic() - began))
    stopping = threading.Thread(target=podman, args=("stop", "-t", str(remaining), pod.name))
    stopping.start()
    eventually(lambda: is_unready(pod), 5)
    in_hand.send(body[100:])
    assert answer(in_hand)["top"]
    stopping.join()
    assert time.monotonic() - began < grace
    assert podman("inspect", "-f", "{{.State.ExitCode}}", pod.name).strip() == "0"


def test_the_container_that_follows_a_bucket_stops_when_told_to(pod: Pod) -> None:
    deployment = one("Deployment", rendered(f"--values={CHART / 'ci/bucket-values.yaml'}"))
    _, follows = deployment["spec"]["template"]["spec"]["containers"]
    entry, *options = follows["command"]
    name = "wardrobe-test-follows"
    podman("run", "-d", "--name", name, "--entrypoint", entry, IMAGE, *options, *follows["args"])
    try:
        podman("stop", "-t", "30", name)
        assert podman("inspect", "-f", "{{.State.ExitCode}}", name).strip() == "0"
    finally:
        podman("rm", "-f", name)


def is_unready(pod: Pod) -> bool:
    """Whether the pod says so, or takes no connection any more."""
    try:
        return not pod.holds("readinessProbe")
    except (OSError, http.client.HTTPException):
        return True
