"""From the bytes of an upload to a picture in memory.

The bytes come from anyone: their size is checked before time and memory are spent on them, and
whatever is wrong with them is the client's error.
"""

import io

import numpy as np
from PIL import Image, ImageOps

from wardrobe.serving.errors import PictureError
from wardrobe.serving.images import foreign
from wardrobe.serving.settings import Limits

Image.init()  # registers the formats
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
LONGEST_SIDE = 384
"""Pixels. Larger pictures are reduced on decoding: this is ample for what becomes 28×28."""


def decode(data: bytes, limits: Limits, longest: int | None = LONGEST_SIDE) -> Image.Image:
    """The picture in `data`, of an animation the first: upright, 8 bits per channel, mode L, LA,
    RGB or RGBA, its sides less than twice `longest` pixels, or of its own size.

    Raises `PictureError` for anything but a complete picture within the limits.
    """
    if len(data) > limits.bytes:
        raise PictureError(
            f"the picture has more than {limits.bytes} bytes; send a smaller one", 413
        )
    if not data:
        raise PictureError("the file is empty; send a picture", 400)
    image_format = _detect_format(data)
    try:
        with Image.open(io.BytesIO(data), formats=[image_format]) as image:
            _check_size(image, limits)
            if longest:
                image.draft(image.mode, (longest, longest))  # JPEG: decodes it smaller
            image.load()
            if image.info:  # it may contain the camera's orientation
                ImageOps.exif_transpose(image, in_place=True)
            decoded = _to_8_bits(image)
            return _reduce(decoded, longest) if longest else decoded
    except PictureError:
        raise
    except Image.DecompressionBombError:
        raise _too_many_pixels(limits) from None
    except Exception as error:  # for damaged data, decoders raise anything at all
        raise PictureError(
            f"the {image_format} picture is damaged or cut short; save it again and send that",
            400,
        ) from error


def is_picture(beginning: bytes) -> bool:
    """Whether a file that begins so, with 16 bytes or more, has one of the accepted formats."""
    return _format(beginning) is not None


def _format(beginning: bytes) -> str | None:
    for name in FORMATS:
        _, accepts = Image.OPEN[name]
        if accepts and accepts(beginning[:16]) is True:
            return name
    return None


def _detect_format(data: bytes) -> str:
    """The accepted format that `data` begins with."""
    if found := _format(data):
        return found
    kind = foreign.name(data)
    raise PictureError(
        f"this is {f'{kind}, ' if kind else ''}not a PNG, JPEG, WebP, GIF or BMP picture; save it"
        " as one of these",
        415,
    )


def _check_size(image: Image.Image, limits: Limits) -> None:
    """Check the size in the header, before memory is allocated for the pixels."""
    if image.width * image.height > limits.pixels:
        raise _too_many_pixels(limits)


def _too_many_pixels(limits: Limits) -> PictureError:
    return PictureError(
        f"the picture has more than {limits.pixels} pixels; send a smaller one", 413
    )


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Convert palettes, single bits, 16 bits, CMYK and the like to L, LA, RGB or RGBA."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        samples = np.asarray(image, dtype=np.float64) / 257  # 65535 is 255
        return Image.fromarray(samples.round().clip(0, 255).astype(np.uint8))
    is_grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        return image.convert("LA" if is_grey else "RGBA")
    return image.convert("L" if is_grey else "RGB")


def _reduce(image: Image.Image, longest: int) -> Image.Image:
    """Average whole blocks of pixels of a large picture, so that what follows is cheap."""
    factor = max(image.size) // longest
    if factor < 2:
        return image
    return image.reduce((min(factor, image.width), min(factor, image.height)))
