"""Artifact folders that change under a running service."""

import json
import os
import shutil
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.error import HTTPError

import numpy as np
import pytest

from wardrobe.serving.app import create_app
from wardrobe.serving.errors import LabelNotFoundError, ModelNotFoundError
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.inference.version_policy import write_loaded
from wardrobe.serving.settings import Settings


@pytest.fixture
def copy(good: Path, tmp_path: Path) -> Callable[..., Path]:
    """`copy(version)`: one more version of `bands` in an own artifact folder, which it returns."""

    def run(version: int, into: str = "bands") -> Path:
        shutil.copytree(good / "bands/1", tmp_path / into / str(version))
        return tmp_path

    return run


def served(repository: Repository) -> list[int]:
    statuses = repository.statuses("bands")
    return [each.artifact.version for each in statuses if each.state == "available"]


def settle(repository: Repository) -> None:
    """Two looks: at the first, new files may still be being written."""
    repository.refresh()
    repository.refresh()


def test_a_new_version_is_served_once_it_is_complete(copy) -> None:
    repository = Repository([copy(1)])
    assert repository.get("bands").artifact.version == 1
    copy(2)
    repository.refresh()
    assert repository.get("bands").artifact.version == 1
    repository.refresh()
    assert repository.get("bands").artifact.version == 2


def test_a_request_finishes_with_the_version_it_started_with(copy) -> None:
    folder = copy(1)
    repository = Repository([folder])
    model = repository.get("bands")
    copy(2)
    shutil.rmtree(folder / "bands/1")
    settle(repository)
    assert served(repository) == [2]
    assert model.predict(np.zeros((1, 28, 28), np.float32)).shape == (1, 10)


def test_a_broken_version_is_not_served_until_it_is_repaired(copy, good: Path) -> None:
    folder = copy(1)
    repository = Repository([folder])
    repository.load()
    (folder / "bands/2").mkdir()
    shutil.copy(good / "bands/1/saved_model.pb", folder / "bands/2")
    settle(repository)
    assert repository.get("bands").artifact.version == 1
    newest = repository.statuses("bands")[0]
    assert (newest.artifact.version, newest.state) == (2, "broken")
    assert "TensorFlow cannot load it" in newest.reason
    shutil.copytree(good / "bands/1", folder / "bands/2", dirs_exist_ok=True)
    settle(repository)
    assert repository.get("bands").artifact.version == 2


def test_a_loaded_version_is_still_served_when_its_files_break(copy) -> None:
    folder = copy(1)
    repository = Repository([folder])
    repository.load()
    (folder / "bands/1/saved_model.pb").write_bytes(b"x")
    settle(repository)
    assert repository.get("bands").artifact.version == 1
    assert "TensorFlow cannot load it" in repository.statuses("bands")[0].reason


def test_models_are_still_served_while_the_folder_is_out_of_reach(copy) -> None:
    folder = copy(1)
    repository = Repository([folder])
    repository.load()
    away = folder.with_name("away")
    folder.rename(away)
    settle(repository)
    assert repository.ready
    away.rename(folder)
    shutil.rmtree(folder / "bands")
    settle(repository)
    assert not repository.ready
    with pytest.raises(ModelNotFoundError):
        repository.get("bands")


def test_a_version_that_hides_another_takes_over_once_it_has_answered(
    good: Path, copy, tmp_path: Path
) -> None:
    mine = tmp_path / "mine"
    repository = Repository([mine, copy(1)])
    repository.load()
    mine.mkdir()
    shipped = repository.get("bands", 1)
    shutil.copytree(good / "bands/1", mine / "bands/1")
    (mine / "bands/1/saved_model.pb").rename(mine / "kept")
    settle(repository)  # half-copied
    assert repository.get("bands", 1) is shipped
    (mine / "kept").rename(mine / "bands/1/saved_model.pb")
    repository.refresh()
    assert repository.get("bands", 1) is shipped
    repository.refresh()
    assert repository.get("bands", 1).artifact.folder == mine / "bands/1"
    assert served(repository) == [1]


def test_after_a_restart_the_hidden_version_answers_for_a_broken_one(copy, tmp_path: Path) -> None:
    folder = copy(1)
    (tmp_path / "mine/bands/1").mkdir(parents=True)
    repository = Repository([tmp_path / "mine", folder])
    assert repository.get("bands").artifact.folder == folder / "bands/1"
    (told,) = repository.describe()
    assert told["state"] == "available"
    assert "saved_model.pb is missing" in told["reason"]


def test_a_version_that_moves_to_another_folder_is_served_meanwhile(copy, tmp_path: Path) -> None:
    folder = copy(1)
    (tmp_path / "mine/bands").mkdir(parents=True)
    repository = Repository([tmp_path / "mine", folder])
    repository.load()
    (folder / "bands/1").rename(tmp_path / "mine/bands/1")
    repository.refresh()
    assert repository.get("bands", 1).artifact.folder == folder / "bands/1"
    repository.refresh()
    assert repository.get("bands", 1).artifact.folder == tmp_path / "mine/bands/1"


def test_the_last_version_is_served_until_its_successor_has_answered(copy) -> None:
    folder = copy(1)
    repository = Repository([folder])
    repository.load()
    shutil.rmtree(folder / "bands/1")
    copy(2)
    (folder / "bands/2/saved_model.pb").rename(folder / "kept")
    settle(repository)
    assert repository.get("bands").artifact.version == 1
    assert served(repository) == [1]
    (folder / "kept").rename(folder / "bands/2/saved_model.pb")
    settle(repository)
    assert served(repository) == [2]


