"""Disturbed copies of garments, made before they are reduced to the network's size."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from wardrobe.models.schema.declaration import Copies, Data
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.images.prepare import prepare
from wardrobe.training.data import DataError, cache, describe, load
from wardrobe.training.data.copies import with_copies

TARGET = PictureInput((28, 28), prepare="garment")
NUMBER = 6
EVERYTHING = {
    "mirror": True, "rotation": 15.0, "stretch": 0.25, "shear": 0.1, "outline": 1, "gamma": 0.3,
    "broadest": [0.75, 1.1],
}  # fmt: skip


def photograph(seed: int = 0) -> Image.Image:
    """A dark L, lying on a blanket: too restless a ground for anything but GrabCut."""
    dice = np.random.default_rng(seed)
    pixels = dice.integers(150, 230, (140, 120, 3)).astype(np.uint8)
    cloth = np.zeros((140, 120), bool)
    cloth[25:115, 20:45] = cloth[90:115, 20:105] = True
    shades = np.linspace(20, 90, 140)[:, None, None] * [1.0, 0.7, 0.9]
    return Image.fromarray(np.where(cloth[..., None], shades, pixels).astype(np.uint8))


def copies(**disturbances):
    return with_copies(photograph(), TARGET, Copies(number=NUMBER, **disturbances))


def extents(pictures):
    """Width over height of what is not black in each."""
    lit = pictures > 0
    return np.array([np.ptp(np.nonzero(one)[1]) / np.ptp(np.nonzero(one)[0]) for one in lit])


def test_the_first_is_the_picture_as_the_service_prepares_it():
    for picture in (photograph(), photograph().resize((28, 28))):
        made = with_copies(picture, TARGET, Copies(number=2, **EVERYTHING))
        assert np.array_equal(made[0], prepare(picture, TARGET))


def test_without_a_disturbance_copies_are_the_picture():
    made = copies()
    assert made.shape == (1 + NUMBER, 28, 28)
    assert np.abs(made.astype(int) - made[0]).max() <= 1


@pytest.mark.parametrize("disturbance", EVERYTHING)
def test_each_disturbance_alone_changes_the_copies(disturbance):
    made = copies(**{disturbance: EVERYTHING[disturbance]})
    changed = [not np.array_equal(made[0], one) for one in made[1:]]
    assert any(changed)


def test_mirrored_is_mirrored():
    made = copies(mirror=True).astype(int)
    distances = [np.abs(one - made[0]).mean() for one in made[1:]]
    mirrored = [np.abs(one[:, ::-1] - made[0]).mean() for one in made[1:]]
    # Centred on whole pixels, one that is mirrored may be a pixel further on.
    assert np.minimum(distances, mirrored).max() < np.maximum(distances, mirrored).min() / 4
    assert min(distances) < min(mirrored)
    assert max(distances) > max(mirrored) / 4


def test_stretched_differ_in_width_but_fill_the_frame():
    made = copies(stretch=0.25, broadest=[1.4, 1.4])
    assert np.ptp(extents(made)) > 0.1
    assert (made.max(axis=(1, 2)) == 255).all()


def test_the_same_picture_has_the_same_copies_and_another_seed_gives_others():
    first, again = copies(**EVERYTHING), copies(**EVERYTHING)
    assert np.array_equal(first, again)
    assert not np.array_equal(first[1:], copies(**EVERYTHING, seed=1)[1:])


def test_where_nothing_would_be_left_the_copy_is_the_picture():
    thin = np.full((60, 60, 3), 255, np.uint8)
    thin[10:50, 30] = 0
    made = with_copies(Image.fromarray(thin), TARGET, Copies(number=NUMBER, outline=10))
    assert (made.max(axis=(1, 2)) > 0).all()


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    for part, number in (("train", 8), ("held-back", 3)):
        for name in ("a", "b"):
            (tmp_path / "photos" / part / name).mkdir(parents=True)
            for index in range(number):
                picture = photograph(seed=ord(name) * 100 + index)
                picture.save(tmp_path / "photos" / part / name / f"{index}.png")
    return tmp_path / "photos"


def declared(folder: Path, **further) -> Data:
    settings = {"size": [28, 28], "prepare": "garment", "test": "held-back"}
    return Data.model_validate({"name": str(folder)} | settings | further)


def test_only_training_examples_are_disturbed(photographs):
    plain = load(declared(photographs), validation=0.25)
    wanted = {"number": 3, "rotation": 10.0}
    data = load(declared(photographs, copies=wanted), validation=0.25)
    assert (len(data.train), len(data.validation), len(data.test)) == (12 * 4, 4, 6)
    assert np.array_equal(data.train.x[:12], plain.train.x)
    assert np.array_equal(data.train.y, np.tile(plain.train.y, 4))
    for part in ("validation", "test"):
        assert np.array_equal(getattr(data, part).x, getattr(plain, part).x)


def test_copies_are_cached(photographs, monkeypatch):
    monkeypatch.setattr(cache, "SMALLEST", 0)
    wanted = declared(photographs, copies={"number": 2, "mirror": True})
    first = load(wanted, validation=0.25)
    monkeypatch.setattr(
        "wardrobe.training.data.image_folder.with_copies", lambda *_: pytest.fail("made again")
    )
    assert np.array_equal(load(wanted, validation=0.25).train.x, first.train.x)


def test_the_named_folder_is_the_test_set(photographs):
    data = load(declared(photographs), validation=0.25)
    assert (len(data.train), len(data.validation), len(data.test)) == (12, 4, 6)
    with pytest.raises(DataError, match=r"data\.test: .*did you mean 'held-back'"):
        load(declared(photographs, test="held-bak"))


def test_the_class_of_the_unknown_must_be_one(photographs):
    assert load(declared(photographs, unknown="b")).unknown_index == 1
    with pytest.raises(DataError, match=r"data\.unknown: .* has no class 'c'; there are a, b"):
        load(declared(photographs, unknown="c"))
    with pytest.raises(DataError, match="has no class 'c'"):
        describe(declared(photographs, unknown="c"))


@pytest.mark.parametrize("key", [{"test": "validation"}, {"copies": Copies(number=1)}])
def test_what_is_no_folder_of_pictures_has_neither(key):
    with pytest.raises(DataError, match="not a folder of pictures; leave it out"):
        load("silhouettes", prepare="garment", **key)
