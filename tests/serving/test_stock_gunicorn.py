"""The application under gunicorn's own workers, as somebody else would deploy it."""

import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(
    scope="module",
    params=[("gthread", "serving.app", True), ("sync", "wardrobe.serving.app", False)],
    ids=["gthread, from the checkout", "sync, from anywhere"],
)
def address(
    request: pytest.FixtureRequest, good: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, int]]:
    """Where `gunicorn MODULE:create_app()` listens, once it accepts connections."""
    worker_class, module, is_checkout = request.param
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        os.set_inheritable(listener.fileno(), True)
        process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gunicorn", f"{module}:create_app()"),
                *("--worker-class", worker_class, "--timeout", "120"),
                *("--bind", f"fd://{listener.fileno()}"),
            ],
            cwd=ROOT if is_checkout else elsewhere,
            env=os.environ
            | {"WARDROBE_ARTIFACTS": str(good), "WARDROBE_MODEL": "bands"}
            | ({} if is_checkout else {"PYTHONPATH": str(ROOT)}),
            pass_fds=[listener.fileno()],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        yield listener.getsockname()[:2]
        process.terminate()
        _, log = process.communicate(timeout=40)
        assert b"Traceback" not in log, log.decode()


def ask(
    address: tuple[str, int], method: str, path: str, body: Any = None, **options: Any
) -> tuple[int, bytes]:
    """Status and body of an answer, on a connection of its own."""
    connection = http.client.HTTPConnection(*address, timeout=120)
    try:
        connection.request(method, path, body, **options)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def test_every_route_answers(address, encode, band) -> None:
    picture, pixels = encode(band(6)), band(6).tolist()
    form = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%s\r\n--x--'
    tensor = {"name": "images", "shape": [1, 28, 28], "datatype": "FP32", "data": [pixels]}
    rows = json.dumps({"instances": [pixels]}).encode()
    for path in ("/", "/health/live", "/health/ready", "/metrics", "/openapi.json", "/v2"):
        assert ask(address, "GET", path)[0] == 200, path
    for path in ("/v1/models/bands", "/v1/models/bands/metadata", "/v2/models/bands"):
        assert ask(address, "GET", path)[0] == 200, path
    multipart = {"Content-Type": "multipart/form-data; boundary=x"}
    for status, answer in (
        ask(address, "POST", "/predict", picture),
        ask(address, "POST", "/predict", form % picture, headers=multipart),
        ask(address, "POST", "/predict", iter([picture[:50], picture[50:]]), encode_chunked=True,
            headers={"Transfer-Encoding": "chunked"}),
    ):  # fmt: skip
        assert status == 200, answer
        assert json.loads(answer)["predictions"][0]["label"] == "band 6"
    for path, body in (
        ("/v1/models/bands:predict", rows),
        ("/v1/models/bands:predict", iter([rows[:500], rows[500:]])),
        ("/v2/models/bands/infer", json.dumps({"inputs": [tensor]})),
        ("/v2/repository/index", b""),
    ):
        status, answer = ask(address, "POST", path, body)
        assert status == 200, (path, answer)


def test_a_clients_fault_is_a_4xx(address) -> None:
    for path in ("/predict", "/v1/models/bands:predict", "/v2/models/bands/infer"):
        assert ask(address, "POST", path, b"x")[0] in (400, 415)
        with socket.create_connection(address, timeout=120) as connection:
            connection.sendall(
                f"POST {path} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
                "zz\r\nnot a chunk".encode()
            )
            connection.shutdown(socket.SHUT_WR)
            head = connection.recv(1000)
        assert head.startswith(b"HTTP/1.1 400"), head