@pytest.mark.parametrize(
    ("policy", "versions"),
    [
        ({}, [4, 3]),
        ({"versions": {"latest": 1}}, [4]),
        ({"versions": {"latest": 1}, "labels": {"stable": 2}}, [4, 2]),
        ({"versions": "all"}, [4, 3, 2, 1]),
        ({"versions": [1, 3]}, [3, 1]),
        ({"loaded": False}, []),
        ({"versions": "some"}, [4, 3]),
        ({"labels": 3}, [4, 3]),
        ([], [4, 3]),
    ],
)
def test_the_policy_decides_which_versions_are_served(
    copy, policy: Any, versions: list[int]
) -> None:
    for version in (1, 2, 3, 4):
        folder = copy(version)
    (folder / "bands/serving.json").write_text(json.dumps(policy))
    repository = Repository([folder])
    repository.load()
    assert served(repository) == versions


def test_labels_follow_the_file_and_survive_a_restart(copy) -> None:
    copy(1)
    folder = copy(2)
    file = folder / "bands/serving.json"
    file.write_text('{"labels": {"stable": 1, "canary": 2}}')
    repository = Repository([folder])
    assert repository.get("bands", label="stable").artifact.version == 1
    assert repository.get("bands", label="canary").artifact.version == 2
    with pytest.raises(LabelNotFoundError, match="Unrecognized servable version label: old"):
        repository.get("bands", label="old")
    file.write_text('{"labels": {"stable": 2}}')
    repository.refresh()
    assert repository.get("bands", label="stable").artifact.version == 2
    file.write_text('{"labels": ')
    repository.refresh()
    assert repository.get("bands", label="stable").artifact.version == 2
    file.write_text('{"labels": {"stable": 2}}')
    assert Repository([folder]).get("bands", label="stable").artifact.version == 2


def test_a_policy_is_found_beside_any_version_and_kept_when_a_new_one_comes(
    good: Path, copy, tmp_path: Path
) -> None:
    shipped, mine = copy(1), tmp_path / "mine"
    (shipped / "bands/serving.json").write_text('{"labels": {"stable": 1}}')
    mine.mkdir()
    repository = Repository([mine, shipped])
    repository.load()
    shutil.copytree(good / "bands/1", mine / "bands/2")
    settle(repository)
    assert repository.get("bands", label="stable").artifact.version == 1
    repository.set_loaded("bands", False)
    assert not (mine / "bands/serving.json").exists()
    content = json.loads((shipped / "bands/serving.json").read_text())
    assert content == {"labels": {"stable": 1}, "loaded": False}


def in_place(file: Path, text: str) -> None:
    file.write_text(text)


def by_renaming(file: Path, text: str) -> None:
    new = file.with_name(f"new-{threading.get_ident()}")
    new.write_text(text)
    new.replace(file)


@pytest.mark.parametrize("write", [in_place, by_renaming])
def test_what_an_operator_writes_while_a_model_is_loaded_is_kept(copy, write) -> None:
    folder = copy(1)
    file = folder / "bands/serving.json"
    file.write_text('{"labels": {"round": 1}}')
    with ThreadPoolExecutor(3) as pool:
        for number in range(2, 42):
            loads = [pool.submit(write_loaded, folder / "bands", True) for _ in range(2)]
            time.sleep(number % 10 / 5000)
            write(file, json.dumps({"labels": {"round": number}}))
            for each in loads:
                each.result()
            assert json.loads(file.read_text())["labels"] == {"round": number}
    assert [path.name for path in (folder / "bands").iterdir() if path.name[0] == "."] == []


@pytest.fixture
def read_only(good: Path) -> Iterator[Path]:
    """An artifact folder that this process may read, but not write; not even if it is root."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(good / "bands", folder / "bands")
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o555)
        user = os.geteuid()
        if user == 0:
            os.seteuid(65534)
        yield folder
        os.seteuid(user)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o755)


def test_a_policy_that_cannot_be_written_is_an_error_that_says_what_to_do(read_only: Path) -> None:
    client = create_app(Settings(artifacts=(read_only,), repository_changes=1)).test_client()
    answer = client.post("/v2/repository/models/bands/unload")
    assert answer.status_code == 500
    error = answer.get_json()["error"]
    assert f"{read_only}/bands/serving.json cannot be written (Permission denied)" in error
    assert 'write {"loaded": false} into it yourself' in error
    assert client.get("/v2/models/bands/ready").status_code == 200


def test_every_worker_reloads_while_clients_are_answered(start, copy, encode, band) -> None:
    server = start([copy(1)], REPOSITORY_CHANGES="1")
    picture = encode(band(6))

    def version(_: int) -> int:
        with urllib.request.urlopen(f"{server.url}/predict", picture, timeout=30) as response:
            answer: int = json.load(response)["predictions"][0]["version"]
            return answer

    copy(2)
    deadline = time.monotonic() + 30
    with ThreadPoolExecutor(4) as pool:
        while set(pool.map(version, range(20))) != {2}:
            assert time.monotonic() < deadline
    assert "Traceback" not in server.log.read_text()
    request = urllib.request.Request(
        f"{server.url}/v2/repository/models/bands/unload", method="POST"
    )
    urllib.request.urlopen(request, timeout=30).close()
    time.sleep(2.5)
    for _ in range(10):
        with pytest.raises(HTTPError, match="503"):
            urllib.request.urlopen(f"{server.url}/v2/models/bands/ready", timeout=30)


@pytest.mark.slow
def test_a_hundred_reloads_do_not_grow_memory(copy) -> None:
    folder = copy(1)
    repository = Repository([folder], latest=1)
    repository.load()
    resident = []
    for version in range(2, 122):
        copy(version)
        settle(repository)
        assert served(repository) == [version]
        shutil.rmtree(folder / f"bands/{version - 1}")
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        resident.append(pages * 4096 / 2**20)
    assert resident[-1] - resident[19] < 20, resident
