"""Who may do what: keys, changes of the repository, pages of other origins, redirects."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wardrobe.serving.app import create_app
from wardrobe.serving.settings import Settings

SHOP = "https://shop.example"
UNLOAD = "/v2/repository/models/bands/unload"


@pytest.fixture
def service(good: Path, tmp_path: Path) -> Callable[..., Any]:
    """`service(setting=value…)`: a client of a service over `bands` alone."""
    shutil.copytree(good / "bands/1", tmp_path / "bands/1")

    def create(**settings: Any) -> Any:
        return create_app(Settings(artifacts=(tmp_path,), **settings)).test_client()

    return create


def test_the_repository_is_not_changed_unless_the_operator_allows_it(service) -> None:
    client = service()
    for path in (UNLOAD, UNLOAD.replace("unload", "load"), UNLOAD + "/"):
        answer = client.post(path, json={})
        assert answer.status_code == 403
        assert "WARDROBE_REPOSITORY_CHANGES=1" in answer.json["error"]
    assert client.get("/v2/models/bands/ready").status_code == 200


def test_with_a_key_a_change_needs_it(service) -> None:
    client = service(repository_changes=1, api_key="secret")
    assert client.post(UNLOAD, json={}).status_code == 401
    assert client.post(UNLOAD, headers={"X-API-Key": "secret"}).status_code == 200


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"Content-Type": "application/json"}),
        (200, {"User-Agent": "python-requests/2.34"}),
        (200, {"Origin": SHOP, "Content-Type": "application/json", "User-Agent": "Mozilla/5.0"}),
        (403, {"Origin": "https://evil.example"}),
        (403, {"Origin": "https://evil.example", "Content-Type": "application/json"}),
        (403, {"Origin": "http://localhost", "Content-Type": "application/json"}),
        (403, {"Origin": "null"}),
        (415, {"Content-Type": "text/plain"}),
        (415, {"Content-Type": "application/x-www-form-urlencoded"}),
        (415, {"Content-Type": "multipart/form-data; boundary=x"}),
        (415, {"User-Agent": "Mozilla/5.0 (X11; Linux x86_64)"}),
        (415, {"User-Agent": ""}),
    ],
)
def test_a_page_of_another_origin_cannot_change_the_repository(
    service, status: int, headers: dict[str, str]
) -> None:
    client = service(repository_changes=1, cors_origins=(SHOP, "*"))
    del client.environ_base["HTTP_USER_AGENT"]
    sent = {name: value for name, value in headers.items() if value}
    assert client.post(UNLOAD, data=b"{}", headers=sent).status_code == status
    assert client.get("/v2/models/bands/ready").status_code == (503 if status == 200 else 200)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (200, {"Authorization": "Bearer secret"}),
        (200, {"Authorization": "bearer secret"}),
        (200, {"Authorization": "BEARER  secret"}),
        (200, {"X-API-Key": "secret"}),
        (401, {"Authorization": "Basic secret"}),
        (401, {"Authorization": "Bearer"}),
        (401, {"Authorization": "Bearer other"}),
        (401, {"X-API-Key": "Secret"}),
        (401, {"X-API-Key": "secr\u00e9t"}),
        (401, {}),
    ],
)
def test_the_key(service, status: int, headers: dict[str, str]) -> None:
    answer = service(api_key="secret").get("/v2", headers=headers)
    assert answer.status_code == status
    challenge = answer.headers.get("WWW-Authenticate")
    assert challenge == ('Bearer realm="wardrobe service"' if status == 401 else None)


def test_no_request_is_redirected_to_the_host_that_it_names(client) -> None:
    for rule in client.application.url_map.iter_rules():
        path = rule.rule
        for converter in ("<name:name>", "<name>", "<name:label>", "<path:rest>"):
            path = path.replace(converter, "bands")
        for converter in ("<version:version>", "<version>"):
            path = path.replace(converter, "1")
        path = path.replace("<path:filename>", "page.js")
        for variant in (path, f"{path}/", f"{path}//", f"/{path}", path.replace("/", "//")):
            for method in ("GET", "POST", "OPTIONS"):
                answer = client.open(
                    method=method,
                    environ_overrides={"PATH_INFO": variant, "HTTP_HOST": "evil.example"},
                )
                assert answer.status_code // 100 != 3, variant
                assert "evil.example" not in str(answer.headers) + answer.text, variant


def test_readiness_does_not_say_where_the_files_are(
    settings: Settings, flawed: Path, good: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "a secret place"
    for number, source in enumerate(("bands/3", "bands/4", "bands/5"), start=1):
        shutil.copytree(flawed / source, secret / f"net/{number}")
    shutil.copytree(good / "bands/1", secret / "net/9")
    (secret / "net/9/assets.extra/labels.json").unlink()
    (secret / "net/9/assets.extra/labels.json").mkdir()
    app = create_app(replace(settings, artifacts=(secret,), model=None))
    ready = app.test_client().get("/health/ready", headers={"Accept-Encoding": "identity"})
    assert ready.text.count('"broken"') >= 3
    assert "secret" not in ready.text
    assert str(tmp_path) not in ready.text
