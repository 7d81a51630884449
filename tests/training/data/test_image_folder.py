"""A folder CLASS/*.png|jpg is a data set."""

import shutil

import numpy as np
import pytest
from PIL import Image

from wardrobe.models import DataFacts
from wardrobe.training.data import describe, load
from wardrobe.training.data.dataset import DataError


def test_each_subfolder_is_a_class(picture_folder):
    data = load(str(picture_folder))

    assert data.class_names == ("bowl", "cup", "plate")
    assert data.input_shape == (4, 6)
    assert (data.train.x.dtype.name, data.train.y.dtype.name) == ("uint8", "int32")
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 4, 6)
    assert np.bincount(data.test.y).tolist() == [2, 2, 2]
    for part in (data.train, data.validation, data.test):
        np.testing.assert_allclose(part.x.mean(axis=(1, 2)), 50 * part.y, atol=2)
    assert describe(str(picture_folder)) == DataFacts((4, 6), 3)


def test_its_hash_covers_names_and_contents(picture_folder):
    first = load(str(picture_folder)).hashes
    assert load(str(picture_folder)).hashes == first

    (picture_folder / "cup" / "0.png").rename(picture_folder / "cup" / "00.png")
    renamed = load(str(picture_folder)).hashes
    Image.new("L", (6, 4), 255).save(picture_folder / "cup" / "00.png")
    assert len({str(h) for h in (first, renamed, load(str(picture_folder)).hashes)}) == 3


def test_other_files_are_passed_over(picture_folder):
    (picture_folder / "README.md").write_text("about")
    (picture_folder / "cup" / "notes.txt").write_text("about cups")
    (picture_folder / ".git").mkdir()
    assert describe(str(picture_folder)) == DataFacts((4, 6), 3)


@pytest.mark.parametrize(
    ("picture", "grey"),
    [
        (Image.new("RGBA", (6, 4), (0, 0, 0, 0)), 255),
        (Image.new("LA", (6, 4), (90, 255)), 90),
        (Image.new("P", (6, 4), 0), 0),
        (Image.new("1", (6, 4), 1), 255),
        (Image.fromarray(np.full((4, 6), 40_000, np.uint16)), 40_000 >> 8),
    ],
    ids=["transparent", "grey with alpha", "palette", "bilevel", "16 bits"],
)
def test_every_kind_of_picture_becomes_grey(picture_folder, picture, grey):
    for file in (picture_folder / "cup").iterdir():
        picture.save(file.with_suffix(".png"))
        if file.suffix != ".png":
            file.unlink()
    train = load(str(picture_folder)).train
    assert np.unique(train.x[train.y == 1]).tolist() == [grey]


def test_a_picture_of_another_size_is_named(picture_folder):
    Image.new("L", (5, 4)).save(picture_folder / "cup" / "3.png")
    with pytest.raises(DataError, match=r"3\.png: is 5×4 pixels, the pictures before it 6×4"):
        load(str(picture_folder))


@pytest.mark.parametrize("length", [0, 1, 20, 40])
def test_an_unreadable_picture_is_named(picture_folder, length):
    file = picture_folder / "bowl" / "0.png"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(DataError, match=r"0\.png: cannot be read as a picture"):
        load(str(picture_folder))


def test_a_class_without_pictures_is_named(picture_folder):
    (picture_folder / "pan").mkdir()
    with pytest.raises(DataError, match=r"pan: holds no picture; add some"):
        load(str(picture_folder))


def test_one_class_is_no_data_set(picture_folder):
    shutil.rmtree(picture_folder / "bowl")
    shutil.rmtree(picture_folder / "cup")
    for act in (load, describe):
        with pytest.raises(DataError, match="not a data set"):
            act(str(picture_folder))
