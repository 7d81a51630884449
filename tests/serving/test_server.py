import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import numpy as np
import pytest

from wardrobe.serving.errors import ModelNotFoundError, StartError
from wardrobe.serving.server import serve
from wardrobe.serving.settings import Settings

needs_proc = pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux' /proc")


def ask(url: str, data: bytes | None = None) -> tuple[int, Any]:
    try:
        with urllib.request.urlopen(url, data, timeout=30) as response:
            return response.status, json.load(response)
    except HTTPError as error:
        return error.code, json.load(error)


def test_sound_models_are_served_and_broken_ones_are_reported(server, encode, band) -> None:
    status, ready = ask(server.url + "/health/ready")
    assert (status, ready["ready"]) == (200, True)
    broken = {(each["name"], each["version"]) for each in ready["models"] if "reason" in each}
    assert broken == {("bands", 3), ("bands", 4), ("bands", 5), ("lost", 1)}
    status, answer = ask(server.url + "/predict", encode(band(6)))
    assert answer["predictions"][0]["label"] == "band 6"
    assert answer["predictions"][0]["version"] == 2
    log = server.log.read_text()
    assert "lost/1 is not served: saved_model.pb is missing" in log
    assert "Traceback" not in log


def test_two_workers_answer_many_clients_at_once(server, encode, band) -> None:
    def label(index: int) -> str:
        status, answer = ask(server.url + "/predict", encode(band(index % 10)))
        assert status == 200
        return str(answer["predictions"][0]["label"])

    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(label, range(200)))
    assert answers == [f"band {index % 10}" for index in range(200)]


def test_a_connection_is_kept_after_an_answer_and_after_an_error(server, encode, band) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    for data, wanted in ((encode(band(6)), 200), (b"text", 415), (encode(band(6)), 200)):
        connection.request("POST", "/predict", data)
        response = connection.getresponse()
        response.read()
        assert response.status == wanted
    connection.close()


def test_a_thousand_pictures_arrive_whole(server, band) -> None:
    images = np.stack([band(index % 10) for index in range(1000)]).astype("<f4")
    head = json.dumps(
        {
            "inputs": [
                {
                    "name": "images",
                    "shape": [1000, 28, 28],
                    "datatype": "FP32",
                    "parameters": {"binary_data_size": images.nbytes},
                }
            ],
            "parameters": {"binary_data_output": True},
        }
    ).encode()
    length = {"Inference-Header-Content-Length": str(len(head))}
    url = f"{server.url}/v2/models/bands/infer"
    request = urllib.request.Request(url, head + images.tobytes(), length)
    for _ in range(3):
        with urllib.request.urlopen(request, timeout=30) as response:
            answer = response.read()[int(response.headers["Inference-Header-Content-Length"]) :]
        probabilities = np.frombuffer(answer, "<f4").reshape(1000, 10)
        assert probabilities.argmax(axis=1).tolist() == [index % 10 for index in range(1000)]


def test_an_upload_that_is_too_large_gets_413(server) -> None:
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", str(10**12))
    connection.endheaders(b"the beginning of a terabyte")
    response = connection.getresponse()
    assert response.status == 413
    assert "send fewer or smaller" in json.load(response)["error"]
    connection.close()


@needs_proc
def test_tensorflow_is_loaded_in_the_workers_only(server) -> None:
    def has_tensorflow(process: int) -> bool:
        return "libtensorflow" in Path(f"/proc/{process}/maps").read_text()

    workers = server.children()
    assert len(workers) == 2
    assert all(has_tensorflow(worker) for worker in workers)
    assert not has_tensorflow(server.process.pid)


@needs_proc
def test_while_a_killed_worker_is_replaced_the_other_answers(server, encode, band) -> None:
    killed = server.children()[0]
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 60
    while len(server.children()) < 2 or killed in server.children():
        assert time.monotonic() < deadline
        assert ask(server.url + "/predict", encode(band(6)))[0] == 200
    for _ in range(50):  # its successor is still loading
        assert ask(server.url + "/predict", encode(band(6)))[0] == 200
        assert ask(server.url + "/health/ready")[0] == 200


def test_with_broken_artifacts_only_it_starts_and_says_why(start, tmp_path) -> None:
    (tmp_path / "net/1").mkdir(parents=True)
    server = start([tmp_path], workers=1)
    assert ask(server.url + "/health/live") == (200, {"live": True})
    status, ready = ask(server.url + "/health/ready")
    assert (status, ready["ready"]) == (503, False)
    assert "half-copied" in ready["models"][0]["reason"]
    assert "no model can answer" in server.log.read_text()


def test_a_port_in_use_is_one_clear_error(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(StartError, match=rf"cannot listen on 127.0.0.1:{port} \(Address alr"):
            serve(replace(settings, port=port))


def test_a_host_that_is_not_here_is_one_clear_error(settings: Settings) -> None:
    with pytest.raises(StartError, match=r"cannot listen on no\.such\.host\.invalid:0"):
        serve(replace(settings, host="no.such.host.invalid"))


def test_nothing_to_serve_is_one_clear_error(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match=r"no model in .*; train one with"):
        serve(replace(settings, artifacts=(tmp_path,)))
    with pytest.raises(ModelNotFoundError, match="there is no model 'other'; there are: a-table"):
        serve(replace(settings, model="other"))


@pytest.mark.slow
def test_ready_little_later_than_tensorflow_alone_is_imported(start, good) -> None:
    def seconds(run) -> float:
        begin = time.monotonic()
        run()
        return time.monotonic() - begin

    importing = [sys.executable, "-c", "import tensorflow"]
    ratios = [
        seconds(lambda: start([good])) / seconds(lambda: subprocess.run(importing, check=True))
        for _ in range(3)
    ]
    assert sorted(ratios)[1] < 1.5
