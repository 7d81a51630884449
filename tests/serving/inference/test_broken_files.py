"""Files that are broken in any way: reported, and nobody else's affair."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from wardrobe.serving.app import create_app
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.metrics import set_versions
from wardrobe.serving.settings import Settings


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sock(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"/proc/self/fd/{folder}/{path.name}")
    os.close(folder)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path)


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, 2**40)


def folder(path: Path) -> None:
    path.mkdir()


def forbidden(path: Path) -> None:
    path.write_text("{}")
    path.chmod(0)


def content(text: str | bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())

    write.__name__ = repr(text[:20])
    return write


THINGS = [fifo, sock, device, loop, huge, folder]
TEXTS = [
    content(""),
    content("[" * 100_000),
    content("[" * 900 + "]" * 900),
    content('{"a":' * 100_000),
    content(b"\xff\xfe"),
    content(b"\x00" * 100),
    content("1e999999"),
    content("9" * 10_000),
    content('"' + "x" * 5_000_000 + '"'),
    content("null"),
]
NOT_UTF_8 = os.fsdecode(b"caf\xe9")
SURROGATE = "\\ud800"


@pytest.fixture
def root(good: Path, tmp_path: Path) -> Path:
    """An artifact folder with a model `broken`, which is to become so, and a sound one."""
    shutil.copytree(good / "bands/1", tmp_path / "broken/1")
    shutil.copytree(good / "plain/7", tmp_path / "sound/1")
    return tmp_path


def check_that_others_are_served(root: Path) -> dict[str, Any]:
    """Load, refresh, and ask everything that lists models; returns what is told of `broken`."""
    app = create_app(Settings(artifacts=(root,), access_log=0))
    repository: Repository = app.extensions["repository"]
    repository.refresh()
    repository.refresh()
    statuses = repository.statuses()
    set_versions((each.artifact.name, each.artifact.version, each.state) for each in statuses)
    client: Any = app.test_client()
    for path in ("/health/ready", "/metrics", "/v2/models/sound/ready", "/v1/models/sound"):
        assert client.get(path).status_code == 200, path
    assert client.post("/v2/repository/index").status_code == 200
    ready = client.get("/health/ready").json["models"]
    return next((each for each in ready if each["name"] == "broken"), {})


@pytest.mark.parametrize("make", [*THINGS, *TEXTS], ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ["labels.json", "input.json", "uncertainty.json"])
def test_metadata(root: Path, name: str, make: Callable[[Path], None]) -> None:
    (root / "broken/1/assets.extra" / name).unlink(missing_ok=True)
    make(root / "broken/1/assets.extra" / name)
    told = check_that_others_are_served(root)
    assert told["state"] == "broken" or make.__name__ == "'null'"
    assert len(told.get("reason", "")) < 500


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("labels.json", json.dumps(["x"] * 9)[:-1] + f', "{SURROGATE}"]'),
        ("input.json", '{"kind": "image", "shape": %s}' % ("[" * 500 + "]" * 500)),
        ("input.json", '{"kind": "image", "shape": [28, 28], "ground": {"dark": 1}}'),
        ("input.json", '{"kind": "image", "shape": %s}' % ([28] * 100_000)),
    ],
)
def test_metadata_that_is_json_all_the_same(root: Path, name: str, text: str) -> None:
    (root / "broken/1/assets.extra" / name).write_text(text)
    told = check_that_others_are_served(root)
    assert told["state"] == "broken"
    assert len(told["reason"]) < 500


@pytest.mark.parametrize("make", [*THINGS, content("x")], ids=lambda make: make.__name__)
@pytest.mark.parametrize("name", ["saved_model.pb", "variables/variables.index"])
def test_the_network_itself(root: Path, name: str, make: Callable[[Path], None]) -> None:
    (root / "broken/1" / name).unlink()
    make(root / "broken/1" / name)
    assert check_that_others_are_served(root)["state"] == "broken"


@pytest.mark.parametrize("make", [*THINGS, *TEXTS[:-1]], ids=lambda make: make.__name__)
def test_a_policy(root: Path, make: Callable[[Path], None], caplog) -> None:
    make(root / "broken/serving.json")
    assert check_that_others_are_served(root)["state"] == "available"
    assert caplog.text.count("its previous content stays in effect") == 1


def test_labels_of_a_policy_that_are_no_text(root: Path) -> None:
    (root / "broken/serving.json").write_text(f'{{"labels": {{"{SURROGATE}": 1}}}}')
    assert check_that_others_are_served(root)["state"] == "available"


def test_names_that_are_not_utf_8(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copytree(root / "broken", root / NOT_UTF_8)
    assert check_that_others_are_served(root)["state"] == "available"
    assert "its name is not UTF-8; rename it" in caplog.text


def test_folders_that_are_none_or_lead_nowhere(root: Path) -> None:
    loop(root / "loop")
    loop(root / "broken/2")
    fifo(root / "pipe")
    fifo(root / "broken/3")
    (root / "gone").symlink_to(root / "nowhere")
    assert check_that_others_are_served(root)["state"] == "available"


@pytest.mark.skipif(os.geteuid() != 0, reason="another user's rights are tried, which takes root")
@pytest.mark.parametrize("what", ["", "1", "1/saved_model.pb", "1/assets.extra/labels.json"])
@pytest.mark.parametrize("mode", [0o000, 0o444])
def test_what_may_not_be_read(root: Path, what: str, mode: int) -> None:
    for path in [root, *root.parents]:
        if path.stat().st_mode & 0o777 == 0o700:  # as pytest makes its folders
            path.chmod(0o755)
    (root / "broken" / what).chmod(mode)
    os.seteuid(65534)
    try:
        check_that_others_are_served(root)
    finally:
        os.seteuid(0)
        (root / "broken" / what).chmod(0o755)


@pytest.mark.parametrize("exposed", ["", "broken", "broken/1", "broken/1/saved_model.pb"])
@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_nothing_is_loaded_from_where_everybody_can_write(
    root: Path, good: Path, exposed: str, mode: int
) -> None:
    (root / exposed).chmod(mode)
    repository = Repository([root, good])
    repository.load()
    told = {(each["name"], each["version"]): each for each in repository.describe()}
    assert told["broken", 1]["state"] == "broken"
    assert "everybody can write to" in told["broken", 1]["reason"]
    assert told["sound", 1]["state"] == ("available" if exposed else "broken")
    assert told["bands", 2]["state"] == "available"


def test_a_server_starts_beside_all_of_them(start, root: Path) -> None:
    fifo(root / "broken/serving.json")
    (root / "sound/serving.json").write_text("[" * 100_000)
    shutil.copytree(root / "broken/1", root / NOT_UTF_8 / "1")
    shutil.copytree(root / "broken/1", root / "pipe/1")
    (root / "pipe/1/variables/variables.index").unlink()
    fifo(root / "pipe/1/variables/variables.index")
    server = start([root], 1)
    assert "Traceback" not in server.log.read_text()
