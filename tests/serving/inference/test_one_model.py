"""A folder that is one model, as KServe mounts it: its versions, or one SavedModel."""

import shutil
from pathlib import Path

import pytest

from wardrobe.serving.app import create_app
from wardrobe.serving.inference.artifacts import find, passed_over
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.settings import Settings


@pytest.fixture(params=["versions", "one version", "itself"])
def folder(request: pytest.FixtureRequest, good: Path, tmp_path: Path) -> Path:
    mounted = tmp_path / "models"
    if request.param == "itself":
        shutil.copytree(good / "bands/1", mounted)
    else:
        shutil.copytree(good / "bands", mounted)
    if request.param == "one version":
        shutil.rmtree(mounted / "2")
    return mounted


def test_it_is_named_by_the_operator_or_by_its_folder(folder: Path, encode, band) -> None:
    for settings, name in (
        (Settings(artifacts=(folder,), model="boots"), "boots"),
        (Settings(artifacts=(folder,)), "models"),
    ):
        client = create_app(settings).test_client()
        (answer,) = client.post("/predict", data=encode(band(3))).get_json()["predictions"]
        assert (answer["label"], answer["model"]) == ("band 3", name)
        assert client.get(f"/v2/models/{name}/ready").status_code == 200
        assert client.get("/v1/models").json == {"models": [name]}
        assert client.get("/health/ready").status_code == 200


def test_its_policy_is_kept_in_it(folder: Path) -> None:
    repository = Repository([folder], "boots")
    repository.load()
    repository.set_loaded("boots", False)
    assert (folder / "serving.json").exists()
    assert not repository.ready
    repository.set_loaded("boots", True)
    assert repository.ready


def test_what_is_passed_over_in_it_is_named(good: Path, tmp_path: Path) -> None:
    shutil.copytree(good / "bands", tmp_path / "models")
    shutil.copytree(good / "bands/1", tmp_path / "models/v7")
    (message,) = passed_over(tmp_path / "models")
    assert f"for example to {tmp_path}/models/7" in message


def test_a_folder_of_models_is_no_model_because_one_is_misplaced(
    good: Path, tmp_path: Path
) -> None:
    shutil.copytree(good / "bands/1", tmp_path / "shop/1")
    shutil.copytree(good / "bands", tmp_path / "shop/bands")
    assert {artifact.name for artifact in find([tmp_path / "shop"]) if artifact.version == 2} == {
        "bands"
    }
    assert "is the folder of one model" in passed_over(tmp_path / "shop")[0]
