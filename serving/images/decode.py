"""From the bytes of an upload to a picture in memory. The bytes are from anyone: nothing is spent
on them before it is known to be little, and whatever is wrong with them is the sender's error."""

import io

import numpy as np
from PIL import Image, ImageOps

from wardrobe.serving.errors import PictureError
from wardrobe.serving.settings import Limits

Image.init()  # registers the formats
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
LONGEST_SIDE = 384
"""Pixels beyond which a decoded picture is reduced: ample for what becomes 28×28."""


def decode(data: bytes, limits: Limits) -> Image.Image:
    """The (first) picture in `data`: upright, of 8 bits, mode L, LA, RGB or RGBA, and of less than
    twice `LONGEST_SIDE`.

    Raises `PictureError` for everything that is not a whole, reasonably large picture.
    """
    if len(data) > limits.bytes:
        raise PictureError(
            f"the picture has more than {limits.bytes} bytes; send a smaller one", 413
        )
    if not data:
        raise PictureError("the file is empty; send a picture", 400)
    image_format = _format(data)
    try:
        with Image.open(io.BytesIO(data), formats=[image_format]) as image:
            _check_size(image, limits)
            image.draft(image.mode, (LONGEST_SIDE, LONGEST_SIDE))  # JPEG: decodes it smaller
            image.load()
            if image.info:  # it may say how the camera was held
                ImageOps.exif_transpose(image, in_place=True)
            return _reduce(_plain(image))
    except PictureError:
        raise
    except Image.DecompressionBombError:
        raise _too_many_pixels(limits) from None
    except Exception as error:  # decoders raise anything at all for damaged data
        raise PictureError(
            f"the {image_format} picture is damaged or cut short; save it anew and send it again",
            400,
        ) from error


def _format(data: bytes) -> str:
    """Which of the accepted formats `data` begins as."""
    for name in FORMATS:
        _, accepts = Image.OPEN[name]
        if accepts and accepts(data[:16]) is True:
            return name
    raise PictureError(
        "this is no PNG, JPEG, WebP, GIF or BMP picture; save it as one of these", 415
    )


def _check_size(image: Image.Image, limits: Limits) -> None:
    """Judges the header, before there is memory for any pixel."""
    if image.width * image.height > limits.pixels:
        raise _too_many_pixels(limits)


def _too_many_pixels(limits: Limits) -> PictureError:
    return PictureError(
        f"the picture has more than {limits.pixels} pixels; send a smaller one", 413
    )


def _plain(image: Image.Image) -> Image.Image:
    """Palettes, single bits, 16 bits, CMYK and the like as L, LA, RGB or RGBA."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        samples = np.asarray(image, dtype=np.float64) / 257  # 65535 is 255
        return Image.fromarray(samples.round().clip(0, 255).astype(np.uint8))
    is_grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        return image.convert("LA" if is_grey else "RGBA")
    return image.convert("L" if is_grey else "RGB")


def _reduce(image: Image.Image) -> Image.Image:
    """Averages whole blocks of pixels of a large picture, so that what follows is cheap."""
    factor = max(image.size) // LONGEST_SIDE
    if factor < 2:
        return image
    return image.reduce((min(factor, image.width), min(factor, image.height)))
