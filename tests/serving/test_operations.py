"""What an operator relies on: metrics, logs, limits of load, keys, the way out."""

import http.client
import json
import os
import re
import signal
import socket
import time
import urllib.request
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

import numpy as np
import pytest

from wardrobe.serving.app import create_app
from wardrobe.serving.settings import Settings

FORM = b'--x\r\nContent-Disposition: form-data; name="file"; filename="%s"\r\n\r\n%s\r\n'


@pytest.fixture(scope="module")
def large(encode, band) -> bytes:
    """A picture that takes a tenth of a second to decode, though its file is small."""
    return bytes(encode(np.kron(band(6), np.ones((220, 220), np.uint8)), "PNG", compress_level=1))


def post(url: str, data: bytes, headers: dict[str, str] | None = None) -> tuple[int, Any, float]:
    """Status, response and seconds of `POST /predict`."""
    begun = time.monotonic()
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    connection.request("POST", "/predict", data, headers or {})
    response = connection.getresponse()
    response.body = response.read()  # type: ignore[attr-defined]
    connection.close()
    return response.status, response, time.monotonic() - begun


def scrape(url: str) -> str:
    with urllib.request.urlopen(f"{url}/metrics", timeout=30) as response:
        text: str = response.read().decode()
        return text


def total(text: str, name: str, *labels: str) -> float:
    """The sum of a metric's samples that have these labels."""
    lines = [line for line in text.splitlines() if re.match(rf"{name}(\{{|\s)", line)]
    return sum(
        float(line.rpartition(" ")[2]) for line in lines if all(each in line for each in labels)
    )


def test_metrics_are_those_of_all_workers(start, good: Path, encode, band) -> None:
    server = start([good])
    version = ("wardrobe_model_versions", 'model="bands"', 'version="2"')
    until = time.monotonic() + 60
    while total(scrape(server.url), *version) < 2:  # both workers have loaded it
        assert time.monotonic() < until
        time.sleep(0.1)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: post(server.url, encode(band(6))), range(60)))
    post(server.url, b"text")
    for _ in range(5):
        text = scrape(server.url)
        route = 'route="/predict"'
        assert total(text, "wardrobe_requests_total", route, 'status="200"') == 60
        assert total(text, "wardrobe_requests_total", route, 'status="415"') == 1
        assert total(text, "wardrobe_predictions_total", 'label="band 6"', 'version="2"') == 60
        assert total(text, "wardrobe_prediction_confidence_count") == 60
        assert total(text, "wardrobe_batch_examples_sum") == 60
        assert total(text, "wardrobe_request_seconds_count", route) == 61
        assert total(text, "wardrobe_queue_seconds_count") >= 61
    os.kill(server.children()[0], signal.SIGKILL)
    time.sleep(2)
    text = scrape(server.url)
    assert total(text, "wardrobe_requests_total", route, 'status="200"') == 60


@pytest.fixture(scope="module")
def narrow(start, good: Path) -> Any:
    """A server that takes three requests in hand."""
    return start([good], 1, THREADS="1", QUEUE="2", DEADLINE_SECONDS="30")


def test_beyond_the_queue_requests_are_rejected_at_once_and_the_others_answered(
    narrow, large: bytes
) -> None:
    with ThreadPoolExecutor(20) as pool:
        outcomes = list(pool.map(lambda _: post(narrow.url, large), range(20)))
        statuses = Counter(status for status, _, _ in outcomes)
        assert set(statuses) == {200, 503}
        assert statuses[200] >= 3
    for status, response, _ in outcomes:
        if status == 503:
            assert response.headers["Retry-After"] == "1"
            assert json.loads(response.body) == {
                "error": "the server is full; try again in a second"
            }
    text = scrape(narrow.url)
    assert total(text, "wardrobe_requests_refused_total") == statuses[503]


