"""Which files below a folder are pictures, of which class and part."""

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from wardrobe.training.data import load
from wardrobe.training.data.dataset import DataError
from wardrobe.training.data.listing import list_pictures


def put(folder: Path, *names: str, ending: str = "png") -> None:
    """Writes a small picture under each name."""
    for name in names:
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (6, 4), 9).save(file, ending)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put(tmp_path / "pets", *(f"{name}/{index}.png" for name in ("cat", "dog") for index in "012"))
    return tmp_path / "pets"


def counts(folder, classes=None):
    """part → class → number of pictures."""
    listing = list_pictures(folder, classes)
    return {
        part: {name: len(files) for name, files in pictures.items()}
        for part, pictures in listing.parts.items()
    }


ALL = {"train": {"cat": 3, "dog": 3}}


def test_each_subfolder_is_a_class(folder):
    assert counts(folder) == ALL
    assert list_pictures(folder).notes == ()


@pytest.mark.parametrize(
    "debris",
    [
        "._0.png", ".DS_Store", "Thumbs.db", "desktop.ini", "Icon\r", "@eaDir/0.png",
        "@Recycle/0.png", "#snapshot/0.png", "__MACOSX/cat/._0.png",
        ".ipynb_checkpoints/0-checkpoint.png", "$RECYCLE.BIN/0.png",
    ],
)  # fmt: skip
@pytest.mark.parametrize("where", ["", "cat", "cat/more"])
def test_debris_is_passed_over(folder, where, debris):
    put(folder, "cat/more/9.png")
    file = folder / where / debris
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"\0\5\x16\7 debris")
    assert counts(folder) == {"train": {"cat": 4, "dog": 3}}
    assert list_pictures(folder).notes == ()


def test_subfolders_of_a_class_are_read(folder):
    put(folder, "cat/black/a.png", "cat/black/old/b.png")
    assert counts(folder)["train"]["cat"] == 5


def test_links_are_followed_but_not_in_circles(folder, tmp_path):
    put(tmp_path, "elsewhere/a.png")
    (folder / "cat" / "more").symlink_to(tmp_path / "elsewhere")
    (folder / "cat" / "self").symlink_to(folder / "cat")
    assert counts(folder)["train"]["cat"] == 4


def test_links_that_lead_to_themselves_are_passed_over(folder):
    for where in (folder, folder / "cat"):
        (where / "x").symlink_to(where / "y")
        (where / "y").symlink_to(where / "x")
    assert counts(folder) == ALL
    assert len(load(str(folder), size=[4, 6]).train) == 4


def test_the_folders_in_each_class_may_be_the_classes(tmp_path):
    put(tmp_path, *(f"fold{n}/{name}/{i}.png" for n in "12" for name in ("a", "b") for i in "012"))
    (doubt,) = list_pictures(tmp_path).doubts
    assert doubt.startswith("each class has the folders a, b: if these are the classes")


def test_the_folders_in_each_class_may_be_a_split(tmp_path):
    put(tmp_path, *(f"{name}/{n}/0.png" for n in ("train", "test") for name in ("cat", "dog")))
    (doubt,) = list_pictures(tmp_path).doubts
    assert doubt.startswith(
        "each class has the folders test, train, which are not taken as a split"
    )


def test_a_split_without_classes_is_told_what_to_do(tmp_path):
    put(tmp_path, "train/cat.0.jpg", "train/dog.1.jpg", "test/1.jpg")
    with pytest.raises(DataError, match="holds 3 pictures, but not in folders of classes"):
        list_pictures(tmp_path)


def test_a_pipe_is_not_waited_for(folder):
    os.mkfifo(folder / "cat" / "pipe.png")
    assert counts(folder) == ALL


def test_contents_decide_what_a_picture_is(folder):
    put(folder, "cat/a", "cat/b.dat", "cat/c.txt")
    assert counts(folder)["train"]["cat"] == 6


def test_what_is_left_out_is_counted_and_said(folder):
    put(folder, "stray.png")
    (folder / "README.md").write_text("about")
    (folder / "cat" / "notes.txt").write_text("about cats")
    (folder / "dog" / "boxes.json").write_text("{}")
    (folder / "dog" / "more.json").write_text("{}")
    assert list_pictures(folder).notes == (
        "3 files of other kinds (2 .json, 1 .txt)",
        "1 picture in no class folder",
    )
    assert counts(folder) == ALL


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (("train", "test"), {"train", "test"}),
        (("Train", "Val", "TEST"), {"train", "validation", "test"}),
        (("training", "validation"), {"train", "validation"}),
        (("train", "valid", "testing"), {"train", "validation", "test"}),
    ],
)
def test_folders_named_like_parts_are_the_split(folder, tmp_path, names, parts):
    for name in names:
        shutil.copytree(folder, tmp_path / "split" / name)
    assert counts(tmp_path / "split") == dict.fromkeys(parts, ALL["train"])


