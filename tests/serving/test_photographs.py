"""Photographs have a network of their own, and what none of its classes is, a name."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import wardrobe
from wardrobe.serving.app import create_app
from wardrobe.serving.errors import ArtifactError
from wardrobe.serving.images import PREPARATION
from wardrobe.serving.inference import artifacts
from wardrobe.serving.inference.model import load
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.settings import Settings

LABELS = [f"band {index}" for index in range(10)]
INPUT = {"kind": "image", "shape": [28, 28], "range": [0, 255], "ground": "dark"}
UNCERTAINTY = {"below": 0.71, "unknown": "other"}


@pytest.fixture(scope="module")
def folder(good: Path, export, write_extras, tmp_path_factory):
    """Three networks that know ten bands. `bands` is the default; `mlp-photos` says of everything
    that it is none of them, most like band 3; `whole` takes whole pictures."""
    folder = tmp_path_factory.mktemp("with-photographs")
    shutil.copytree(good / "bands/2", folder / "bands/1")
    shutil.copytree(good / "bands/2", folder / "whole/1")
    write_extras(folder / "whole/1", input=INPUT | {"prepare": "resize"})
    export(folder / "mlp-photos/1", knows_nothing(), "probabilities", explain=True)
    write_extras(
        folder / "mlp-photos/1", labels=[*LABELS, "other"], input=INPUT, uncertainty=UNCERTAINTY
    )
    return folder


def knows_nothing() -> Any:
    """A network of eleven classes that gives all pictures the last, and then class 3."""
    import keras

    dense = keras.layers.Dense(11, activation="softmax")
    network = keras.Sequential([keras.Input((28, 28)), keras.layers.Flatten(), dense])
    bias = np.zeros(11, np.float32)
    bias[10], bias[3] = 4, 2
    dense.set_weights([np.zeros((784, 11), np.float32), bias])
    return network


@pytest.fixture
def changed(folder: Path, tmp_path: Path) -> Callable[..., Path]:
    """`changed(FILE=content…)`: a copy of the folder with these files of JSON."""

    def change(files: dict[str, Any]) -> Path:
        shutil.copytree(folder, tmp_path / "changed")
        for name, content in files.items():
            (tmp_path / "changed" / name).write_text(json.dumps(content))
        return tmp_path / "changed"

    return change


@pytest.fixture(scope="module")
def photograph(encode):
    """Something blue on floorboards."""
    dice = np.random.default_rng(1)
    floor = np.array([170, 120, 70]) + dice.normal(0, 20, (160, 120, 3))
    floor[40:120, 30:90] = np.array([40, 60, 130]) + dice.normal(0, 8, (80, 60, 3))
    return encode(floor.clip(0, 255).astype(np.uint8), "JPEG", quality=90)


@pytest.fixture(scope="module")
def product(encode, band):
    """Band 6 on white, larger."""
    garment = band(6)
    garment[[0, -1], 4:24] = 100
    return encode(255 - garment.repeat(5, axis=0).repeat(5, axis=1))


@pytest.fixture(scope="module")
def ask(folder: Path):
    """`ask(pictures, query)`: the predictions of `POST /predict`."""
    client = create_app(Settings(artifacts=(folder,))).test_client()

    def post(pictures: list[bytes], query: str = "", client: Any = client) -> list[dict[str, Any]]:
        import io

        form = {"file": [(io.BytesIO(data), f"{at}.png") for at, data in enumerate(pictures)]}
        response = client.post(f"/predict?{query}", data=form)
        assert response.status_code == 200, response.json
        answers: list[dict[str, Any]] = response.json["predictions"]
        return answers

    return post


def answered_by(answers: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["prepared"], each["model"]) for each in answers]


def test_each_picture_is_answered_by_the_network_for_its_kind(
    ask, product, photograph, encode, band
) -> None:
    answers = ask([photograph, encode(band(2)), b"none", product, photograph])
    assert answers.pop(2)["status"] == 415
    assert answered_by(answers) == [
        ("photograph", "mlp-photos"),
        ("as is", "bands"),
        ("plain ground", "bands"),
        ("photograph", "mlp-photos"),
    ]
    assert [each["label"] for each in answers] == ["other", "band 2", "band 6", "other"]
    assert [each["file"] for each in answers] == ["0.png", "1.png", "3.png", "4.png"]


def test_pictures_in_json_take_the_same_way(folder: Path, product, photograph) -> None:
    import base64

    images = [base64.b64encode(data).decode() for data in (product, photograph)]
    client = create_app(Settings(artifacts=(folder,))).test_client()
    answers = client.post("/predict", json={"images": images}).get_json()["predictions"]
    assert answered_by(answers) == [("plain ground", "bands"), ("photograph", "mlp-photos")]


@pytest.mark.parametrize(
    ("query", "model"),
    [("model=bands", "bands"), ("model=mlp-photos", "mlp-photos"), ("version=1", "bands")],
)
def test_who_is_asked_for_answers_alone(ask, product, photograph, query: str, model: str) -> None:
    answers = ask([product, photograph], query)
    assert answered_by(answers) == [("plain ground", model), ("photograph", model)]


def test_what_is_unknown_is_an_uncertain_answer_with_the_likeliest_known_class(
    ask, photograph
) -> None:
    (answer,) = ask([photograph], "top=1&explain=1")
    assert (answer["label"], answer["class_index"], answer["uncertain"]) == ("other", 10, True)
    assert answer["probability"] > UNCERTAINTY["below"]
    assert answer["most_like"] == {
        "label": "band 3", "class_index": 3, "probability": pytest.approx(0.104, abs=1e-3),
    }  # fmt: skip
    assert [each["label"] for each in answer["top"]] == ["other"]
    # what the network for photographs saw, and its own attribution
    np.testing.assert_allclose(answer["evidence"], np.array(answer["input"]) / 255, atol=5e-5)


def test_only_the_unknown_is_said_to_be_most_like_something(ask, product) -> None:
    (answer,) = ask([product])
    assert "most_like" not in answer


def test_counted_are_the_answers_of_the_network_that_gave_them(folder: Path, photograph) -> None:
    client = create_app(Settings(artifacts=(folder,))).test_client()

    def count() -> float:
        lines = client.get("/metrics").text.splitlines()
        wanted = 'wardrobe_predictions_total{label="other",model="mlp-photos",version="1"}'
        return next(float(line.split()[-1]) for line in lines if line.startswith(wanted))

    before = count()
    client.post("/predict", data=photograph, content_type="image/jpeg")
    assert count() == before + 1


def companion(folder: Path, model: str | None = None) -> str | None:
    repository = Repository([folder])
    found = repository.for_photographs(repository.get(model))
    return found.artifact.name if found else None


def test_it_is_mlp_photos_for_networks_of_the_same_garments_only(folder: Path, changed) -> None:
    assert companion(folder) == "mlp-photos"
    assert companion(folder, "whole") is None
    assert companion(folder, "mlp-photos") is None
    own_garments = changed({"bands/1/assets.extra/labels.json": [*"abcdefghij"]})
    assert companion(own_garments) is None


@pytest.mark.parametrize(
    ("of_the_artifact", "of_the_operator", "expected"),
    [
        ("whole", None, "whole"),
        (False, None, None),
        ("whole", "mlp-photos", "mlp-photos"),
        ("whole", False, None),
        (False, "whole", "whole"),
        ("nobody", None, None),
    ],
)
def test_the_artifact_may_name_another_and_serving_json_overrules_it(
    changed, of_the_artifact: object, of_the_operator: object, expected: str | None
) -> None:
    declared = INPUT | {"photographs": of_the_artifact}
    files: dict[str, Any] = {"bands/1/assets.extra/input.json": declared}
    if of_the_operator is not None:
        files["bands/serving.json"] = {"photographs": of_the_operator}
    assert companion(changed(files)) == expected


def test_a_companion_prepares_photographs_in_its_own_way(changed, ask, photograph) -> None:
    own = changed({"bands/serving.json": {"photographs": "whole"}})
    client = create_app(Settings(artifacts=(own,))).test_client()
    (answer,) = ask([photograph], "explain=1", client)
    assert (answer["model"], answer["prepared"]) == ("whole", "photograph")
    assert min(map(min, answer["input"])) > 0  # floor and all


def test_a_missing_companion_is_reported_once_and_replaced(
    changed, ask, photograph, caplog: pytest.LogCaptureFixture
) -> None:
    own = changed({"bands/serving.json": {"photographs": "a-lost-one"}})
    client = create_app(Settings(artifacts=(own,))).test_client()
    answers = ask([photograph, photograph], "", client)
    assert answered_by(answers) == [("photograph", "bands")] * 2
    assert caplog.text.count("'a-lost-one' should answer photographs for bands") == 1


@pytest.mark.parametrize(
    ("trained_with", "warnings"),
    [({"preparation": PREPARATION + 1}, 1), ({"preparation": PREPARATION}, 0), ({}, 0)],
)
def test_a_network_trained_with_another_version_of_the_preparation_is_served_with_a_warning(
    changed, trained_with: dict[str, int], warnings: int, caplog: pytest.LogCaptureFixture
) -> None:
    own = changed({"mlp-photos/1/assets.extra/input.json": INPUT | trained_with})
    for _ in range(2):
        assert Repository([own]).get("mlp-photos").picture is not None
    said = f"mlp-photos/1 was trained with version {PREPARATION + 1} of the preparation of pictures"
    assert caplog.text.count(said) == warnings


def test_it_is_the_default_only_where_nothing_else_takes_pictures(changed) -> None:
    own = changed({})
    for name in ("aa-table", "zebra"):
        shutil.copytree(own / "bands/1", own / name / "1")
    shutil.rmtree(own / "bands")
    shutil.rmtree(own / "aa-table")
    shutil.rmtree(own / "whole")
    assert Repository([own]).get().artifact.name == "zebra"
    shutil.rmtree(own / "zebra")
    assert Repository([own]).get().artifact.name == "mlp-photos"


@pytest.mark.parametrize("wrong", [7, "", ["whole"], True, {"name": "whole"}])
def test_a_companion_is_a_name_or_false(changed, wrong: object) -> None:
    own = changed({"bands/1/assets.extra/input.json": INPUT | {"photographs": wrong}})
    with pytest.raises(ArtifactError, match=r"photographs is .*must be the name of a model, or"):
        artifacts.read_extras(artifacts.at(own / "bands/1"))


@pytest.mark.parametrize("unknown", [7, "hat"])
def test_the_unknown_is_one_of_the_classes(changed, unknown: object) -> None:
    file = "mlp-photos/1/assets.extra/uncertainty.json"
    own = changed({file: {"below": 0.5, "unknown": unknown}})
    with pytest.raises(ArtifactError, match=r"uncertainty\.json: unknown is .*class"):
        load(artifacts.at(own / "mlp-photos/1"))


def test_the_python_api_answers_as_the_service_does(folder: Path, product, photograph) -> None:
    pictures = [product, photograph]
    default = wardrobe.load(artifacts=[folder])
    assert default.for_photographs is not None
    assert answered_by(default.classify(pictures)) == [
        ("plain ground", "bands"),
        ("photograph", "mlp-photos"),
    ]
    for named in ("bands", folder / "bands/1"):
        alone = wardrobe.load(named, [folder])
        assert alone.for_photographs is None
        assert [each["model"] for each in alone.classify(pictures)] == ["bands", "bands"]


def test_the_commands_do_so_too(invoke, folder: Path, product, photograph, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(product)
    (tmp_path / "b.jpg").write_bytes(photograph)
    said = invoke("predict", tmp_path, "--artifacts", folder).stdout
    assert "b.jpg: other, none of the known classes, most like band 3" in said
    answers = tmp_path / "answers.csv"
    invoke("classify", tmp_path, "--to", answers, "--artifacts", folder, "--jobs", "1")
    with answers.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [(row["label"], row["model"], row["prepared"]) for row in rows] == [
        ("band 6", "bands", "plain ground"),
        ("other", "mlp-photos", "photograph"),
    ]


def test_packed_for_a_cluster_both_travel(folder: Path, product, photograph) -> None:
    from wardrobe.serving.images.classify import Upload
    from wardrobe.serving.offline.classifier import packed, unpacked

    classifier = unpacked(packed(folder / "bands/1", folder / "mlp-photos/1"))
    answers = classifier.answer([Upload("a", product), Upload("b", photograph)])
    assert [each["model"] for each in answers] == ["bands", "mlp-photos"]


def test_a_transparent_ground_is_a_plain_one(ask, encode) -> None:
    cut_out = Image.new("LA", (90, 90), (0, 0))
    cut_out.paste((60, 255), (20, 20, 70, 70))
    (answer,) = ask([encode(cut_out)])
    assert answer["prepared"] == "plain ground"
