"""What a network is trained on own pictures to answer, the service answers to the same files."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.conftest import keras_and_temperature
from wardrobe import api
from wardrobe.models.schema.declaration import Data
from wardrobe.serving.app import create_app
from wardrobe.serving.images import PREPARATION
from wardrobe.serving.settings import Settings
from wardrobe.training.data import DataSet, image_folder
from wardrobe.training.data.declarations import load_with_data
from wardrobe.training.data.listing import list_pictures
from wardrobe.training.train import TrainedRun, train

FORMATS = ("png", "jpg", "webp", "gif", "bmp")
COLOURS = {"cup": (200, 40, 30), "plate": (30, 60, 220), "spoon": (240, 240, 90)}


def photograph(colour: tuple[int, int, int], random: np.random.Generator, size: Any) -> Image.Image:
    """A box of a colour somewhere on a light or dark ground, under noise."""
    width, height = size
    ground = int(random.choice([15, 130, 245]))
    pixels = np.full((height, width, 3), ground) + random.integers(-4, 5, (height, width, 3))
    top, left = height // 4 + random.integers(3), width // 5 + random.integers(3)
    pixels[top : top + height // 2, left : left + width // 2] = colour
    return Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six pictures of each of three classes in mixed sizes, formats, modes and orientations."""
    random = np.random.default_rng(3)
    folder = tmp_path_factory.mktemp("own") / "photos"
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for index in range(8):
            kind = FORMATS[index % len(FORMATS)]
            size = [(40, 30), (31, 57), (28, 28), (500, 300)][index % 4]
            picture = photograph(colour, random, size)
            if index == 5:
                picture.putalpha(Image.new("L", picture.size, 128))
            if index == 6:
                picture = picture.convert("CMYK")
                kind = "jpg"
            exif = Image.Exif()
            exif[0x0112] = 1 + index
            picture.save(folder / name / f"{index}.{kind}", exif=exif)
    return folder


@pytest.fixture(scope="module")
def even(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(4)
    folder = tmp_path_factory.mktemp("own") / "even"
    for name, colour in COLOURS.items():
        (folder / name).mkdir(parents=True)
        for index in range(6):
            photograph(colour, random, (24, 20)).save(folder / name / f"{index}.png")
    return folder


@pytest.fixture(scope="module")
def folders(photos: Path, even: Path) -> dict[str, Path]:
    return {"photos": photos, "even": even}


DECLARED = """\
name: own
data: {data}
model: {{layers: [{{Dense: {{units: 8, activation: relu}}}}]}}
training: {{epochs: 2, batch_size: 4, validation: 0.2}}
"""


def trained(folder: Path, data: str, text: str = DECLARED) -> tuple[TrainedRun, DataSet]:
    file = folder / "own.yaml"
    file.write_text(text.format(data=data))
    declaration, examples = load_with_data(str(file))
    return train(
        declaration, examples, runs=folder / "runs", artifacts=folder / "artifacts", command=""
    ), examples


def answers(artifacts: Path, files: list[Path], labels: tuple[str, ...]) -> Any:
    """The probabilities float [N, classes] with which `POST /predict` answers files."""
    client = create_app(Settings(artifacts=(artifacts,), port=0)).test_client()
    form = {"file": [(io.BytesIO(file.read_bytes()), file.name) for file in files]}
    answer = client.post("/predict?top=99", data=form)
    assert answer.status_code == 200, answer.text
    rows = []
    for one in json.loads(answer.text)["predictions"]:
        by_label = {each["label"]: each["probability"] for each in one["top"]}
        rows.append([by_label[label] for label in labels])
    return np.array(rows)


MIXED = (
    "{size: [28, 28]}",
    "{size: [20, 33], colour: rgb}",
    "{size: [28, 28], prepare: pad, colour: rgb}",
    "{size: [17, 40], prepare: pad}",
    "{size: [28, 28], prepare: garment}",
)
ALIKE = (
    "{}",
    "{colour: rgb}",
    "{prepare: none}",
    "{size: [20, 24], prepare: none, colour: rgb}",
    "{prepare: garment}",
)


@pytest.mark.parametrize(
    ("kind", "how"), [*(("photos", how) for how in MIXED), *(("even", how) for how in ALIKE)]
)
def test_training_files_get_the_answers_that_training_measured(kind, how, folders, tmp_path):
    run, _ = trained(tmp_path, f"{{name: {folders[kind]}, {how[1:]}")
    wanted = Data.model_validate(yaml.safe_load(how) | {"name": str(folders[kind])})
    listing = list_pictures(folders[kind])
    collection = image_folder.collect(folders[kind], listing, wanted)
    files = [file for files in listing.parts["train"].values() for file in files]

    expected = keras_and_temperature(run.folder, collection.examples.x.astype(np.float32))
    found = answers(tmp_path / "artifacts", files, listing.class_names)
    np.testing.assert_allclose(found, expected, atol=2e-6)

    extra = run.artifact / "assets.extra"
    version = json.loads((extra / "input.json").read_text()).get("preparation")
    assert version == (PREPARATION if "garment" in how else None)
    assert (
        f"version {PREPARATION} of this preparation" in (extra / "card.md").read_text()
    ) is bool(version)

    measured = api.evaluate(run.artifact)
    assert measured["accuracy"] == pytest.approx(run.metrics["test"]["accuracy"])


def test_a_network_of_colour_pictures_is_served_by_all_protocols(photos, tmp_path):
    run, data = trained(tmp_path, f"{{name: {photos}, size: [12, 10], colour: rgb}}")
    pixels = data.test.x[:2].astype(np.float32)
    expected = keras_and_temperature(run.folder, pixels)
    client = create_app(Settings(artifacts=(tmp_path / "artifacts",), port=0)).test_client()

    by_rows = client.post("/v1/models/own:predict", json={"instances": pixels.tolist()})
    np.testing.assert_allclose(by_rows.json["predictions"], expected, atol=2e-6)

    tensor = {"name": "images", "shape": list(pixels.shape), "datatype": "FP32"}
    tensors = {"inputs": [tensor | {"data": pixels.ravel().tolist()}]}
    (output,) = client.post("/v2/models/own/infer", json=tensors).json["outputs"]
    np.testing.assert_allclose(np.reshape(output["data"], output["shape"]), expected, atol=2e-6)

    file = io.BytesIO((photos / "cup" / "0.png").read_bytes())
    explained = client.post("/predict?explain=1", data={"file": (file, "0.png")})
    (answer,) = explained.json["predictions"]
    assert np.shape(answer["input"]) == (12, 10, 3)
    assert np.shape(answer["evidence"]) == (12, 10)
    assert np.any(answer["evidence"])


def test_colour_pictures_are_augmented(photos, tmp_path):
    copied = DECLARED + (
        "augmentation: {{copies: 2, layers: [{{RandomTranslation: "
        "{{height_factor: 0.1, width_factor: 0.1}}}}]}}\n"
    )
    run, _ = trained(tmp_path, f"{{name: {photos}, size: [12, 10], colour: rgb}}", copied)
    assert run.record.status == "finished"
