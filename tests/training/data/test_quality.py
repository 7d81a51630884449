"""What is likely to be a mistake in a data set is said, and the data are used all the same."""

import shutil

import numpy as np
import pytest
from PIL import Image

from wardrobe.training.data import load


@pytest.fixture
def said(caplog):
    def said() -> list[str]:
        return [record.getMessage().partition(": ")[2] for record in caplog.records]

    return said


def draw(folder, names, count=10):
    random = np.random.default_rng(1)
    for name in names:
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = random.integers(0, 256, (4, 4), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")
    return folder


def test_nothing_is_said_of_sound_data(tmp_path, said):
    load(str(draw(tmp_path, ["cup", "plate", "a", "A"])))
    assert said() == []


def test_pictures_that_are_in_several_parts(tmp_path, said):
    for part, count in (("train", 10), ("val", 3), ("test", 5)):
        for name in ("cup", "plate"):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for number in range(count):
                pixels = np.full((4, 4), number + 100 * (name == "cup"), np.uint8)
                Image.fromarray(pixels).save(folder / f"{part}{number}.png")
    data = load(str(tmp_path))
    assert said() == [
        "10 of 10 test pictures are also in the training or validation set, so the test measures "
        "nothing there; remove them from one of the sets",
        "6 of 6 validation pictures are also in the training set; remove them from one of the sets",
    ]
    assert data.repeated == 10


def test_a_picture_that_is_in_several_classes(tmp_path, said):
    draw(tmp_path, ["cup", "plate"])
    shutil.copy(tmp_path / "cup" / "3.png", tmp_path / "plate" / "cup.png")
    load(str(tmp_path))
    assert said()[-1] == "1 picture in several classes; keep each in one"


def test_classes_that_only_the_test_has(tmp_path, said):
    """Folders are read in the order of their names, so that `take` may leave nothing of some."""
    load(str(draw(tmp_path, ["cup", "plate", "spoon"])), take=5)
    assert said() == [
        "'plate', 'spoon' have test examples, but no training examples: no network can learn them"
    ]


def test_classes_that_are_written_nearly_alike(tmp_path, said):
    load(str(draw(tmp_path, ["Boot", "boot ", "T-shirt", "t_shirt", "cup"])))
    assert said() == [
        "the classes 'Boot', 'boot ' are written nearly alike and learned as different ones; to "
        'merge them, name all classes in data.classes, these as {"Boot": ["Boot", "boot "]}',
        "the classes 'T-shirt', 't_shirt' are written nearly alike and learned as different ones; "
        'to merge them, name all classes in data.classes, these as {"T-shirt": ["T-shirt", '
        '"t_shirt"]}',
    ]


class TestATable:
    def write(self, tmp_path, column: list[str], label: list[str] | None = None) -> str:
        file = tmp_path / "rows.csv"
        labels = (label or ["yes", "no"]) * 30
        rows = [f'"{column[n % len(column)]}";{labels[n]}' for n in range(60)]
        file.write_text("\n".join(["what;label", *rows]))
        return str(file)

    @pytest.mark.parametrize(
        "column",
        [
            ["12%", "7 %", "100%"],
            ["$1,200", "$90", "-$5.50"],
            ["1 234,5", "17 000,0"],
            ["3 kg", "12 kg"],
            ["120km/h", "50km/h"],
            ["1.200 €", "12 €"],
            ["3.5", "inf", "-inf"],
        ],
    )
    def test_columns_that_look_like_numbers(self, tmp_path, said, column):
        file = self.write(tmp_path, column)
        load(file)
        (only,) = said()
        assert only.startswith("column 'what': ")
        assert "look like numbers and are taken for categories; write them plainly" in only

    @pytest.mark.parametrize(
        "column", [["1st", "2nd"], ["A1", "B2"], ["18-25", "26-40"], ["10:30", "12:00"]]
    )
    def test_columns_that_do_not(self, tmp_path, said, column):
        load(self.write(tmp_path, column))
        assert said() == []

    def test_columns_that_are_declared(self, tmp_path, said):
        load(self.write(tmp_path, ["12%", "7%"]), columns={"what": "category"})
        assert said() == []

    def test_a_target_that_looks_like_a_number(self, tmp_path, said):
        load(self.write(tmp_path, ["a", "b"], ["$1,200", "$90"]))
        assert said()[0].startswith("column 'label': '$1,200', '$90' look like numbers")

    def test_categories_that_are_written_nearly_alike(self, tmp_path, said):
        load(self.write(tmp_path, ["Oslo", "oslo", "Voss"]))
        assert said() == [
            "column 'what': 'Oslo', 'oslo' are written nearly alike and taken for different "
            "categories"
        ]
