"""From a decoded picture to the pixels that a network knows: separate → shade → crop → fit.

Networks learn garments as Fashion-MNIST shows them, measured on its 60,000 training pictures:
bright on black, the brightest pixel 255 in every one, the longer side from edge to edge in 98 %,
the box around the garment centred, a pixel that is left over to the left or above. That is how
they are prepared here. A picture that has the network's shape already is taken to be prepared: at
most it is turned from light ground to dark, no pixel is moved or changed.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from wardrobe.serving.errors import PictureError
from wardrobe.serving.images.segment import (
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
from wardrobe.serving.inference.artifacts import PictureInput

Grey = npt.NDArray[np.uint8]

BLACK = 40
"""Luminance up to which a plain ground is the data set's own, with a bright garment on it."""
LIGHT = 180
"""Luminance from which a plain ground can be paper in some light, and tells what white is."""
BROADEST = 0.9
"""Width by height of a garment in a photograph. Laid on a floor, sleeves spread, it is broader than
in the data set; what is broader by far, such as a shoe, lies on its side and stays as it is."""
ON_ITS_SIDE = 1.5
FINEST = 8
"""Pixels of a picture for one of the network, along a side: more than that are averaged first, or
the weave of a cloth would show as noise."""
FAINT, HALF = 0.1, 0.5
"""Heights of an edge. The longer side fills the frame: a dim row that is cut off would enlarge all
others. The shorter one is centred, and a blurred edge lies where it has half its height."""


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


def _blank() -> PictureError:
    return PictureError("the picture is blank; send one with a garment in it", 422)


def crop(garment: Garment) -> Garment:
    """The smallest box that holds the garment; 0 where it is not.

    Raises `PictureError` (422) if there is none.
    """
    if not garment.contrast.any():
        raise _blank()
    rows, columns = garment.contrast.max(axis=1), garment.contrast.max(axis=0)
    is_high = np.ptp(np.flatnonzero(rows)) >= np.ptp(np.flatnonzero(columns))
    box = extent(rows, FAINT if is_high else HALF), extent(columns, HALF if is_high else FAINT)
    clear = garment.contrast[box]
    # At least 1: a garment as white as paper is still one.
    shades = np.where(clear > 0, garment.shades[box].clip(1, 255), 0).astype(np.float32)
    return replace(garment, shades=shades, contrast=clear)


def extent(profile: Floats, height: float) -> slice:
    """From edge to edge along an axis, for the greatest contrast at each place `float32 [L]`.

    An edge lies where it has `height` of what follows within a pixel of the network, say a
    thirtieth of the garment.
    """
    there = np.flatnonzero(profile)
    first, last = int(there[0]), int(there[-1])
    depth = 1 + (last - first) // 30

    def edge(inwards: Floats) -> int:
        return int(np.argmax(inwards >= height * inwards.max()))

    return slice(
        first + edge(profile[first : first + depth]),
        last + 1 - edge(profile[last - depth + 1 : last + 1][::-1]),
    )


def narrow(garment: Garment) -> Floats:
    """The shades `[H, W]`, of a garment in a photograph no broader than in the data set, and
    smoothed: GrabCut leaves a ragged outline."""
    if not garment.is_photographed:
        return garment.shades
    shades = cv2.blur(garment.shades, (3, 3), borderType=cv2.BORDER_CONSTANT)
    height, width = shades.shape
    if BROADEST < width / height < ON_ITS_SIDE:
        size = max(1, round(BROADEST * height)), height
        shades = Image.fromarray(shades).resize(size, Image.Resampling.BOX)
    return np.asarray(shades, np.float32)


def fit(shades: Floats, shape: tuple[int, int]) -> Grey:
    """`float32 [H, W]` scaled, its proportions kept, to touch the frame of `shape`; centred on
    black, the brightest pixel 255.

    Each pixel shows one point of the picture, not the mean of what falls into it: the data set
    itself was made by leaving out rows and columns, and sharpened afterwards (Xiao et al. 2017,
    arXiv 1708.07747, section 2). Means are softer than anything in it.

    Raises `PictureError` (422) if there is nothing at any of the points.
    """
    step = max(side / wanted for side, wanted in zip(shades.shape, shape, strict=True))
    top, left = (
        _begins(side, wanted, step) for side, wanted in zip(shades.shape, shape, strict=True)
    )
    averaged = max(1, int(step / FINEST))
    framed = (
        Image.fromarray(shades)
        .reduce(averaged)
        .transform(
            shape[::-1],
            Image.Transform.AFFINE,
            tuple(value / averaged for value in (step, 0, left, 0, step, top)),
            Image.Resampling.BILINEAR,
        )
    )
    points = np.asarray(framed, np.float32)
    if not points.any():
        raise _blank()
    bright: Floats = points * (255 / points.max())
    return bright.clip(0, 255).round().astype(np.uint8)


def _begins(side: int, wanted: int, step: float) -> float:
    """Where the frame begins along a side of the picture, so that the garment's middle is in that
    of whole pixels of the frame."""
    size = max(1, round(side / step))
    return side / 2 - step * ((wanted - size + 1) // 2 + size / 2)


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
