"""Pictures that come as arrays are brought to the declared size and colour, too."""

import numpy as np
import pytest
from PIL import Image

from wardrobe.models import DataFacts
from wardrobe.models.schema.declaration import Data
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.images.prepare import prepare
from wardrobe.training.data import describe, load
from wardrobe.training.data.dataset import DataError


@pytest.mark.parametrize("how", ["resize", "pad", "garment"])
def test_each_picture_becomes_what_the_service_makes_of_it(write_idx_folder, how):
    folder = str(write_idx_folder())
    raw, data = load(folder, validation=0), load(folder, validation=0, size=[14, 8], prepare=how)
    target = PictureInput((14, 8), prepare=how)
    expected = [prepare(Image.fromarray(image), target) for image in raw.test.x]
    np.testing.assert_array_equal(data.test.x, expected)
    assert describe(Data(name=folder, size=[14, 8])) == DataFacts((14, 8), 5)
    assert data.prepare == how


def test_grey_pictures_can_be_given_three_channels(write_idx_folder):
    data = load(str(write_idx_folder()), colour="rgb")
    assert data.input_shape == (9, 7, 3)
    assert data.prepare == "resize"


def test_garments_stay_as_they_are():
    assert load("silhouettes").prepare == "garment"
    assert load("silhouettes", size=[28, 28], colour="grey").prepare == "garment"


@pytest.mark.parametrize("key", ["size", "colour", "prepare"])
def test_tables_have_no_pictures(key):
    value = {"size": [2, 2], "colour": "rgb", "prepare": "pad"}[key]
    for act in (describe, load):
        with pytest.raises(DataError, match=f"data.{key}: moons has no pictures; leave it out"):
            act(Data(name="moons", **{key: value}))
