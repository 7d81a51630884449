"""Segmentation: which pixels of a picture are the garment.

On a plain background, whatever differs from it is garment. In a photograph, on a floor or a bed,
GrabCut finds it (Rother, Kolmogorov, Blake, "GrabCut: interactive foreground extraction using
iterated graph cuts", SIGGRAPH 2004): the rim is background, the middle is probably garment, and the
colours of both are learnt from there.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import cv2
import numpy as np
import numpy.typing as npt

Colours = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]
Number = TypeVar("Number", np.uint8, np.int32, np.float32)

cv2.setNumThreads(1)  # several workers, and several pictures in each, share the cores

NEAR = 16
"""Levels by which a background pixel of the border may differ from the fit, in any channel."""
MIN_BORDER_SHARE = 0.6
"""Share of the border that must be background; garments may touch the rest."""
MAX_NOISE = 6
"""Levels of noise of a plain background; cloth or wood has more and makes it a photograph."""
MIN_CONTRAST = 3
GRABCUT_SIDE = 128
"""Pixels of the longer side for GrabCut. With 96 it takes half the time, and networks name about
one photograph in a hundred less rightly; with 64 it is two."""
GRABCUT_ITERATIONS = 2
"""Four take half as long again, and networks name as many photographs rightly."""
MIN_GRABCUT_SIDE = 16
"""Pixels; smaller pictures hold too few colours for GrabCut to learn from."""


@dataclass(frozen=True)
class PlainBackground:
    """A background of one colour under even or slanting light."""

    colours: Floats
    """`[H, W, 3]`, 0–255: the background at each pixel, also where the garment hides it."""
    noise: float
    """Levels by which its pixels differ from `colours`; the 90th percentile."""

    @cached_property
    def level(self) -> float:
        """Its mean luminance, 0–255."""
        return float(luminance(self.colours).mean())

    @property
    def is_colourless(self) -> bool:
        return bool(np.ptp(self.colours.mean(axis=(0, 1))) <= NEAR)


def plain_background(picture: Colours) -> PlainBackground | None:
    """The background of `uint8 [H, W, 3]` if it is plain: a plane in each channel, fitted to the
    border, that most of the border agrees with. None if it is not."""
    height, width = picture.shape[:2]
    rows, columns = np.indices((height, width), np.float32)
    positions = np.stack([np.ones_like(rows), rows / height - 0.5, columns / width - 0.5], axis=-1)
    edge, edge_positions = border(picture).astype(np.float32), border(positions)
    fitted = np.broadcast_to(np.median(edge, axis=0), edge.shape)
    for tolerance in (2 * NEAR, NEAR, NEAR):
        is_background = np.abs(edge - fitted).max(axis=1) <= tolerance
        if is_background.mean() < MIN_BORDER_SHARE:
            return None
        plane = np.linalg.lstsq(edge_positions[is_background], edge[is_background], rcond=None)[0]
        fitted = edge_positions @ plane
    noise = float(np.percentile(np.abs(edge - fitted).max(axis=1)[is_background], 90))
    colours = np.asarray((positions @ plane).clip(0, 255), np.float32)
    return PlainBackground(colours, noise) if noise <= MAX_NOISE else None


def contrast(picture: Colours, background: PlainBackground) -> Floats:
    """How much each pixel differs from the background, `float32 [H, W]`; 0 within its noise.

    Differences are first averaged over a few pixels, which removes the ripples that JPEG leaves
    around a garment and keeps its outline.
    """
    size = 1 + 2 * (max(picture.shape) // 200)
    difference = np.abs(
        cv2.blur(picture - background.colours, (size, size), borderType=cv2.BORDER_REPLICATE)
    ).max(axis=-1)
    return np.where(difference > MIN_CONTRAST + 2 * background.noise, difference, np.float32(0))


def without_halo(contrast: Floats) -> Floats:
    """The contrast without the halo around a garment, `float32 [H, W]`: JPEG smears colours across
    its edge, and pixels on the edge are a mixture.

    A pixel is clear if its contrast is at least a quarter of the greatest within half a pixel of
    the network around it, and a quarter of the garment's median. What is not clear but enclosed
    belongs to the garment. With a fifth, a third or a half, fewer renderings keep their label.
    """
    if not contrast.any():
        return contrast
    median = np.median(contrast[contrast > 0])
    clear = contrast > np.maximum(cv2.dilate(contrast, half_pixel(contrast > 0)), median) / 4
    _, pieces = cv2.connectedComponents((~clear).astype(np.uint8), connectivity=4)
    return np.where(np.isin(pieces, border(pieces)) & ~clear, np.float32(0), contrast)


def half_pixel(where: Mask) -> npt.NDArray[np.uint8]:
    """The neighbourhood within half a pixel of the network around a pixel of the garment that is at
    `where [H, W]`."""
    longer = max(np.ptp(positions) for positions in np.nonzero(where))
    return np.ones(2 * (2 * round(longer / 56) + 1,), np.uint8)


def photographed_garment(picture: Colours) -> Mask:
    """The largest object that GrabCut finds in `uint8 [H, W, 3]`, `bool [H, W]`; the whole picture
    if it finds none."""
    everything = np.ones(picture.shape[:2], bool)
    height, width = picture.shape[:2]
    if min(height, width) < MIN_GRABCUT_SIDE:
        return everything
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    rim = max(1, min(height, width) // 50)
    mask[rim:-rim, rim:-rim] = cv2.GC_PR_BGD
    mask[height // 14 : -(height // 14), width // 14 : -(width // 14)] = cv2.GC_PR_FGD
    cv2.setRNGSeed(1)  # the same picture always gets the same mask
    cv2.grabCut(
        cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), mask, None, np.zeros((1, 65)), np.zeros((1, 65)),
        GRABCUT_ITERATIONS, cv2.GC_INIT_WITH_MASK,
    )  # fmt: skip
    found = cv2.morphologyEx(mask & 1, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, pieces, statistics, _ = cv2.connectedComponentsWithStats(found)
    if len(statistics) < 2:
        return everything
    return np.asarray(pieces == 1 + statistics[1:, cv2.CC_STAT_AREA].argmax())


def resized_for_grabcut(picture: Colours) -> Colours:
    """`uint8 [H, W, 3]` with a longer side of `GRABCUT_SIDE`, for `photographed_garment`."""
    height, width = picture.shape[:2]
    scale = GRABCUT_SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=method), np.uint8)


def luminance(picture: npt.NDArray[np.float32] | Colours) -> Floats:
    """`[H, W, 3]` → luminance by ITU-R 601, `float32 [H, W]`."""
    return np.asarray(picture @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def border(picture: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The outermost pixels of `[H, W, …]` → `[2·(H + W) - 4, …]`."""
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])
