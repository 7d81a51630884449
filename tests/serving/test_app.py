from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wardrobe.serving.app import create_app
from wardrobe.serving.settings import Settings


def test_alive_and_ready(client) -> None:
    live, ready = client.get("/health/live"), client.get("/health/ready")
    assert (live.status_code, live.json) == (200, {"live": True})
    assert (ready.status_code, ready.json["ready"]) == (200, True)
    names = [(each["name"], each["version"], each["state"]) for each in ready.json["models"]]
    assert ("bands", 2, "available") in names


def test_without_a_model_it_lives_but_is_not_ready(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "net/1").mkdir(parents=True)
    client: Any = create_app(replace(settings, artifacts=(tmp_path,), model=None)).test_client()
    assert client.get("/health/live").status_code == 200
    ready = client.get("/health/ready")
    assert (ready.status_code, ready.json["ready"]) == (503, False)
    assert "saved_model.pb is missing" in ready.json["models"][0]["reason"]
    answer = client.post("/predict", data=b"x")
    assert answer.status_code == 503
    assert "no model" in answer.json["error"]


def test_settings_come_from_the_environment(
    good: Path, monkeypatch: pytest.MonkeyPatch, encode, band
) -> None:
    monkeypatch.setenv("WARDROBE_ARTIFACTS", str(good))
    monkeypatch.setenv("WARDROBE_MODEL", "plain")
    client: Any = create_app().test_client()
    answer = client.post("/predict", data=encode(band(2)))
    assert answer.json["predictions"][0]["model"] == "plain"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/nothing", 404), ("GET", "/predict", 405), ("POST", "/health/live", 405)],
)
def test_every_error_has_the_same_shape(client, method: str, path: str, status: int) -> None:
    response = client.open(path, method=method)
    assert response.status_code == status
    assert set(response.json) == {"error"}
    assert path in response.json["error"]
    assert ("Allow" in response.headers) == (status == 405)


def test_an_internal_error_is_logged_and_its_details_are_not_sent(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    app = create_app(settings)
    app.add_url_rule("/fault", "fault", lambda: str(1 / 0))
    response = app.test_client().get("/fault")
    assert response.status_code == 500
    assert response.json == {"error": "the server failed on this request; its log says why"}
    assert "ZeroDivisionError" in caplog.text


def test_the_page_needs_nothing_from_another_host(client) -> None:
    page = client.get("/")
    assert page.mimetype == "text/html"
    for path in ("/page/page.css", "/page/page.js", "/page/icon.svg"):
        assert path in page.text
        file = client.get(path)
        assert file.status_code == 200
        assert "//" not in file.text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")