def test_a_rejection_takes_less_than_50_milliseconds(narrow, large: bytes, encode, band) -> None:
    small, seconds = encode(band(3)), []
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            held = [pool.submit(post, narrow.url, large) for _ in range(4)]
            time.sleep(0.05)
            for _ in range(3):
                status, _, taken = post(narrow.url, small)
                if status == 503:
                    seconds.append(taken)
            for each in held:
                each.result()
    assert len(seconds) >= 5
    assert sorted(seconds)[len(seconds) // 2] < 0.05


def test_what_cannot_be_answered_in_time_gets_504(start, good: Path, large: bytes) -> None:
    server = start([good], 1, THREADS="1", QUEUE="100", DEADLINE_SECONDS="1")
    with ThreadPoolExecutor(30) as pool:
        outcomes = list(pool.map(lambda _: post(server.url, large), range(60)))
    statuses = Counter(status for status, _, _ in outcomes)
    assert statuses[200] >= 1
    assert statuses[504] >= 1
    assert set(statuses) == {200, 504}


def test_slow_clients_do_not_delay_others(start, good: Path, encode, band) -> None:
    server = start([good], 1, THREADS="9", DEADLINE_SECONDS="2")
    netloc = urlsplit(server.url)
    slow = []
    for beginning in (b"", b"POST /predict HTTP/1.1\r\nContent-", b"POST /predict HTTP/1.1\r\n"):
        for _ in range(4):
            connection = socket.create_connection((netloc.hostname, netloc.port))
            connection.sendall(beginning)
            slow.append(connection)
    status, _, seconds = post(server.url, encode(band(3)))
    assert status == 200
    assert seconds < 2
    unfinished = http.client.HTTPConnection(netloc.netloc, timeout=30)
    unfinished.putrequest("POST", "/predict")
    unfinished.putheader("Content-Length", "1000")
    unfinished.endheaders(b"the beginning")
    response = unfinished.getresponse()
    assert response.status == 408
    assert "did not arrive completely in time" in json.load(response)["error"]
    for each in slow:
        each.close()


def test_at_sigterm_readiness_turns_false_first_and_what_is_in_flight_is_finished(
    start, good: Path, encode, band
) -> None:
    server = start([good], 1, DRAIN_SECONDS="2")
    picture = encode(band(6))
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)
    connection.putrequest("POST", "/predict")
    connection.putheader("Content-Length", str(len(picture)))
    connection.endheaders(picture[:50])
    time.sleep(0.3)
    server.process.terminate()
    time.sleep(0.5)
    with pytest.raises(HTTPError, match="503"):
        urllib.request.urlopen(f"{server.url}/health/ready", timeout=30)
    assert post(server.url, picture)[0] == 200
    time.sleep(2)
    connection.send(picture[50:])
    assert json.load(connection.getresponse())["predictions"][0]["label"] == "band 6"
    assert server.process.wait(timeout=20) == 0
    assert "Traceback" not in server.log.read_text()


def test_the_request_id_is_in_the_answer_and_in_the_log(
    settings: Settings, capfd: pytest.CaptureFixture[str], encode, band
) -> None:
    client: Any = create_app(settings).test_client()
    capfd.readouterr()
    own = client.post("/predict", data=encode(band(1)), headers={"X-Request-Id": "mine-7"})
    made = client.get("/nothing")
    assert own.headers["X-Request-Id"] == "mine-7"
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert [line["id"] for line in lines] == ["mine-7", made.headers["X-Request-Id"]]
    assert [(line["method"], line["path"], line["status"]) for line in lines] == [
        ("POST", "/predict", 200),
        ("GET", "/nothing", 404),
    ]
    assert lines[0]["bytes"] == len(own.data)
    strange = client.get("/", headers={"X-Request-Id": "a b" * 100})
    assert re.fullmatch("[0-9a-f]+", strange.headers["X-Request-Id"])


