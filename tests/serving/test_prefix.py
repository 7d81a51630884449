"""The service behind a path prefix, whether or not the proxy takes it off."""

import io
import re
from dataclasses import replace
from typing import Any
from urllib.parse import urljoin

import pytest
from werkzeug.middleware.http_proxy import ProxyMiddleware
from werkzeug.test import Client
from werkzeug.wrappers import Response

from wardrobe.serving.app import create_app
from wardrobe.serving.errors import SettingsError
from wardrobe.serving.settings import Settings

PREFIX = "/api/wardrobe"


def nothing(environ: Any, start_response: Any) -> Any:
    return Response(status=404)(environ, start_response)


@pytest.fixture(params=["taken off", "passed on"])
def behind(request: pytest.FixtureRequest, settings: Settings, server) -> Any:
    """A client of the service behind a proxy."""
    if request.param == "passed on":
        return create_app(replace(settings, prefix=f"{PREFIX}/")).test_client()
    target = {"target": server.url, "remove_prefix": True}
    return Client(ProxyMiddleware(nothing, {f"{PREFIX}/": target}))


def test_the_page_finds_everything_it_names(behind) -> None:
    page = behind.get(f"{PREFIX}/")
    assert page.mimetype == "text/html"
    script = behind.get(f"{PREFIX}/page/page.js").text
    named = re.findall(r'(?:href|src)="([^"]+)"', page.text)
    named += [each.split("?")[0] for each in re.findall(r'fetch\(["`]([^"`]+)', script)]
    assert len(named) > 5
    for address in named:
        found = behind.get(urljoin(f"{PREFIX}/", address))
        assert found.status_code == (405 if address.endswith("predict") else 200), address


def test_every_protocol_answers(behind, encode, band) -> None:
    form = {"file": (io.BytesIO(encode(band(3))), "a.png")}
    answer = behind.post(f"{PREFIX}/predict?model=bands", data=form)
    assert answer.json["predictions"][0]["label"] == "band 3"
    for path in ("/v1/models/bands", "/v2/models/bands", "/v2", "/health/ready", "/openapi.json"):
        assert behind.get(PREFIX + path).status_code == 200


def test_paths_without_the_prefix_are_answered_too(settings: Settings) -> None:
    client: Any = create_app(replace(settings, prefix=PREFIX)).test_client()
    assert client.get("/health/live").status_code == 200
    assert client.get("/api/wardrobes/health/live").status_code == 404


def test_the_bare_prefix_leads_to_the_page_on_the_same_host(settings: Settings) -> None:
    client: Any = create_app(replace(settings, prefix=PREFIX)).test_client()
    answer = client.get(PREFIX, headers={"Host": "elsewhere.example"})
    assert (answer.status_code, answer.headers["Location"]) == (308, "wardrobe/")


@pytest.mark.parametrize("prefix", ["wardrobe", "//evil.example", "/a b", "/"])
def test_a_prefix_is_a_path(prefix: str) -> None:
    with pytest.raises(SettingsError, match="a path such as /api/wardrobe"):
        Settings(prefix=prefix)
