"""From a decoded picture to the pixels that a network knows: grey → ground → crop → fit.

Networks learn garments as Fashion-MNIST shows them: bright on black, the longer side from edge to
edge, centred. A picture that has the network's shape already is taken to be prepared: at most it is
turned from light ground to dark, no pixel is moved or changed.
"""

from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from serving.artifacts import PictureInput
from serving.errors import PictureError

Grey = npt.NDArray[np.uint8]
Pixel = TypeVar("Pixel", np.uint8, np.float32)

LEAST_CONTRAST = 24
"""Grey levels above the ground from which a pixel is garment; noise of JPEG stays below."""


def prepare(image: Image.Image, wanted: PictureInput) -> Grey:
    """A picture of mode L, LA, RGB or RGBA → `uint8 [height, width]`, 0–255, as `wanted`.

    Raises `PictureError` where there is nothing on the ground.
    """
    picture = grey(image)
    is_light = on_light_ground(picture)
    picture = 255 - picture if is_light else picture
    if picture.shape != wanted.shape:
        picture = fit(crop(blacken(picture)), wanted.shape)
    stays_light = is_light if wanted.ground == "mixed" else wanted.ground == "light"
    return 255 - picture if stays_light else picture


def grey(image: Image.Image) -> Grey:
    """Luminance (ITU-R 601), `uint8 [H, W]`; what is transparent shows the likely ground."""
    if image.mode not in ("LA", "RGBA"):
        return np.asarray(image.convert("L"))
    picture, alpha = (np.asarray(band, np.float32) for band in image.convert("LA").split())
    behind = _ground_behind(picture, alpha)
    return np.rint(behind + (picture - behind) * (alpha / 255)).astype(np.uint8)


def _ground_behind(picture: npt.NDArray[np.float32], alpha: npt.NDArray[np.float32]) -> float:
    """What to see a transparent picture against, 0–255: its own ground where the border has one,
    else black behind a bright garment and white behind a dark one."""
    if not alpha.any():
        raise PictureError(
            "the picture is transparent all over; send one with a garment in it", 422
        )
    edge, edge_alpha = border(picture), border(alpha)
    if edge_alpha.mean() > 127.5:
        return float(np.median(edge[edge_alpha > 127.5]))
    return 0.0 if np.average(picture, weights=alpha) > 127.5 else 255.0


def border(picture: npt.NDArray[Pixel]) -> npt.NDArray[Pixel]:
    """The outermost pixels of `[H, W]`, in a row."""
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])


def on_light_ground(picture: Grey) -> bool:
    """Whether the border of `[H, W]` is bright on average.

    The mean is right for all 70,000 pictures of Fashion-MNIST, whose garments touch the border;
    the median is wrong for two of them.
    """
    return bool(border(picture).mean() > 127.5)


def blacken(picture: Grey) -> Grey:
    """Stretches a picture on dark ground so that the ground, seldom quite black, becomes 0.

    The ground's level is the border's lower quartile: garments may touch the rest of it.
    """
    ground = float(np.percentile(border(picture), 25))
    stretched = (picture.astype(np.float32) - ground) * (255 / (255 - ground))
    return np.asarray(stretched.clip(0, 255).round(), np.uint8)


def crop(picture: Grey) -> Grey:
    """The smallest box of `[H, W]` that holds everything brighter than the black ground.

    Raises `PictureError` (422) if nothing is.
    """
    garment = picture > LEAST_CONTRAST
    rows, columns = np.flatnonzero(garment.any(axis=1)), np.flatnonzero(garment.any(axis=0))
    if not rows.size:
        raise PictureError("the picture is blank; send one with a garment in it", 422)
    return picture[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def fit(picture: Grey, shape: tuple[int, int]) -> Grey:
    """`[H, W]` scaled, its proportions kept, to touch the frame of `shape`; centred on black.

    Hamming's filter is as sharp as the next but leaves no light or dark rims along edges.
    """
    scale = min(wanted / side for wanted, side in zip(shape, picture.shape, strict=True))
    height, width = (max(1, round(side * scale)) for side in picture.shape)
    scaled = Image.fromarray(picture).resize((width, height), Image.Resampling.HAMMING)
    top, left = (shape[0] - height) // 2, (shape[1] - width) // 2
    framed = np.zeros(shape, np.uint8)
    framed[top : top + height, left : left + width] = np.asarray(scaled)
    return framed
