"""From a decoded picture to the pixels that a network knows: separate → shade → crop → fit.

Networks learn garments as Fashion-MNIST shows them, measured on its 60,000 training pictures:
bright on black, the brightest pixel 255 in every one, the longer side from edge to edge in 98 %,
the box around the garment centred, a pixel that is left over to the left or above. That is how
they are prepared here. A picture that has the network's shape already is taken to be prepared: at
most it is turned from light ground to dark, no pixel is moved or changed.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from serving.artifacts import PictureInput
from serving.errors import PictureError
from serving.separation import (
    NEAR,
    Colours,
    Floats,
    PlainGround,
    border,
    contrast,
    in_photograph,
    luminance,
    plain_ground,
    reduced,
    without_halo,
)

Grey = npt.NDArray[np.uint8]

BLACK = 40
"""Luminance up to which a plain ground is the data set's own, with a bright garment on it."""
LIGHT = 180
"""Luminance from which a plain ground can be paper in some light, and tells what white is."""
BROADEST = 0.9
"""Width by height of a garment in a photograph. Laid on a floor, sleeves spread, it is broader than
in the data set; what is broader by far, such as a shoe, lies on its side and stays as it is."""
ON_ITS_SIDE = 1.5


@dataclass(frozen=True)
class Garment:
    """A garment cut out of a picture."""

    shades: Floats
    """`[H, W]`: bright where the garment is dark, or as it is if it came on black."""
    contrast: Floats
    """`[H, W]`: how clearly each pixel is garment; 0 where it is none."""
    on_light: bool
    is_photographed: bool = False


def prepare(image: Image.Image, wanted: PictureInput) -> Grey:
    """A picture of mode L, LA, RGB or RGBA → `uint8 [height, width]`, 0–255, as `wanted`.

    Raises `PictureError` where there is nothing on the ground.
    """
    if (image.height, image.width) == wanted.shape:
        picture = grey(image)
        on_light = on_light_ground(picture)
        picture = 255 - picture if on_light else picture
    else:
        garment = separate(image)
        on_light = garment.on_light
        picture = fit(narrow(crop(garment)), wanted.shape)
    stays_light = on_light if wanted.ground == "mixed" else wanted.ground == "light"
    return 255 - picture if stays_light else picture


def separate(image: Image.Image) -> Garment:
    """Finds the garment: what is opaque, or what differs from a plain ground, or what GrabCut finds
    in a photograph."""
    colours = np.asarray(image.convert("RGB"))
    if image.mode in ("LA", "RGBA"):
        alpha = np.asarray(image.getchannel("A"))
        if is_cut_out(alpha):
            return Garment(255 - luminance(colours), alpha.astype(np.float32), on_light=True)
        colours = filled(colours, alpha)
    ground = plain_ground(colours)
    if ground is None:
        colours = reduced(colours)
        where, light = in_photograph(colours), luminance(colours)
        white = np.percentile(light, 99).astype(np.float32)
        return Garment(white - light, where.astype(np.float32), True, is_photographed=True)
    clear, light = contrast(colours, ground), luminance(colours)
    if ground.level <= BLACK:
        return Garment(light - luminance(ground.colours), clear, on_light=False)
    if ground.is_colourless and ground.level >= LIGHT and not _is_lighter(light, clear, ground):
        paper = luminance(ground.colours).clip(1)
        return Garment(255 * (1 - light / paper), clear, on_light=True)
    return Garment(255 - light, without_halo(clear), on_light=True)


def _is_lighter(light: Floats, clear: Floats, ground: PlainGround) -> bool:
    """Whether some of the garment is lighter than its ground, which then is not white."""
    return bool(clear.any() and np.percentile(light[clear > 0], 99) > ground.level + NEAR)


def crop(garment: Garment) -> Garment:
    """The smallest box that holds the garment; 0 where it is not.

    Raises `PictureError` (422) if there is none.
    """
    if not garment.contrast.any():
        raise PictureError("the picture is blank; send one with a garment in it", 422)
    box = extent(garment.contrast.max(axis=1)), extent(garment.contrast.max(axis=0))
    clear = garment.contrast[box]
    # At least 1: a garment as white as paper is still one.
    shades = np.where(clear > 0, garment.shades[box].clip(1, 255), 0).astype(np.float32)
    return replace(garment, shades=shades, contrast=clear)


