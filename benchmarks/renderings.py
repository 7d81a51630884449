"""Pictures of the data set made into what people upload: larger, on other grounds, in other files.

A garment of Fashion-MNIST, 28×28 and bright on black, becomes a product picture of 280×280 pixels
again: enlarged (bicubic), turned to dark on light, and put on a ground.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

Pixels = npt.NDArray[np.uint8]
Dice = np.random.Generator
Colour = tuple[int, int, int]

SIDE = 280
WHITE = (255, 255, 255)
COLOURS = ((196, 222, 240), (244, 226, 200), (120, 150, 110), (70, 80, 120), (205, 205, 205))
BEIGE = (244, 226, 200)
HUES = (
    (200, 35, 45), (240, 130, 40), (245, 215, 60), (60, 150, 70), (30, 150, 150),
    (50, 90, 210), (35, 45, 95), (120, 60, 160), (245, 150, 190), (120, 75, 45),
)  # fmt: skip
"""Cloth in full light: red, orange, yellow, green, teal, blue, navy, purple, pink, brown."""
SHADOW = 0.25
"""The light that the darkest part of a dyed garment has left."""
ORIENTATION = 274
"""EXIF's tag: how a picture has to be turned to stand upright."""
UNDONE = {
    3: Image.Transpose.ROTATE_180,
    6: Image.Transpose.ROTATE_90,
    8: Image.Transpose.ROTATE_270,
}


def white_ground(pixels: Pixels, dice: Dice) -> bytes:
    return _file(_placed(pixels, WHITE, SIDE, 0, 0), "PNG")


def black_ground(pixels: Pixels, dice: Dice) -> bytes:
    """As the data set itself, but larger and with a margin."""
    return _file(_turned_round(_placed(pixels, WHITE, 220, 30, 30)), "PNG")


def coloured_ground(pixels: Pixels, dice: Dice) -> bytes:
    return _file(_anywhere(pixels, _colour(dice), dice), "PNG")


def jpeg(pixels: Pixels, dice: Dice) -> bytes:
    return _file(_anywhere(pixels, WHITE, dice), "JPEG", quality=int(dice.integers(60, 95)))


def jpeg_on_colour(pixels: Pixels, dice: Dice) -> bytes:
    return _file(_anywhere(pixels, _colour(dice), dice), "JPEG", quality=int(dice.integers(60, 95)))


def transparent(pixels: Pixels, dice: Dice) -> bytes:
    """Cut out: the garment is opaque, the rest is not."""
    garment, where = _garment(pixels, 220)
    canvas = Image.new("LA", (SIDE, SIDE), (0, 0))
    canvas.paste(Image.merge("LA", (garment, where)), (30, 30))
    return _file(canvas, "PNG")


def turned_by_exif(pixels: Pixels, dice: Dice) -> bytes:
    orientation = int(dice.choice(list(UNDONE)))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    lying = _anywhere(pixels, WHITE, dice).transpose(UNDONE[orientation])
    return _file(lying, "JPEG", quality=90, exif=exif)


def small_in_a_corner(pixels: Pixels, dice: Dice) -> bytes:
    left, top = (5 + int(dice.integers(2)) * (SIDE - 110) for _ in range(2))
    return _file(_placed(pixels, WHITE, 100, left, top), "PNG")


def not_square(pixels: Pixels, dice: Dice) -> bytes:
    wide = _placed(pixels, WHITE, 150, int(dice.integers(0, 130)), 5).crop((0, 0, SIDE, 160))
    high = _placed(pixels, WHITE, 150, 5, int(dice.integers(0, 130))).crop((0, 0, 160, SIDE))
    return _file(wide if dice.random() < 0.5 else high, "JPEG", quality=90)


def uneven_light(pixels: Pixels, dice: Dice) -> bytes:
    """The white ground is grey at one side, as in a shop's own photographs."""
    light = np.linspace(1, 0.85, SIDE)[:, np.newaxis, np.newaxis]
    picture = np.asarray(_anywhere(pixels, WHITE, dice)) * light
    return _file(Image.fromarray(picture.round().astype(np.uint8)), "JPEG", quality=90)


