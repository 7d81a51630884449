"""A folder of class folders is a data set, read as the service reads pictures."""

import shutil

import numpy as np
import pytest
from PIL import Image

from wardrobe.models import DataFacts
from wardrobe.models.schema.declaration import Data
from wardrobe.training.data import describe, image_folder, load
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
        with pytest.raises(DataError, match="pictures of one class only, 'plate'"):
            act(str(picture_folder))


class TestASize:
    def test_brings_all_pictures_to_it(self, picture_folder):
        Image.new("L", (50, 40)).save(picture_folder / "cup" / "3.png")
        data = load(str(picture_folder), size=[8, 9])
        assert data.input_shape == (8, 9)
        wanted = Data(name=str(picture_folder), size=[8, 9], colour="rgb")
        assert describe(wanted) == DataFacts((8, 9, 3), 3)

    def test_is_the_pictures_own_as_cameras_hold_them(self, picture_folder):
        exif = Image.Exif()
        exif[0x0112] = 6  # turned by 90°
        for file in picture_folder.rglob("*.*"):
            Image.new("L", (4, 6)).save(file, exif=exif)
        assert describe(str(picture_folder)) == DataFacts((4, 6), 3)
        assert load(str(picture_folder)).input_shape == (4, 6)

    def test_that_none_can_have_is_refused_for_all(self, picture_folder):
        with pytest.raises(DataError, match=r"30 of 30 pictures cannot be used") as caught:
            load(str(picture_folder), size=[8, 9], prepare="none")
        assert "the picture has 6×4 pixels, the network takes 9×8" in str(caught.value)


def test_in_colour_pictures_have_three_channels(picture_folder):
    for file in (picture_folder / "cup").iterdir():
        Image.new("RGB", (6, 4), "red").save(file, "png")
    train = load(str(picture_folder), colour="rgb").train
    assert train.x.shape[1:] == (4, 6, 3)
    assert np.unique(train.x[train.y == 1], axis=0).tolist() == [[[[255, 0, 0]] * 6] * 4]


def test_a_garment_is_bright_on_dark_and_centred(picture_folder):
    for file in picture_folder.rglob("*.*"):
        Image.new("RGB", (60, 60), "white").save(file, "png")
        picture = Image.open(file)
        picture.paste("black", (2, 10, 22, 50))
        picture.save(file, "png")
    data = load(str(picture_folder), size=[28, 28], prepare="garment")
    assert (data.polarity, data.prepare) == ("dark", "garment")
    assert (data.train.x[:, 14, 14] == 255).all()
    assert data.train.x[:, :, 0].max() == 0


def test_all_broken_files_are_named_at_once(picture_folder):
    for index in range(25):
        (picture_folder / "cup" / f"broken-{index:02}.jpg").write_bytes(b"<html>not found")
    (picture_folder / "plate" / "0.png").write_bytes(b"")
    (picture_folder / "plate" / "gone.png").symlink_to("nowhere")
    with pytest.raises(DataError, match="27 of 56 pictures cannot be used; repair or") as caught:
        load(str(picture_folder))
    first, *lines = (line.strip() for line in str(caught.value).splitlines())
    assert first.startswith(str(picture_folder))
    assert lines[0].startswith(
        "cup/broken-00.jpg: cannot be read as a picture: this is an HTML page, not a PNG"
    )
    assert len(lines) == 21
    assert lines[-1] == "and 7 more"


def test_it_can_be_described_although_some_are_broken(picture_folder):
    (picture_folder / "bowl" / "0.png").write_bytes(b"")
    assert describe(str(picture_folder)) == DataFacts((4, 6), 3)


@pytest.fixture
def split_folder(picture_folder, tmp_path):
    """All pictures in train/, two of each class in val/, one in test/."""
    shutil.copytree(picture_folder, tmp_path / "split" / "train")
    for part, names in (("val", ("1.jpg", "3.png")), ("test", ("0.png",))):
        for name in ("bowl", "cup", "plate"):
            (tmp_path / "split" / part / name).mkdir(parents=True)
            for file in names:
                shutil.copy(picture_folder / name / file, tmp_path / "split" / part / name)
    return tmp_path / "split"


class TestASplit:
    def test_is_kept(self, split_folder):
        data = load(str(split_folder), validation=0.5)
        assert (len(data.train), len(data.validation), len(data.test)) == (30, 6, 3)
        for part in (data.train, data.validation, data.test):
            np.testing.assert_allclose(part.x.mean(axis=(1, 2)), 50 * part.y, atol=2)

    def test_without_validation_holds_some_of_the_training_part_out(self, split_folder):
        shutil.rmtree(split_folder / "val")
        data = load(str(split_folder), validation=0.2)
        assert (len(data.train), len(data.validation), len(data.test)) == (24, 6, 3)

    def test_without_a_test_draws_one_from_the_training_part(self, split_folder):
        shutil.rmtree(split_folder / "test")
        data = load(str(split_folder))
        assert (len(data.train), len(data.validation), len(data.test)) == (24, 6, 6)

    def test_can_be_drawn_anew(self, split_folder):
        data = load(str(split_folder), resplit=1, validation=0)
        assert (len(data.train), len(data.test)) == (36, 3)

    def test_classes_are_joined_in_all_parts(self, split_folder):
        classes = {"dishes": ["plate", "bowl"], "mug": "cup"}
        data = load(str(split_folder), classes=classes)
        assert data.class_names == ("dishes", "mug")
        assert np.bincount(data.test.y).tolist() == [2, 1]


def test_what_is_left_out_is_said(picture_folder, caplog):
    (picture_folder / "cup" / "notes.txt").write_text("about cups")
    load(str(picture_folder), classes={"cup": ["cup"], "flat": ["plate"]})
    messages = [record.getMessage() for record in caplog.records]
    assert [message for message in messages if "left out" in message] == [
        f"{picture_folder}: left out: 1 file of other kinds (1 .txt)",
        f"{picture_folder}: left out: 10 examples of classes that data.classes lacks (bowl 10)",
    ]


def test_progress_is_reported_once_it_takes_long(picture_folder, monkeypatch):
    told = []
    load(str(picture_folder), progress=lambda *call: told.append(call))
    assert told == []
    monkeypatch.setattr(image_folder, "QUICK", 0)
    load(str(picture_folder), progress=lambda *call: told.append(call))
    assert told[-1] == ("kitchen/", 30, 30)