def test_a_class_may_be_called_train(folder):
    put(folder, "train/a.png")
    assert set(counts(folder)["train"]) == {"cat", "dog", "train"}


def test_a_part_without_classes_is_left_out(folder, tmp_path):
    split = tmp_path / "split"
    shutil.copytree(folder, split / "train")
    put(split, "test/0.png", "annotations/0.png")
    assert counts(split) == ALL
    assert list_pictures(split).notes == ("what is in no part of the split: annotations, test",)


def test_the_folder_of_an_archive_around_everything_is_entered(folder, tmp_path):
    (tmp_path / "outer" / "__MACOSX").mkdir(parents=True)
    folder.rename(tmp_path / "outer" / "pets-v1.2")
    assert counts(tmp_path / "outer") == ALL


def test_names_in_any_encoding(folder):
    for name in (b"caf\xe9", "naïve".encode(), "ça".encode("utf-16-le").replace(b"\0", b"_")):
        shutil.copytree(folder / "cat", Path(os.fsdecode(os.fsencode(folder) + b"/" + name)))
    for name in list_pictures(folder).class_names:
        name.encode()  # can be written to any file
    assert {"café", "naïve"} < set(list_pictures(folder).class_names)


def test_a_name_is_the_same_however_its_accents_are_written(folder, tmp_path):
    for part, name in (("train", "cafe\u0301"), ("test", "caf\u00e9")):
        shutil.copytree(folder, tmp_path / "split" / part)
        put(tmp_path / "split" / part, f"{name}/0.png")
    assert counts(tmp_path / "split")["test"]["caf\u00e9"] == 1


class TestClasses:
    def test_are_chosen_and_the_rest_said(self, folder):
        put(folder, "hat/0.png", "hat/1.png")
        wanted = {"feline": ["cat"], "canine": ["dog"]}
        assert counts(folder, wanted) == ALL
        assert list_pictures(folder, wanted).notes == (
            "2 examples of classes that data.classes lacks (hat 2)",
        )

    def test_a_misspelt_one_is_answered_with_the_likely_one(self, folder):
        with pytest.raises(DataError, match="no class 'dogs'; did you mean 'dog'"):
            list_pictures(folder, {"a": ["cat"], "b": ["dogs"]})

    def test_none_is_in_two(self, folder):
        with pytest.raises(DataError, match="'cat' is in 'a' and in 'b'"):
            list_pictures(folder, {"a": ["cat"], "b": ["cat", "dog"]})

    def test_one_that_only_the_test_has_is_refused(self, folder, tmp_path):
        for part in ("train", "test"):
            shutil.copytree(folder, tmp_path / "split" / part)
        put(tmp_path / "split", "test/Cat2/0.png")
        with pytest.raises(DataError, match=r"'Cat2' has pictures in test, but none in train"):
            list_pictures(tmp_path / "split")
        listing = list_pictures(tmp_path / "split", {"cat": ["cat", "Cat2"], "dog": ["dog"]})
        assert len(listing.parts["test"]["Cat2"]) == 1


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("seg_train/seg_train", "seg_test/seg_test"), ("training_set", "test_set"),
        ("images_train", "images_test"), ("Train Images", "Test Images"),
        ("pets/pets/train", "pets/pets/test"),
    ],
)  # fmt: skip
def test_a_split_is_found_under_the_names_that_archives_give_it(tmp_path, train, test):
    for part in (train, test):
        put(tmp_path / part, "cat/0.png", "dog/0.png")
    both = {"cat": 1, "dog": 1}
    assert counts(tmp_path) == {"train": both, "test": both}


def test_classes_may_be_called_like_the_parts_of_a_split(tmp_path):
    put(tmp_path, "bus/0.png", "train/0.png", "test tube/0.png", "train set/0.png")
    assert counts(tmp_path) == {
        "train": dict.fromkeys(("bus", "test tube", "train", "train set"), 1)
    }


def test_what_lies_beside_a_wrapping_folder_does_not_hide_it(folder):
    folder.rename(folder.with_name("train"))
    (folder.parent / "README.md").write_text("pets")
    put(folder.parent, "sample.png")
    assert counts(folder.parent) == ALL
    assert list_pictures(folder.parent).notes == ("1 picture in no class folder",)


def test_the_error_says_what_a_folder_lacks(tmp_path):
    put(tmp_path, "flat/cat.0.png", "flat/dog.0.png", "one/cat/0.png")
    (tmp_path / "empty").mkdir()
    for name, message in (
        ("flat", "holds 2 pictures, but not in folders of classes"),
        ("one", "has pictures of one class only, 'cat'"),
        ("empty", "not a data set; it must hold a folder of pictures for each class"),
    ):
        with pytest.raises(DataError, match=message):
            list_pictures(tmp_path / name)