def extent(profile: Floats) -> slice:
    """From edge to edge along an axis, for the greatest contrast at each place `float32 [L]`.

    An edge that is blurred lies where it has half its height; it is as high as what follows within
    a pixel of the network, say a thirtieth of the garment.
    """
    there = np.flatnonzero(profile)
    first, last = int(there[0]), int(there[-1])
    depth = 1 + (last - first) // 30

    def edge(inwards: Floats) -> int:
        return int(np.argmax(inwards >= inwards.max() / 2))

    return slice(
        first + edge(profile[first : first + depth]),
        last + 1 - edge(profile[last - depth + 1 : last + 1][::-1]),
    )


def narrow(garment: Garment) -> Floats:
    """The shades `[H, W]`, of a garment in a photograph no broader than in the data set."""
    height, width = garment.shades.shape
    if garment.is_photographed and BROADEST < width / height < ON_ITS_SIDE:
        return _resized(garment.shades, height, max(1, round(BROADEST * height)))
    return garment.shades


def fit(shades: Floats, shape: tuple[int, int]) -> Grey:
    """`float32 [H, W]` scaled, its proportions kept, to touch the frame of `shape`; centred on
    black, the brightest pixel 255.

    Each pixel is the mean of what falls into it: of Pillow's filters, this one and Lanczos' give
    back most of a picture that had been enlarged, and this one leaves no rims along edges.
    """
    scale = min(wanted / side for wanted, side in zip(shape, shades.shape, strict=True))
    height, width = (max(1, round(side * scale)) for side in shades.shape)
    scaled = _resized(shades, height, width)
    top, left = (shape[0] - height + 1) // 2, (shape[1] - width + 1) // 2
    framed = np.zeros(shape, np.float32)
    framed[top : top + height, left : left + width] = scaled * (255 / scaled.max())
    return framed.clip(0, 255).round().astype(np.uint8)


def _resized(shades: Floats, height: int, width: int) -> Floats:
    image = Image.fromarray(shades).resize((width, height), Image.Resampling.BOX)
    return np.asarray(image, np.float32)


def grey(image: Image.Image) -> Grey:
    """Luminance (ITU-R 601), `uint8 [H, W]`; what is transparent shows the likely ground."""
    if image.mode not in ("LA", "RGBA"):
        return np.asarray(image.convert("L"))
    picture, alpha = (np.asarray(band) for band in image.convert("LA").split())
    if is_cut_out(alpha):
        # Black behind a bright garment, white behind a dark one.
        behind = 0.0 if np.average(picture, weights=alpha) > 127.5 else 255.0
        return _over(picture, alpha, np.float32(behind))
    return _over(picture, alpha, _of_the_border(picture, alpha))


def is_cut_out(alpha: Grey) -> bool:
    """Whether most of the border `[H, W]` is transparent, so that what is opaque is the garment.

    Raises `PictureError` (422) if nothing is.
    """
    if not alpha.any():
        raise PictureError(
            "the picture is transparent all over; send one with a garment in it", 422
        )
    return bool(border(alpha).mean() <= 127.5)


def filled(colours: Colours, alpha: Grey) -> Colours:
    """`[H, W, 3]` with the border's colour behind what is transparent."""
    return _over(colours, alpha[..., np.newaxis], _of_the_border(colours, alpha))


def _of_the_border(picture: Grey, alpha: Grey) -> npt.NDArray[np.float32]:
    opaque = border(picture)[border(alpha) > 127.5]
    return np.asarray(np.median(opaque, axis=0), np.float32)


def _over(picture: Grey, alpha: Grey, behind: npt.NDArray[np.float32] | np.float32) -> Grey:
    return np.rint(behind + (picture - behind) * (alpha / np.float32(255))).astype(np.uint8)


def on_light_ground(picture: Grey) -> bool:
    """Whether the border of `[H, W]` is bright on average.

    The mean is right for all 70,000 pictures of Fashion-MNIST, whose garments touch the border;
    the median is wrong for two of them.
    """
    return bool(border(picture).mean() > 127.5)
