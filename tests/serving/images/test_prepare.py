"""Each preparation brings any picture to the network's size and colour."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wardrobe.serving.errors import PictureError
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.images.prepare import LIMITS, prepare, prepared
from wardrobe.serving.images.preprocess import preprocess

sides = st.integers(1, 90)


@given(sides, sides, sides, sides, st.sampled_from(["L", "LA", "RGB", "RGBA"]))
@pytest.mark.parametrize("how", ["resize", "pad"])
@pytest.mark.parametrize("channels", [1, 3])
def test_any_picture_becomes_one_of_the_networks_shape(how, channels, width, height, w, h, mode):
    target = PictureInput((h, w), channels=channels, prepare=how)
    pixels = prepare(Image.new(mode, (width, height), "white"), target)
    assert (pixels.shape, pixels.dtype) == (target.example_shape, np.uint8)
    assert pixels.max() == 255


def test_resizing_keeps_what_is_of_the_size_already():
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)
    for how in ("none", "resize", "pad"):
        target = PictureInput((20, 30), channels=3, prepare=how)
        np.testing.assert_array_equal(prepare(Image.fromarray(pixels), target), pixels)


def test_padding_keeps_the_proportions_and_centres_on_black():
    pixels = prepare(Image.new("L", (40, 20), 200), PictureInput((28, 28), prepare="pad"))
    assert (pixels[7:21] == 200).all()
    assert pixels[:7].max() == pixels[21:].max() == 0


def test_no_picture_is_inverted():
    white = Image.new("L", (9, 9), 255)
    for how in ("none", "resize", "pad"):
        target = PictureInput((9, 9), polarity="dark", prepare=how)
        assert prepare(white, target).min() == 255


@pytest.mark.parametrize("mode", ["LA", "RGBA"])
def test_transparent_pixels_are_white_paper(mode):
    clear = Image.new(mode, (9, 9))
    assert prepare(clear, PictureInput((9, 9), prepare="resize")).min() == 255


def test_without_preparation_another_size_is_refused():
    with pytest.raises(PictureError, match="has 30×20 pixels, the network takes 28×28") as caught:
        prepare(Image.new("L", (30, 20)), PictureInput((28, 28), prepare="none"))
    assert caught.value.status == 422


def test_without_preparation_a_large_picture_keeps_its_size():
    file = io.BytesIO()
    Image.new("L", (1200, 900), 9).save(file, "jpeg")
    target = PictureInput((900, 1200), prepare="none")
    assert prepared(file.getvalue(), target, LIMITS).pixels.shape == (900, 1200)


def test_a_large_network_gets_as_many_pixels_as_the_picture_has():
    pixels = np.zeros((1000, 1000), np.uint8)
    pixels[:, ::2] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    target = PictureInput((1000, 1000), prepare="resize")
    np.testing.assert_array_equal(prepared(file.getvalue(), target, LIMITS).pixels, pixels)


def test_garments_are_cut_out():
    picture = Image.new("RGB", (90, 90), "white")
    picture.paste("navy", (40, 10, 60, 50))
    target = PictureInput((28, 28))
    np.testing.assert_array_equal(prepare(picture, target), preprocess(picture, target))
    assert prepare(picture, target)[0, 0] == 0