def dyed_on_white(pixels: Pixels, dice: Dice) -> bytes:
    return _file(_dyed(pixels, WHITE, dice), "PNG")


def dyed_on_beige(pixels: Pixels, dice: Dice) -> bytes:
    return _file(_dyed(pixels, BEIGE, dice), "PNG")


def dyed_jpeg_on_white(pixels: Pixels, dice: Dice) -> bytes:
    return _file(_dyed(pixels, WHITE, dice), "JPEG", quality=90)


def dyed_jpeg_on_beige(pixels: Pixels, dice: Dice) -> bytes:
    return _file(_dyed(pixels, BEIGE, dice), "JPEG", quality=90)


Ways = dict[str, Callable[[Pixels, Dice], bytes]]
"""Each makes the bytes of a file from `uint8 [28, 28]`, bright on black."""


def _named(*ways: Callable[[Pixels, Dice], bytes]) -> Ways:
    return {way.__name__.replace("_", " "): way for way in ways}


WAYS = _named(
    white_ground, black_ground, coloured_ground, jpeg, jpeg_on_colour, transparent,
    turned_by_exif, small_in_a_corner, not_square, uneven_light,
)  # fmt: skip
"""The garment is grey."""
DYED = _named(dyed_on_white, dyed_on_beige, dyed_jpeg_on_white, dyed_jpeg_on_beige)
"""The garment is of one colour, lighter and darker."""


def _garment(pixels: Pixels, side: int) -> tuple[Image.Image, Image.Image]:
    """The garment dark on white, and where it is: both of mode L and side × side."""
    around = np.pad((pixels == 0).astype(np.uint8), 1, constant_values=1)
    outline = Image.fromarray(around).copy()  # an array's own image is read-only, in silence
    ImageDraw.floodfill(outline, (0, 0), 2)  # the black around the garment, not that within it
    inside = (np.asarray(outline)[1:-1, 1:-1] != 2).astype(np.uint8) * 255
    size, filter_ = (side, side), Image.Resampling.BICUBIC
    return (
        Image.fromarray(255 - pixels).resize(size, filter_),
        Image.fromarray(inside).resize(size, filter_),
    )


def _placed(pixels: Pixels, ground: Colour, side: int, left: int, top: int) -> Image.Image:
    garment, where = _garment(pixels, side)
    canvas = Image.new("RGB", (SIDE, SIDE), ground)
    canvas.paste(garment.convert("RGB"), (left, top), None if ground == WHITE else where)
    return canvas


def _anywhere(pixels: Pixels, ground: Colour, dice: Dice) -> Image.Image:
    side = int(dice.integers(140, 260))
    left, top = (int(dice.integers(4, SIDE - side - 3)) for _ in range(2))
    return _placed(pixels, ground, side, left, top)


def _dyed(pixels: Pixels, ground: Colour, dice: Dice) -> Image.Image:
    """Anywhere on a ground, its white the colour in full light, its black that in shadow."""
    side = int(dice.integers(140, 260))
    left, top = (int(dice.integers(4, SIDE - side - 3)) for _ in range(2))
    garment, where = _garment(pixels, side)
    hue = np.array(HUES[int(dice.integers(len(HUES)))])
    light = SHADOW + (1 - SHADOW) * np.asarray(garment)[..., np.newaxis] / 255
    canvas = Image.new("RGB", (SIDE, SIDE), ground)
    canvas.paste(Image.fromarray((hue * light).round().astype(np.uint8)), (left, top), where)
    return canvas


def _colour(dice: Dice) -> Colour:
    return COLOURS[int(dice.integers(len(COLOURS)))]


def _turned_round(image: Image.Image) -> Image.Image:
    return Image.fromarray(255 - np.asarray(image))


def _file(image: Image.Image, kind: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()
