"""Where in a picture the garment is.

A plain ground tells it by itself: whatever differs from it is garment. In a photograph, on a floor
or a bed, GrabCut does (Rother, Kolmogorov, Blake, "GrabCut: interactive foreground extraction using
iterated graph cuts", SIGGRAPH 2004): the rim is ground, the middle probably garment, and colours
are learnt from there.
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
"""Levels of any channel within which a pixel of the border can be ground."""
PLAIN = 0.6
"""Share of the border that must be ground; garments may touch the rest."""
STEADY = 6
"""Noise of a plain ground, in levels; more, as of cloth or wood, is a photograph's."""
LEAST_CONTRAST = 3
SIDE = 128
"""Pixels of the longer side for GrabCut; with 96 it takes half the time and misses more."""
ROUNDS = 4
SMALLEST = 16
"""Sides of pictures in which there is nothing for GrabCut to learn from."""


@dataclass(frozen=True)
class PlainGround:
    """A ground of one colour under even or slanting light."""

    colours: Floats
    """`[H, W, 3]`, 0–255: how the ground looks, or would look, at each pixel."""
    noise: float

    @cached_property
    def level(self) -> float:
        """Its luminance, 0–255, on average."""
        return float(luminance(self.colours).mean())

    @property
    def is_colourless(self) -> bool:
        return bool(np.ptp(self.colours.mean(axis=(0, 1))) <= NEAR)


def plain_ground(picture: Colours) -> PlainGround | None:
    """The ground of `uint8 [H, W, 3]`, if it is plain: a plane in each channel that most of the
    border lies on."""
    height, width = picture.shape[:2]
    rows, columns = np.indices((height, width), np.float32)
    places = np.stack([np.ones_like(rows), rows / height - 0.5, columns / width - 0.5], axis=-1)
    edge, at = border(picture).astype(np.float32), border(places)
    fitted = np.broadcast_to(np.median(edge, axis=0), edge.shape)
    for near in (2 * NEAR, NEAR, NEAR):
        is_ground = np.abs(edge - fitted).max(axis=1) <= near
        if is_ground.mean() < PLAIN:
            return None
        plane = np.linalg.lstsq(at[is_ground], edge[is_ground], rcond=None)[0]
        fitted = at @ plane
    noise = float(np.percentile(np.abs(edge - fitted).max(axis=1)[is_ground], 90))
    colours = np.asarray((places @ plane).clip(0, 255), np.float32)
    return PlainGround(colours, noise) if noise <= STEADY else None


def contrast(picture: Colours, ground: PlainGround) -> Floats:
    """How much each pixel differs from the ground, `float32 [H, W]`, 0 where by no more than noise.

    Differences are averaged over a few pixels first: the ripples that JPEG leaves around a garment
    vanish, its outline stays.
    """
    size = 1 + 2 * (max(picture.shape) // 200)
    difference = np.abs(
        cv2.blur(picture - ground.colours, (size, size), borderType=cv2.BORDER_REPLICATE)
    ).max(axis=-1)
    return np.where(difference > LEAST_CONTRAST + 2 * ground.noise, difference, np.float32(0))


def without_halo(contrast: Floats) -> Floats:
    """The contrast without what surrounds a garment, `float32 [H, W]`: colours of a JPEG run over
    its edge, and pixels of the edge are a mixture.

    Clear is what differs a quarter as much as the most within half a pixel of the network around
    it, and as the garment usually does; what is not clear, but enclosed, belongs to it. With a
    fifth, a third or half, fewer renderings keep their label.
    """
    if not contrast.any():
        return contrast
    longer = max(np.ptp(places) for places in np.nonzero(contrast))
    near = np.ones(2 * (2 * round(longer / 56) + 1,), np.uint8)
    usual = np.median(contrast[contrast > 0])
    clear = contrast > np.maximum(cv2.dilate(contrast, near), usual) / 4
    _, pieces = cv2.connectedComponents((~clear).astype(np.uint8), connectivity=4)
    return np.where(np.isin(pieces, border(pieces)) & ~clear, np.float32(0), contrast)


def in_photograph(picture: Colours) -> Mask:
    """The largest thing that GrabCut finds in `uint8 [H, W, 3]`, `bool [H, W]`; everything, if it
    finds nothing."""
    everything = np.ones(picture.shape[:2], bool)
    height, width = picture.shape[:2]
    if min(height, width) < SMALLEST:
        return everything
    mask = np.full((height, width), cv2.GC_BGD, np.uint8)
    rim = max(1, min(height, width) // 50)
    mask[rim:-rim, rim:-rim] = cv2.GC_PR_BGD
    mask[height // 14 : -(height // 14), width // 14 : -(width // 14)] = cv2.GC_PR_FGD
    cv2.setRNGSeed(1)  # the same picture gets the same answer
    cv2.grabCut(
        cv2.cvtColor(picture, cv2.COLOR_RGB2LAB), mask, None, np.zeros((1, 65)), np.zeros((1, 65)),
        ROUNDS, cv2.GC_INIT_WITH_MASK,
    )  # fmt: skip
    found = cv2.morphologyEx(mask & 1, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    _, pieces, statistics, _ = cv2.connectedComponentsWithStats(found)
    if len(statistics) < 2:
        return everything
    return np.asarray(pieces == 1 + statistics[1:, cv2.CC_STAT_AREA].argmax())


def reduced(picture: Colours) -> Colours:
    """`uint8 [H, W, 3]` with a longer side of `SIDE`, for `in_photograph`."""
    height, width = picture.shape[:2]
    scale = SIDE / max(height, width)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=how), np.uint8)


def luminance(picture: npt.NDArray[np.float32] | Colours) -> Floats:
    """ITU-R 601, `float32 [H, W]` of `[H, W, 3]`."""
    return np.asarray(picture @ np.array([0.299, 0.587, 0.114], np.float32), np.float32)


def border(picture: npt.NDArray[Number]) -> npt.NDArray[Number]:
    """The outermost pixels of `[H, W, …]`, in a row."""
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])
