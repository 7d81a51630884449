from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image, ImageFilter

from benchmarks.pictures import rendered
from tests.conftest import needs_fashion_mnist
from wardrobe.serving.errors import PictureError
from wardrobe.serving.images import PREPARATION
from wardrobe.serving.images.decode import decode
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.images.preprocess import preprocess
from wardrobe.serving.images.segment import photographed_garment, plain_background
from wardrobe.serving.inference.artifacts import at
from wardrobe.serving.inference.model import load
from wardrobe.serving.settings import Limits
from wardrobe.training import data

DARK = PictureInput((28, 28), "dark")
LIGHT = PictureInput((28, 28), "light")
MIXED = PictureInput((28, 28), "mixed")
PRETRAINED = Path(__file__).parents[3] / "pretrained" / "mlp-256-128-100" / "1"
LOSSLESS = {"PNG": {}, "BMP": {}, "GIF": {}, "WEBP": {"lossless": True}}


def garments() -> st.SearchStrategy[np.ndarray]:
    """Any 28×28 picture whose border is dark, as Fashion-MNIST's are."""

    def darken_border(picture: np.ndarray) -> np.ndarray:
        framed = picture // 2
        framed[1:-1, 1:-1] = picture[1:-1, 1:-1]
        return framed

    return npst.arrays(np.uint8, (28, 28)).map(darken_border)


