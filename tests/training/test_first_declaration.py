"""`wardrobe init` writes declarations that are sound and train."""

from __future__ import annotations

import csv
import resource
import shlex

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.training.conftest import three_garments, write_mnist_format
from wardrobe import cli
from wardrobe.models import check, read
from wardrobe.training.data.dataset import DataError
from wardrobe.training.data.declarations import describe_data, load_with_data
from wardrobe.training.first_declaration import first_declaration, name_for
from wardrobe.training.train import train

RANDOM = np.random.default_rng(1)


def pictures(folder):
    """Photographs in mixed sizes, one class with far more than the other."""
    for label, count in (("cat", 60), ("dog", 10)):
        (folder / label).mkdir(parents=True)
        for number in range(count):
            size = (40 + number % 30, 30)
            colour = (200, 30, 30) if label == "cat" else (30, 30, 200)
            Image.new("RGB", size, colour).save(folder / label / f"{number}.png")


def mnist(folder):
    folder.mkdir()
    write_mnist_format(folder, *three_garments())


def write_table(file, header, rows):
    with file.open("w", newline="") as stream:
        csv.writer(stream).writerows([header, *rows])


def people(file):
    """A table with a name in each row, which tells nothing."""
    rows = [
        [f"Person number {row}", row % 80, ("red", "blue")[row % 2], ("yes", "no")[row % 2]]
        for row in range(200)
    ]
    write_table(file, ["name", "age", "colour", "bought"], rows)


def prices(file):
    rows = [[area, area * 2.5 + RANDOM.normal()] for area in RANDOM.uniform(20, 200, 200)]
    write_table(file, ["area", "target"], rows)


KINDS = {
    "photos": (
        pictures,
        ["size: [28, 28]", "prepare: pad", "colour: rgb", "class_weight: balanced"],
    ),
    "mnist": (mnist, ["pictures of 28×28 pixels", "in 3 classes"]),
    "people.csv": (
        people,
        ["target: bought", "the others are name, age, colour", "name: ignore"],
    ),
    "prices.csv": (prices, ["target: target", "head: {activation: linear}"]),
}


@pytest.mark.parametrize("name", KINDS)
def test_what_it_writes_is_sound_and_trains(tmp_path, name):
    write, expected = KINDS[name]
    write(tmp_path / name)
    file = tmp_path / "mine.yaml"
    text = first_declaration(tmp_path / name, "mine", f"./{name}")
    for words in expected:
        assert words in text
    file.write_text(text)
    document = read(str(file), ["training.epochs=1"])
    assert check(document, describe_data(document)) == []
    declaration, data = load_with_data(str(file), ["training.epochs=1"])
    run = train(
        declaration, data, runs=tmp_path / "runs", artifacts=tmp_path / "artifacts", command=""
    )  # fmt: skip
    assert run.record.status == "finished"


def test_every_value_has_a_reason_beside_it(tmp_path):
    pictures(tmp_path / "photos")
    text = first_declaration(tmp_path / "photos", "photos", "./photos")
    assert text.startswith("# 70 pictures to train on in 2 classes (cat 60, dog 10)")
    for line in text.splitlines()[1:]:
        is_value = not line.endswith(":") and "name: ./photos" not in line
        assert ("  # " in line) is is_value, line


def test_a_full_disk_leaves_no_half_of_a_declaration(tmp_path, monkeypatch):
    mnist(tmp_path / "garments")
    monkeypatch.chdir(tmp_path)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        done = CliRunner().invoke(cli.main, ["init", "garments"])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (done.exit_code, done.output) == (1, "cannot write garments.yaml: File too large\n")
    assert [path.name for path in tmp_path.iterdir()] == ["garments"]


def test_the_command_says_what_to_type_next_and_overwrites_nothing(tmp_path, monkeypatch):
    mnist(tmp_path / "My Garments")
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.main, ["init", "My Garments"])
    assert done.exit_code == 0, done.output
    assert "wardrobe train my-garments.yaml" in done.output
    assert 'name: "./My Garments"' in (tmp_path / "my-garments.yaml").read_text()
    again = CliRunner().invoke(cli.main, ["init", "My Garments"])
    assert (again.exit_code, again.output.count("--to")) == (1, 1)
    (tmp_path / "sub folder").mkdir()
    other = CliRunner().invoke(cli.main, ["init", "My Garments", "--to", "sub folder/a.yaml"])
    assert shlex.quote("sub folder/a.yaml") in other.output
    declaration, data = load_with_data("sub folder/a.yaml")
    assert declaration.name == "a"
    assert len(data.class_names) == 3


@pytest.mark.parametrize(("name", "reason"), [("nothing", "no such file"), ("empty", "")])
def test_where_there_are_no_data_nothing_is_written(tmp_path, monkeypatch, name, reason):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.main, ["init", name])
    assert done.exit_code == 1
    assert reason in done.output
    assert not list(tmp_path.glob("*.yaml"))


def test_names_are_those_that_a_declaration_takes(tmp_path):
    assert name_for(tmp_path / "Köln & Bonn (2024).csv") == "koln-bonn-2024"
    assert name_for(tmp_path / "…") == "mine"


def test_a_column_that_numbers_the_rows_is_left_out(tmp_path):
    rows = [[892 + row, row % 3, ("yes", "no")[row % 2]] for row in range(60)]
    write_table(tmp_path / "ship.csv", ["PassengerId", "deck", "target"], rows)
    text = first_declaration(tmp_path / "ship.csv", "ship", "./ship.csv")
    assert "columns: {PassengerId: ignore}" in text


def test_what_is_left_out_of_a_folder_is_said(tmp_path):
    pictures(tmp_path / "photos")
    (tmp_path / "photos" / "cat" / "notes.txt").write_text("cats")
    text = first_declaration(tmp_path / "photos", "photos", "./photos")
    assert "Left out: 1 file of other kinds (1 .txt)." in text


def test_a_file_of_another_kind_is_called_what_it_is(tmp_path):
    (tmp_path / "pets.zip").write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match="this is a ZIP archive or an Office document; unpack it"):
        first_declaration(tmp_path / "pets.zip", "pets", "./pets.zip")
