"""From the bytes of a file to the pixels that a network takes: the only way there, in training as
in serving.

Which preparation a network was trained with stands in its artifact's `input.json`:

    none      a picture has the network's size already; any other is refused
    resize    stretched or shrunk to the size
    pad       resized in proportion, centred on black
    garment   the garment is cut out, bright on dark, and centred, see `preprocess`

Except by `garment`, no picture is inverted, and transparent pixels count as white paper.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from PIL import Image

from wardrobe.serving.errors import PictureError
from wardrobe.serving.images.decode import LONGEST_SIDE, decode
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.images.preprocess import preprocess, reduce, segment
from wardrobe.serving.settings import Limits, Settings

Pixels = npt.NDArray[np.uint8]

LIMITS = Settings().limits
"""What the service accepts where its operator does not say otherwise."""

Found = Literal["as is", "plain ground", "photograph"]
"""What a picture turned out to be. `as is`: all of it is what the network sees, as it has the size
or no garment is cut out for this network. The others say what a garment was cut out of."""

SMOOTH = Image.Resampling.BILINEAR
"""On shrinking, Pillow widens it to the mean of what a pixel covers: nothing flickers."""


@dataclass(frozen=True)
class Prepared:
    """A picture as a network takes it: `uint8 [height, width]` or `[height, width, 3]`, 0–255."""

    pixels: Pixels
    found: Found


def prepared(data: bytes, target: PictureInput, limits: Limits) -> Prepared:
    """The bytes of a file as `target` says, and what the picture turned out to be.

    Raises `PictureError` for anything but a complete picture within the limits, and for one that
    cannot be prepared.
    """
    image = decode(data, limits, least_side(target))
    if target.prepare != "garment" or image.size == target.shape[::-1]:
        return Prepared(prepare(image, target), "as is")
    garment = segment(image)
    found: Found = "photograph" if garment.is_photographed else "plain ground"
    return Prepared(reduce(garment, target), found)


def prepare(image: Image.Image, target: PictureInput) -> Pixels:
    """A picture of mode L, LA, RGB or RGBA → its pixels, as `target` says.

    Raises `PictureError` (422) if it has the wrong size, or no garment in it.
    """
    if target.prepare == "garment":
        return preprocess(image, target)
    image = _on_paper(image).convert("L" if target.channels == 1 else "RGB")
    size = target.shape[::-1]
    if image.size != size:
        if target.prepare == "none":
            raise PictureError(
                f"the picture has {image.width}×{image.height} pixels, the network takes "
                f"{size[0]}×{size[1]}; send one of that size",
                422,
            )
        image = (_padded if target.prepare == "pad" else _resized)(image, size)
    return np.asarray(image)


def _resized(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    return image.resize(size, SMOOTH)


def _padded(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Resized to fit into `size` in both directions, centred on black."""
    scale = min(side / own for side, own in zip(size, image.size, strict=True))
    width, height = (max(1, round(scale * own)) for own in image.size)
    canvas = Image.new(image.mode, size)
    inner = _resized(image, (width, height))
    canvas.paste(inner, ((size[0] - width) // 2, (size[1] - height) // 2))
    return canvas


def least_side(target: PictureInput) -> int | None:
    """Pixels to which a longer side may be reduced on decoding; None: it is left as it is."""
    return None if target.prepare == "none" else max(LONGEST_SIDE, 2 * max(target.shape))


def _on_paper(image: Image.Image) -> Image.Image:
    if image.mode not in ("LA", "RGBA"):
        return image
    paper = Image.new("RGBA", image.size, "white")
    return Image.alpha_composite(paper, image.convert("RGBA"))