def test_the_access_log_can_be_switched_off(
    settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    client: Any = create_app(replace(settings, access_log=0)).test_client()
    capfd.readouterr()
    assert client.get("/health/live").status_code == 200
    assert capfd.readouterr().out == ""


def test_a_key_is_needed_for_all_but_probes_and_page(settings: Settings, encode, band) -> None:
    client: Any = create_app(replace(settings, api_key="secret")).test_client()
    for path in ("/", "/page/page.js", "/health/live", "/health/ready", "/v2/health/ready"):
        assert client.get(path).status_code == 200
    for path in ("/v2", "/v1/models/bands", "/metrics", "/v2/models/bands"):
        assert client.get(path).status_code == 401
    picture = encode(band(1))
    refused = client.post("/predict", data=picture, headers={"X-API-Key": "other"})
    assert refused.status_code == 401
    assert "Authorization: Bearer" in refused.json["error"]
    for headers in ({"X-API-Key": "secret"}, {"Authorization": "Bearer secret"}):
        assert client.post("/predict", data=picture, headers=headers).status_code == 200


def test_pages_of_allowed_origins_may_use_the_service(settings: Settings) -> None:
    shop = "https://shop.example"
    client: Any = create_app(
        replace(settings, cors_origins=(shop,), api_key="secret")
    ).test_client()
    asked = client.options("/predict", headers={"Origin": shop})
    assert asked.status_code == 200
    assert asked.headers["Access-Control-Allow-Origin"] == shop
    assert "POST" in asked.headers["Access-Control-Allow-Methods"]
    assert client.get("/health/live", headers={"Origin": shop}).headers[
        "Access-Control-Allow-Origin"
    ]
    other = client.get("/health/live", headers={"Origin": "https://other.example"})
    assert "Access-Control-Allow-Origin" not in other.headers


def test_the_page_has_a_content_security_policy(client) -> None:
    headers = client.get("/").headers
    assert "default-src 'self'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert client.get("/health/live").headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("seconds", [2, pytest.param(600, marks=pytest.mark.slow)])
def test_a_soak_of_good_and_bad_requests_loses_none_and_in_the_long_run_no_memory(
    server, encode, band, seconds: int
) -> None:
    picture, predict = encode(band(1)), "/predict"
    many = b"".join(FORM % (b"x", picture) for _ in range(1000)) + b"--x--"
    rows = json.dumps({"instances": [band(1).tolist()] * 20}).encode()
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    requests: list[tuple[str, bytes, dict[str, str], int]] = [
        (predict, picture, {}, 200),
        (predict, encode(band(2), "JPEG"), {}, 200),
        (predict, FORM % (b"a.png", picture) + b"--x--", form, 200),
        (f"{predict}?explain=1", picture, {}, 200),
        ("/v1/models/bands:predict", rows, {}, 200),
        ("/v1/models/bands:predict", b"[" * 10**5, {}, 400),
        (predict, b"text", {}, 415),
        (predict, encode(band(3))[:60], {}, 400),
        (predict, bytes(10**6), {}, 415),
        (predict, many, form, 413),
        (predict, many[:10000], form, 400),
        ("/v2/models/bands/infer", b"{}", {}, 400),
    ]

    def memory() -> float:
        """MB of the workers' own: how much of TensorFlow's files is mapped is the system's affair,
        and twice as much on one day as on another."""
        statuses = (Path(f"/proc/{worker}/status").read_text() for worker in server.children())
        return sum(int(each.split("RssAnon:")[1].split()[0]) for each in statuses) / 1024

    def ask_until(moment: float) -> Counter[tuple[int, int]]:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
        outcomes: Counter[tuple[int, int]] = Counter()
        while time.monotonic() < moment:
            for path, body, headers, wanted in requests:
                connection.request("POST", path, body, headers)
                response = connection.getresponse()
                response.read()
                outcomes[response.status, wanted] += 1
        return outcomes

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask_until, [time.monotonic() + seconds / 10] * 8))
        before = memory()
        outcomes = sum(pool.map(ask_until, [time.monotonic() + seconds] * 8), Counter())
    assert all(status == wanted for status, wanted in outcomes), outcomes
    print(f"{outcomes.total()} requests, {before:.0f} MB before, {memory():.0f} MB after")
    if seconds >= 600:  # sooner, memory that is kept for the next request still grows
        assert memory() - before < 20
