"""A table of file names and labels beside pictures is a data set, as competitions give it."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wardrobe.models import DataFacts
from wardrobe.training.data import describe, load
from wardrobe.training.data.dataset import DataError
from wardrobe.training.data.labelled_pictures import is_labelled, list_labelled
from wardrobe.training.first_declaration import first_declaration

LABELS = ["cup", "plate"]


def draw(file: Path, number: int) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(number).integers(0, 256, (4, 6), np.uint8)
    Image.fromarray(pixels).save(file)


def table(file: Path, rows: list[str], head: str = "filename,label") -> Path:
    file.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    return file


@pytest.fixture
def folder(tmp_path) -> Path:
    """Twenty pictures in `images/`, and `labels.csv`: those of even number are cups."""
    for number in range(20):
        draw(tmp_path / "kitchen" / "images" / f"{number}.png", number)
    rows = [f"{number}.png,{LABELS[number % 2]}" for number in range(20)]
    return table(tmp_path / "kitchen" / "labels.csv", rows).parent


def left(folder: Path, rows: list[str], head: str = "filename,label") -> Path:
    """The folder with another table."""
    return table(folder / "labels.csv", rows, head)


@pytest.mark.parametrize("given", ["kitchen", "kitchen/labels.csv"])
def test_the_table_names_the_classes(folder, given):
    path = str(folder.parent / given)
    data = load(path, size=[2, 3], colour="rgb")
    assert data.class_names == ("cup", "plate")
    assert (len(data.train), len(data.validation), len(data.test)) == (13, 3, 4)
    assert data.input_shape == (2, 3, 3)
    assert data.source == path
    assert describe(path) == DataFacts((4, 6), 2, ("cup", "plate"))


def test_each_picture_has_the_label_of_its_row(folder):
    listing = list_labelled(folder)
    for label, files in listing.parts["train"].items():
        assert {LABELS[int(file.stem) % 2] for file in files} == {label}
        assert len(files) == 10


@pytest.mark.parametrize(
    "name",
    [
        "images/{}.png",
        "./images/{}.PNG",
        "images\\{}.png",
        "/kaggle/input/kitchen/images/{}.png",
        "{}",
    ],
    ids=["path", "capitals", "of Windows", "of another machine", "without ending"],
)
def test_names_are_written_as_people_write_them(folder, name):
    rows = [f"{name.format(number)},{LABELS[number % 2]}" for number in range(20)]
    left(folder, rows, "image_id,label")
    assert list_labelled(folder).parts == list_labelled(folder / "labels.csv").parts
    assert len(list_labelled(folder).files) == 21


def test_of_several_files_of_a_name_the_one_in_the_folder_of_the_part_is_meant(folder):
    shutil.move(folder / "images", folder / "train")
    for number in range(5):
        draw(folder / "test" / f"{number}.png", 100 + number)
    shutil.move(folder / "labels.csv", folder / "train.csv")
    table(folder / "test.csv", ["0", "1"], "id")
    table(folder / "sample_submission.csv", ["0,cup", "1,cup"], "id,label")
    listing = list_labelled(folder)
    assert {file.parent.name for file in listing.parts["train"]["cup"]} == {"train"}
    assert listing.notes == (
        "sample_submission.csv, not named train, test or val",
        "test.csv, which has no labels",
        "5 pictures without a row",
    )


def test_of_several_files_of_a_name_the_one_at_its_path_is_meant(folder):
    draw(folder / "0.png", 100)
    draw(folder / "more" / "images" / "1.png", 101)
    rows = [f"{'' if n == 0 else 'images/'}{n}.png,{LABELS[n % 2]}" for n in range(20)]
    left(folder, rows)
    files = list_labelled(folder).files
    assert folder / "0.png" in files
    assert folder / "images" / "1.png" in files


def test_whole_numbers_are_classes(folder):
    left(folder, [f"{n}.png,{(-1, 1)[n % 2]}" for n in range(20)])
    assert load(str(folder)).class_names == ("-1", "1")


def test_the_test_folder_is_that_of_a_folder_of_classes(folder):
    with pytest.raises(DataError, match=r"data\.test: .* is not a folder of pictures"):
        load(str(folder / "labels.csv"), test="images")


def test_a_column_may_say_which_part_a_row_is_in(folder):
    parts = ["test"] * 4 + ["val"] * 6 + ["train"] * 10
    rows = [f"{n}.png,{LABELS[n % 2]},{part}" for n, part in enumerate(parts)]
    left(folder, rows, "file_name,label,split")
    data = load(str(folder))
    assert (len(data.train), len(data.validation), len(data.test)) == (10, 6, 4)


def test_of_several_columns_the_target_is_declared(folder):
    left(folder, [f"{n},{n}.png,{LABELS[n % 2]},{n % 5}" for n in range(20)], "n,file,kind,age")
    with pytest.raises(DataError, match=r"which column should be predicted\?.*there are n, kind"):
        load(str(folder))
    assert load(str(folder), target="kind").class_names == ("cup", "plate")
    with pytest.raises(DataError, match="has no column 'kin'; did you mean 'kind'"):
        load(str(folder), target="kin")


def test_classes_are_renamed_and_left_out_as_those_of_folders(folder, caplog):
    left(folder, [f"{n}.png,{'abc'[n % 3]}" for n in range(18)])
    assert load(str(folder), classes={"x": ["a"], "y": ["b"]}).class_names == ("x", "y")
    assert "6 examples of classes that data.classes lacks (c 6)" in caplog.text
    assert "2 pictures without a row" in caplog.text


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("20.png,cup", r":22: there is no picture '20\.png'"),
        (",cup", ":22: there is no picture ''"),
        ("1.png,", ":22: the label is missing"),
        ("1.png,cup", r":22: '1\.png' is 'cup' here, but 'plate' above"),
        ("more.png,cup", r":22: 'more\.png' could be images/a/more\.png and images/b/more\.png"),
    ],
)
def test_a_faulty_row_is_named(folder, row, fault):
    draw(folder / "images" / "a" / "more.png", 30)
    draw(folder / "images" / "b" / "more.png", 31)
    with (folder / "labels.csv").open("a") as file:
        file.write(row + "\n")
    with pytest.raises(DataError, match=rf"labels\.csv{fault}\nCorrect or remove these rows"):
        load(str(folder / "labels.csv"))


def test_quantities_are_no_classes(folder):
    left(folder, [f"{n}.png,{n / 7:.3f}" for n in range(20)])
    with pytest.raises(DataError, match=r"labels\.csv:3: the label is 0\.143, but .* classes"):
        load(str(folder))


class TestFoldersBesideATable:
    @pytest.fixture
    def folders(self, folder):
        for number in range(20):
            target = folder / f"part_{number % 2}" / f"{number}.png"
            target.parent.mkdir(exist_ok=True)
            shutil.move(folder / "images" / f"{number}.png", target)
        (folder / "images").rmdir()
        return folder

    def test_are_the_classes_if_the_table_agrees(self, folders):
        assert not is_labelled(folders)
        assert load(str(folders)).class_names == ("part_0", "part_1")
        assert load(str(folders / "labels.csv")).class_names == ("cup", "plate")

    def test_are_refused_if_the_table_says_otherwise(self, folders):
        """Parts of an archive, or `train_images` and `test_images`, would be learnt as classes."""
        left(folders, [f"{n}.png,{LABELS[n // 10]}" for n in range(20)])
        with pytest.raises(DataError, match=r"labels\.csv labels the pictures differently from"):
            load(str(folders))
        assert load(str(folders / "labels.csv")).class_names == ("cup", "plate")


def test_a_table_without_pictures_stays_a_table(folder):
    """An `id` that no picture has for its name, or a column declared to be of no use."""
    rows = [f"{n + 50},{n},{LABELS[n % 2]}" for n in range(20)]
    assert load(str(left(folder, rows, "id,age,label"))).encoding is not None
    rows = [f"{n}.png,{n},{LABELS[n % 2]}" for n in range(20)]
    file = str(left(folder, rows, "photo,age,label"))
    assert load(file, columns={"photo": "ignore"}).encoding is not None


def test_the_second_time_it_comes_from_the_cache_until_a_label_changes(folder, monkeypatch):
    from wardrobe.training.data import cache

    monkeypatch.setattr(cache, "SMALLEST", 0)
    first = load(str(folder))
    assert load(str(folder)).hashes == first.hashes
    text = (folder / "labels.csv").read_text()
    (folder / "labels.csv").write_text(text.replace("0.png,cup", "0.png,plate", 1))
    changed = load(str(folder))
    assert changed.hashes != first.hashes
    labels = np.concatenate([changed.train.y, changed.validation.y, changed.test.y])
    assert np.bincount(labels).tolist() == [9, 11]


def test_pictures_without_a_table_are_told_what_to_do(folder):
    (folder / "labels.csv").unlink()
    for file in (folder / "images").iterdir():
        shutil.move(file, folder / file.name)
    with pytest.raises(DataError, match=r"not in folders of classes; .* or a table of their names"):
        load(str(folder))


def test_a_first_declaration_is_written_for_them(folder):
    written = first_declaration(folder, "kitchen", "kitchen")
    assert "20 pictures to train on in 2 classes (cup 10, plate 10)" in written
    assert "size: [4, 6]" in written
    rows = [f"{n}.png,{LABELS[n % 2]},{n}" for n in range(20)]
    written = first_declaration(left(folder, rows, "file,kind,age"), "kitchen", "kitchen")
    assert "target: kind" in written
    assert "# the labels; or name another of age" in written
