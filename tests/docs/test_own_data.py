"""The examples of own pictures in docs/data.md, from folder to answer, word for word."""

from __future__ import annotations

import io
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.docs.pages import ROOT, blocks
from wardrobe import cli
from wardrobe.serving.app import create_app
from wardrobe.serving.settings import Settings

MARK = "own photographs"
COLOURS = {"cup": "firebrick", "plate": "navy", "spoon": "gold"}


def draw(colour: str, random: np.random.Generator) -> Image.Image:
    """A blob of a colour on a grey table."""
    width, height = (int(side) for side in random.integers(40, 90, 2))
    picture = Image.new("RGB", (width, height), "lightgrey")
    left, top = (int(at) for at in random.integers(2, 12, 2))
    picture.paste(colour, (left, top, left + 25, top + 25))
    return picture


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """The folder that the page describes, and `new.jpg`, of a plate."""
    random = np.random.default_rng(1)
    for name, colour in COLOURS.items():
        for index in range(20):
            file = tmp_path / "photos" / name / ("more" if index % 5 == 0 else "") / f"{index}"
            file.parent.mkdir(parents=True, exist_ok=True)
            ending = ("jpg", "png", "webp")[index % 3]
            draw(colour, random).save(file.with_suffix(f".{ending}"))
    draw(COLOURS["plate"], random).save(tmp_path / "new.jpg")
    return tmp_path


def test_own_photographs_from_folder_to_answer_in_five_commands(photographs, invoke):
    page = ROOT / "docs" / "data.md"
    (declaration,) = (block for block in blocks(page, "yaml") if block.mark == MARK)
    (commands,) = (block for block in blocks(page, "sh") if block.mark == MARK)
    (photographs / "photos.yaml").write_text(declaration.text)
    *first, predict, serve = commands.text.splitlines()
    assert len(first) == 3

    def run(command: str) -> str:
        program, *arguments = shlex.split(command)
        assert program == "wardrobe"
        done = invoke(*arguments)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    for command in first:
        run(command)
    (answer,) = json.loads(run(f"{predict} --json"))["predictions"]
    assert (answer["label"], answer["model"]) == ("plate", "photos")

    program, name, *options = serve.split()
    assert program == "wardrobe"
    served = cli.main.commands[name].make_context(name, options).params
    settings = Settings(artifacts=(photographs / "artifacts",), model=served["model"], port=0)
    client = create_app(settings).test_client()
    picture = io.BytesIO((photographs / "new.jpg").read_bytes())
    (same,) = client.post("/predict", data={"file": (picture, "new.jpg")}).json["predictions"]
    assert same == answer


def test_pictures_with_a_table_of_labels(tmp_path, invoke):
    page = ROOT / "docs" / "data.md"
    declaration, table = (
        next(block.text for block in blocks(page, language) if block.mark == "labelled pictures")
        for language in ("yaml", "csv")
    )
    random, rows = np.random.default_rng(1), table.splitlines()
    labels = [row.split(",")[1] for row in rows[1:]]
    rows += [f"{number:04}.jpg,{labels[number % 2]}" for number in range(len(rows), 41)]
    (tmp_path / "kitchen" / "images").mkdir(parents=True)
    for row in rows[1:]:
        name, label = row.split(",")
        draw(COLOURS[label], random).save(tmp_path / "kitchen" / "images" / name)
    (tmp_path / "kitchen" / "labels.csv").write_text("\n".join(rows))
    (tmp_path / "kitchen.yaml").write_text(declaration)
    done = invoke("train", "kitchen.yaml")
    assert done.returncode == 0, done.stderr
    named = invoke("predict", "--model", "kitchen", "kitchen/images", "--json")
    answers = json.loads(named.stdout)["predictions"]
    label_of = {Path(answer["file"]).name: answer["label"] for answer in answers}
    right = [label_of[name] == label for name, label in (row.split(",") for row in rows[1:])]
    assert np.mean(right) > 0.95
    assert json.loads(invoke("evaluate", "artifacts/kitchen/1", "--json").stdout)["accuracy"] == 1
