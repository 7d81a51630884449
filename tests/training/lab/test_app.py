"""Who may ask the lab for what."""

from __future__ import annotations

import re
from typing import Any

import pytest
from werkzeug.test import Client

from wardrobe.training.errors import TrainingError
from wardrobe.training.lab.app import create_app, listen
from wardrobe.training.lab.session import Sessions

TEXT = "name: a\ndata: xor\nmodel: {layers: [], head: {activation: sigmoid}}\n"


@pytest.fixture
def client() -> Client:
    return Client(create_app(Sessions("tensorflow")))


@pytest.fixture
def token(client: Client) -> str:
    found = re.search(r'name="token" content="(\S{32})"', client.get("/", base_url=HERE).text)
    assert found
    return found[1]


HERE = "http://127.0.0.1:8081"


def post(client: Client, token: str, body: Any, path: str = "/declaration", **given: Any) -> Any:
    headers = {"X-Lab-Token": token} | given.pop("headers", {})
    return client.post(path, json=body, headers=headers, base_url=given.get("base_url", HERE))


def test_the_page_asks_nothing_of_another_host(client: Client) -> None:
    page = client.get("/", base_url=HERE)
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    for name in ("lab.js", "drawing.js", "lab.css", "icon.svg"):
        text = client.get(f"/page/{name}", base_url=HERE).text
        assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text)


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example:8081", "10.0.0.1:8081"])
def test_another_host_name_is_refused(client: Client, host: str) -> None:
    for path in ("/", "/page/lab.js", "/choices"):
        assert client.get(path, base_url=f"http://{host}").status_code == 403


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1:9999"])
def test_another_sites_page_is_refused(client: Client, token: str, origin: str) -> None:
    answer = post(client, token, {"yaml": TEXT}, headers={"Origin": origin})
    assert answer.status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/choices"),
        ("GET", "/events"),
        ("POST", "/declaration"),
        ("POST", "/sessions/x"),
        ("GET", "/sessions/x/export.zip"),
    ],
)
def test_without_the_pages_token_nothing_is_answered(
    client: Client, method: str, path: str
) -> None:
    for sent in ({}, {"X-Lab-Token": "wrong"}, {"X-Lab-Token": "ü"}):
        answer = client.open(path, method=method, json={}, headers=sent, base_url=HERE)
        assert answer.status_code == 403


def test_a_declaration_is_checked_and_shown(client: Client, token: str) -> None:
    answer = post(
        client, token, {"yaml": TEXT + "seed: -1\n", "field": "epochs", "value": "7"}
    ).json
    assert answer["form"]["epochs"] == 7
    assert [error["line"] for error in answer["errors"]] == [6]
    assert answer["yaml"].splitlines()[5] == "seed: -1"


@pytest.mark.parametrize("body", [[], 1, {}, {"yaml": 3}, {"yaml": None}])
def test_a_body_of_another_form_is_refused_in_words(client: Client, token: str, body: Any) -> None:
    answer = post(client, token, body)
    assert answer.status_code == 400
    assert answer.json["error"]


def test_a_field_that_the_form_lacks_is_refused_in_words(client: Client, token: str) -> None:
    answer = post(client, token, {"yaml": TEXT, "field": "callbacks", "value": []}).json
    assert "no field 'callbacks'" in answer["refused"]
    assert answer["yaml"] == TEXT


def test_a_body_that_is_too_large_is_refused(client: Client, token: str) -> None:
    assert post(client, token, {"yaml": "a" * 200_000}).status_code == 413


def test_a_page_without_a_process_is_told_to_reload(client: Client, token: str) -> None:
    answer = post(client, token, {"do": "pause"}, "/sessions/gone")
    assert (answer.status_code, "reload" in answer.json["error"]) == (404, True)


@pytest.mark.parametrize(
    "asked",
    [
        {"do": "train", "yaml": "name: ["},
        {"do": "train", "yaml": TEXT, "seeds": 9},
        {"do": "train", "yaml": TEXT, "seeds": "1"},
        {"do": "rate", "value": -1},
        {"do": "rate", "value": "1"},
        {"do": "pace", "value": 1e9},
        {"do": "run", "value": "rm"},
        {},
    ],
)
def test_a_wrong_command_is_refused_before_it_reaches_the_process(
    token: str, client: Client, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Deaf:
        def send(self, command: Any) -> None:
            raise AssertionError(command)

    monkeypatch.setattr(Sessions, "get", lambda sessions, name: Deaf())
    assert post(client, token, asked, "/sessions/x").status_code == 400


def test_a_port_that_is_taken_is_told_in_words() -> None:
    sessions = Sessions("tensorflow")
    server = listen(sessions, 0)
    try:
        assert server.server_address[0] == "127.0.0.1"
        with pytest.raises(TrainingError, match="give another --port"):
            listen(sessions, server.port)
    finally:
        server.server_close()