def shirt(height: int, width: int) -> np.ndarray:
    """`uint8 [height, width]`: a T with a pattern, bright, from edge to edge, on black."""
    picture = np.zeros((height, width), np.uint8)
    picture[: height // 4] = 255
    picture[:, width // 4 : -width // 4] = 191
    return picture


def on(background: int, garment: np.ndarray, margin: int) -> np.ndarray:
    """The bright garment on a background of 0, or inverted on one of 255."""
    framed = np.pad(garment, margin)
    return framed if background == 0 else 255 - framed


@given(picture=garments(), kind=st.sampled_from(sorted(LOSSLESS)))
def test_a_28x28_picture_on_a_dark_background_is_not_changed(
    encode, picture: np.ndarray, kind: str
) -> None:
    decoded = decode(encode(picture, kind, **LOSSLESS[kind]), Limits(10**6, 10**6))
    np.testing.assert_array_equal(preprocess(decoded, DARK), picture)


@given(picture=garments())
def test_a_picture_on_a_light_background_is_inverted(picture: np.ndarray) -> None:
    np.testing.assert_array_equal(preprocess(Image.fromarray(255 - picture), DARK), picture)


@given(picture=garments())
def test_colour_and_opacity_change_nothing(picture: np.ndarray) -> None:
    for mode in ("RGB", "RGBA", "LA"):
        np.testing.assert_array_equal(
            preprocess(Image.fromarray(picture).convert(mode), DARK), picture
        )


@given(picture=garments())
def test_the_polarity_is_the_networks(picture: np.ndarray) -> None:
    dark, light = Image.fromarray(picture), Image.fromarray(255 - picture)
    for image in (dark, light):
        np.testing.assert_array_equal(preprocess(image, DARK), picture)
        np.testing.assert_array_equal(preprocess(image, LIGHT), 255 - picture)
    np.testing.assert_array_equal(preprocess(dark, MIXED), picture)
    np.testing.assert_array_equal(preprocess(light, MIXED), 255 - picture)


@pytest.mark.parametrize("background", [0, 255])
@pytest.mark.parametrize("scale", [1, 3, 10])
@pytest.mark.parametrize("margin", [1, 17])
def test_a_garment_of_any_size_and_position_is_found_and_fitted(
    background: int, scale: int, margin: int
) -> None:
    garment = shirt(28, 28)
    large = np.kron(garment, np.ones((scale, scale), np.uint8))
    off_centre = np.pad(on(background, large, margin), ((0, 9), (0, 0)), constant_values=background)
    pixels = preprocess(Image.fromarray(off_centre), DARK)
    assert np.abs(pixels.astype(int) - garment).mean() < 2


@given(height=st.integers(1, 120), width=st.integers(1, 120), background=st.sampled_from([0, 255]))
def test_the_longer_side_spans_the_frame_and_the_shorter_is_centred(
    height: int, width: int, background: int
) -> None:
    garment = np.full((height, width), 200, np.uint8)
    pixels = preprocess(Image.fromarray(on(background, garment, 15)), DARK)
    scale = 28 / max(height, width)
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    for span, side in ((rows, height), (columns, width)):
        assert span.size == max(1, round(side * scale))
        assert abs(span[0] - (27 - span[-1])) <= 1


@pytest.mark.parametrize("width", range(10, 27))
def test_a_pixel_to_spare_is_on_the_left_as_in_the_data_set(width: int) -> None:
    pixels = preprocess(
        Image.fromarray(on(255, np.full((280, 10 * width), 200, np.uint8), 9)), DARK
    )
    columns = np.flatnonzero(pixels.any(axis=0))
    assert columns[0] - (27 - columns[-1]) == (28 - width) % 2


@pytest.mark.parametrize("brightest", [30, 120, 255])
def test_the_brightest_pixel_is_255_as_in_the_data_set(brightest: int) -> None:
    faint = (shirt(100, 80) * (brightest / 255)).astype(np.uint8)
    assert preprocess(Image.fromarray(on(255, faint, 20)), DARK).max() == 255


@pytest.mark.parametrize("colour", [(70, 80, 120), (196, 222, 240), (110, 110, 110), (200, 40, 40)])
def test_a_coloured_background_becomes_black_and_the_garment_keeps_its_shade(colour) -> None:
    garment = Image.fromarray(255 - shirt(280, 280))
    where = Image.fromarray((shirt(280, 280) > 0).astype(np.uint8) * 255)
    picture = Image.new("RGB", (400, 310), colour)
    picture.paste(garment, (90, 20), where)
    pixels = preprocess(picture, DARK)
    assert np.abs(pixels.astype(int) - shirt(28, 28)).mean() < 3


@pytest.mark.parametrize("cloth", [(50, 90, 210), (35, 45, 95), (200, 35, 45), (120, 75, 45)])
@pytest.mark.parametrize("ground", [(255, 255, 255), (244, 226, 200)])
def test_a_dyed_garment_has_the_shades_of_its_own_colour(cloth, ground) -> None:
    striped = shirt(28, 28)
    striped[7::3, 7:21] = 10
    light = 1 - 0.75 * striped.repeat(10, axis=0).repeat(10, axis=1)[..., np.newaxis] / 255
    where = shirt(28, 28).repeat(10, axis=0).repeat(10, axis=1)[..., np.newaxis] > 0
    picture = np.full((340, 340, 3), ground, np.uint8)
    picture[30:310, 30:310] = np.where(where, np.array(cloth) * light, ground).round()
    pixels = preprocess(Image.fromarray(picture), DARK)
    assert np.abs(pixels.astype(int) - striped).mean() < 6


def test_a_blurred_outline_on_a_dark_background_leaves_no_fringe() -> None:
    garment = Image.fromarray(255 - shirt(280, 280))
    where = Image.fromarray((shirt(280, 280) > 0).astype(np.uint8) * 255)
    picture = Image.new("RGB", (360, 360), (70, 80, 120))
    picture.paste(garment, (40, 40), where)
    pixels = preprocess(picture.filter(ImageFilter.GaussianBlur(2)), DARK)
    assert pixels[shirt(28, 28) == 0].max() == 0


@pytest.mark.parametrize("shade", [40, 80])
def test_a_dim_outermost_row_is_a_row_of_the_garment(shade: int) -> None:
    garment = shirt(28, 20)
    garment[0] = shade
    large = Image.fromarray(garment).resize((200, 280), Image.Resampling.BICUBIC)
    pixels = preprocess(Image.fromarray(on(255, np.asarray(large), 30)), DARK)
    assert np.abs(pixels[:, 4:24].astype(int) - garment).mean() < 3


def test_stripes_are_as_sharp_as_in_the_data_set() -> None:
    striped = shirt(28, 28)
    striped[8::2, 7:21] = 60
    large = Image.fromarray(striped).resize((280, 280), Image.Resampling.BICUBIC)
    pixels = preprocess(Image.fromarray(on(255, np.asarray(large), 30)), DARK)
    assert np.ptp(pixels[8:27, 14]) > 0.95 * np.ptp(striped[8:27, 14])


def test_a_weave_finer_than_the_networks_pixels_is_an_even_shade() -> None:
    woven = np.where(np.indices((1400, 1400)).sum(axis=0) % 2, 255, 55).astype(np.uint8)
    inside = preprocess(Image.fromarray(on(0, woven, 100)), DARK)[2:-2, 2:-2]
    assert np.ptp(inside) <= 2


def test_slanting_light_makes_no_shadow() -> None:
    lit = on(255, shirt(200, 160), 30) * np.linspace(1, 0.8, 260)[:, np.newaxis]
    pixels = preprocess(Image.fromarray(lit.round().astype(np.uint8)), DARK)
    assert (
        (pixels > 20) == (preprocess(Image.fromarray(on(255, shirt(200, 160), 30)), DARK) > 20)
    ).all()


def photograph(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A blue garment on floorboards, `uint8 [240, 180, 3]`, and where it is."""
    dice = np.random.default_rng(seed)
    boards = np.repeat(dice.integers(-25, 25, 12), 15)[np.newaxis, :, np.newaxis]
    floor = np.array([170, 120, 70]) + boards + dice.normal(0, 8, (240, 180, 3))
    where = np.pad(shirt(150, 110) > 0, ((45, 45), (35, 35)))
    garment = np.array([40, 60, 130]) + dice.normal(0, 8, (240, 180, 3))
    picture = np.where(where[..., np.newaxis], garment, floor).clip(0, 255)
    return picture.astype(np.uint8), where


def test_a_garment_is_found_in_a_photograph() -> None:
    picture, where = photograph(1)
    assert plain_background(picture) is None
    found = photographed_garment(picture)
    assert (found == where).mean() > 0.97
    pixels = preprocess(Image.fromarray(picture), DARK)
    assert pixels[2:5, 5:-5].min() > 100  # the sleeves, from edge to edge
    assert pixels[14:, [0, 1, -2, -1]].max() == 0


def test_the_same_photograph_gives_the_same_pixels() -> None:
    image = Image.fromarray(photograph(2)[0])
    np.testing.assert_array_equal(preprocess(image, DARK), preprocess(image, DARK))


def test_whoever_changes_the_preparation_raises_its_version() -> None:
    """Networks are trained with it: `serving.images.PREPARATION` says so to whoever serves them."""
    pixels = preprocess(Image.fromarray(photograph(2)[0]), DARK)
    means = pixels.reshape(7, 4, 7, 4).mean(axis=(1, 3))
    version_1 = [
        [0, 237, 248, 248, 247, 246, 49],
        [0, 177, 227, 250, 242, 182, 36],
        *[[0, 0, 169, 249, 226, 0, 0]] * 5,
    ]
    np.testing.assert_allclose(means, {1: version_1}[PREPARATION], atol=3)


def test_a_photographed_garment_is_no_broader_than_in_the_data_set() -> None:
    picture, _ = photograph(3)
    broad = np.asarray(Image.fromarray(picture).resize((310, 240)))
    columns = np.flatnonzero(preprocess(Image.fromarray(broad), DARK).any(axis=0))
    assert 24 <= columns.size <= 26


@needs_fashion_mnist
def test_rendered_test_images_keep_their_label() -> None:
    """400 of them, forty in each way. This network was trained on upright, centred pictures
    only; one that has seen others keeps more (README)."""
    model = load(at(PRETRAINED))
    images = fashion_mnist_test_images(400)
    originals = model.predict(images.astype(np.float32)).argmax(axis=1)
    decoded = [decode(file, Limits(10**6, 10**6)) for file in rendered(images)]
    pixels = np.stack([preprocess(image, DARK) for image in decoded])
    found = model.predict(pixels.astype(np.float32)).argmax(axis=1)
    assert (found == originals).mean() >= 0.98


@needs_fashion_mnist
def test_a_picture_of_the_data_set_is_not_changed(encode) -> None:
    for picture in fashion_mnist_test_images(200):
        for kind in ("PNG", "BMP"):
            decoded = decode(encode(picture, kind), Limits(10**6, 10**6))
            np.testing.assert_array_equal(preprocess(decoded, DARK), picture)


def fashion_mnist_test_images(count: int) -> np.ndarray:
    return data.load("fashion-mnist").test.x[:count]


def test_the_shape_is_the_networks() -> None:
    tall = PictureInput((64, 32), "dark")
    pixels = preprocess(Image.fromarray(on(255, shirt(50, 25), 20)), tall)
    assert pixels.shape == (64, 32)
    assert pixels.dtype == np.uint8


def test_a_background_that_is_not_quite_white_becomes_black() -> None:
    noisy = on(255, shirt(200, 200), 40).astype(int) - np.random.default_rng(1).integers(
        10, 20, (280, 280)
    )
    pixels = preprocess(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), DARK)
    assert pixels[20:, 0].max() < 5


@pytest.mark.parametrize("shade", [20, 235])
def test_a_cut_out_garment_gets_a_background_that_shows_it(shade: int) -> None:
    alpha = on(0, np.where(shirt(100, 100) > 0, 255, 0).astype(np.uint8), 20)
    image = Image.merge("LA", [Image.new("L", alpha.shape[::-1], shade), Image.fromarray(alpha)])
    pixels = preprocess(image, DARK)
    np.testing.assert_array_equal(pixels > 127, shirt(28, 28) > 0)


def test_transparent_corners_take_the_colour_of_the_border() -> None:
    picture = on(255, shirt(100, 100), 30)
    alpha = np.full(picture.shape, 255, np.uint8)
    alpha[:8, :8] = alpha[-8:, -8:] = 0
    image = Image.merge("LA", [Image.fromarray(picture), Image.fromarray(alpha)])
    plain = Image.fromarray(picture)
    np.testing.assert_array_equal(preprocess(image, DARK), preprocess(plain, DARK))


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_blank_picture_is_not_usable(level: int) -> None:
    with pytest.raises(PictureError, match="blank") as caught:
        preprocess(Image.new("L", (100, 80), level), DARK)
    assert caught.value.status == 422


def test_a_fully_transparent_picture_is_not_usable() -> None:
    with pytest.raises(PictureError, match="transparent") as caught:
        preprocess(Image.new("RGBA", (28, 28), (9, 9, 9, 0)), DARK)
    assert caught.value.status == 422


@given(
    picture=npst.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))),
    mode=st.sampled_from(["L", "LA", "RGB", "RGBA"]),
)
def test_any_picture_has_the_networks_shape_or_is_not_usable(
    picture: np.ndarray, mode: str
) -> None:
    with suppress(PictureError):
        pixels = preprocess(Image.fromarray(picture).convert(mode), DARK)
        assert pixels.shape == (28, 28)
        assert pixels.dtype == np.uint8
