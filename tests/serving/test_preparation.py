from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst
from PIL import Image

from serving.artifacts import PictureInput
from serving.decoding import decode
from serving.errors import PictureError
from serving.preparation import prepare
from serving.settings import Limits

DARK = PictureInput((28, 28), "dark")
LIGHT = PictureInput((28, 28), "light")
MIXED = PictureInput((28, 28), "mixed")
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


def on(ground: int, garment: np.ndarray, margin: int) -> np.ndarray:
    """The bright garment on a ground of 0, or turned round on one of 255."""
    framed = np.pad(garment, margin)
    return framed if ground == 0 else 255 - framed


@given(picture=garments(), kind=st.sampled_from(sorted(LOSSLESS)))
def test_a_28x28_picture_on_dark_ground_arrives_pixel_identical(
    encode, picture: np.ndarray, kind: str
) -> None:
    decoded = decode(encode(picture, kind, **LOSSLESS[kind]), Limits(10**6, 10**6))
    np.testing.assert_array_equal(prepare(decoded, DARK), picture)


@given(picture=garments())
def test_a_picture_on_light_ground_is_turned_round(picture: np.ndarray) -> None:
    np.testing.assert_array_equal(prepare(Image.fromarray(255 - picture), DARK), picture)


@given(picture=garments())
def test_colour_and_opacity_change_nothing(picture: np.ndarray) -> None:
    for mode in ("RGB", "RGBA", "LA"):
        np.testing.assert_array_equal(
            prepare(Image.fromarray(picture).convert(mode), DARK), picture
        )


@given(picture=garments())
def test_the_ground_is_the_one_the_network_learnt(picture: np.ndarray) -> None:
    dark, light = Image.fromarray(picture), Image.fromarray(255 - picture)
    for image in (dark, light):
        np.testing.assert_array_equal(prepare(image, DARK), picture)
        np.testing.assert_array_equal(prepare(image, LIGHT), 255 - picture)
    np.testing.assert_array_equal(prepare(dark, MIXED), picture)
    np.testing.assert_array_equal(prepare(light, MIXED), 255 - picture)


@pytest.mark.parametrize("ground", [0, 255])
@pytest.mark.parametrize("scale", [1, 3, 10])
@pytest.mark.parametrize("margin", [1, 17])
def test_a_garment_is_found_and_fitted_whatever_its_size_and_place(
    ground: int, scale: int, margin: int
) -> None:
    garment = shirt(28, 28)
    large = np.kron(garment, np.ones((scale, scale), np.uint8))
    off_centre = np.pad(on(ground, large, margin), ((0, 9), (0, 0)), constant_values=ground)
    prepared = prepare(Image.fromarray(off_centre), DARK)
    assert np.abs(prepared.astype(int) - garment).mean() < 2


@given(height=st.integers(1, 120), width=st.integers(1, 120), ground=st.sampled_from([0, 255]))
def test_the_longer_side_spans_the_frame_and_the_shorter_is_centred(
    height: int, width: int, ground: int
) -> None:
    garment = np.full((height, width), 200, np.uint8)
    prepared = prepare(Image.fromarray(on(ground, garment, 15)), DARK)
    scale = 28 / max(height, width)
    rows, columns = np.flatnonzero(prepared.any(axis=1)), np.flatnonzero(prepared.any(axis=0))
    for span, side in ((rows, height), (columns, width)):
        assert span.size == max(1, round(side * scale))
        assert abs(span[0] - (27 - span[-1])) <= 1


def test_the_shape_is_the_networks() -> None:
    tall = PictureInput((64, 32), "dark")
    prepared = prepare(Image.fromarray(on(255, shirt(50, 25), 20)), tall)
    assert prepared.shape == (64, 32)
    assert prepared.dtype == np.uint8


def test_a_ground_that_is_not_quite_white_becomes_black() -> None:
    noisy = on(255, shirt(200, 200), 40).astype(int) - np.random.default_rng(1).integers(
        10, 20, (280, 280)
    )
    prepared = prepare(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), DARK)
    assert prepared[20:, 0].max() < 5


@pytest.mark.parametrize("shade", [20, 235])
def test_a_transparent_picture_stands_on_a_ground_that_shows_it(shade: int) -> None:
    alpha = on(0, np.where(shirt(100, 100) > 0, 255, 0).astype(np.uint8), 20)
    image = Image.merge("LA", [Image.new("L", alpha.shape[::-1], shade), Image.fromarray(alpha)])
    prepared = prepare(image, DARK)
    np.testing.assert_array_equal(prepared > 127, shirt(28, 28) > 0)


def test_transparent_corners_take_the_ground_of_the_border() -> None:
    picture = on(255, shirt(100, 100), 30)
    alpha = np.full(picture.shape, 255, np.uint8)
    alpha[:8, :8] = alpha[-8:, -8:] = 0
    image = Image.merge("LA", [Image.fromarray(picture), Image.fromarray(alpha)])
    plain = Image.fromarray(picture)
    np.testing.assert_array_equal(prepare(image, DARK), prepare(plain, DARK))


@pytest.mark.parametrize("level", [0, 90, 255])
def test_a_blank_picture_is_not_usable(level: int) -> None:
    with pytest.raises(PictureError, match="blank") as caught:
        prepare(Image.new("L", (100, 80), level), DARK)
    assert caught.value.status == 422


def test_a_wholly_transparent_picture_is_not_usable() -> None:
    with pytest.raises(PictureError, match="transparent") as caught:
        prepare(Image.new("RGBA", (28, 28), (9, 9, 9, 0)), DARK)
    assert caught.value.status == 422


@given(
    picture=npst.arrays(np.uint8, st.tuples(st.integers(1, 40), st.integers(1, 40))),
    mode=st.sampled_from(["L", "LA", "RGB", "RGBA"]),
)
def test_any_picture_has_the_networks_shape_or_is_not_usable(
    picture: np.ndarray, mode: str
) -> None:
    with suppress(PictureError):
        prepared = prepare(Image.fromarray(picture).convert(mode), DARK)
        assert prepared.shape == (28, 28)
        assert prepared.dtype == np.uint8
