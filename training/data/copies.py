"""Disturbed copies of a garment's picture, `data.copies`: as it might have been laid out and
photographed on another day.

They are made before the picture is reduced to the network's few pixels, in which turning would only
blur it. The garment is segmented once, which is what takes time; then its mask and its shades are
disturbed together and go through the rest of the service's own preparation, so that training sees
what serving will see.
"""

import hashlib
import math
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wardrobe.models.schema.declaration import Copies
from wardrobe.serving.errors import PictureError
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.images.preprocess import MAX_ASPECT, Garment, preprocess, reduce, segment
from wardrobe.serving.images.segment import GRABCUT_SIDE, Floats


def with_copies(image: Image.Image, target: PictureInput, wanted: Copies) -> NDArray[np.uint8]:
    """A decoded picture as `target` says, and then its copies: uint8 [1 + number, height, width].

    The same picture always has the same copies. Where a disturbance leaves nothing of the garment,
    the copy is the picture itself.

    Raises PictureError if there is no garment in the picture.
    """
    garment = segment(image)
    is_reduced = (image.height, image.width) == target.shape
    made = [preprocess(image, target) if is_reduced else reduce(garment, target)]
    contents = hashlib.sha256(image.tobytes()).digest()
    dice = np.random.default_rng([wanted.seed, int.from_bytes(contents[:8])])
    alone = _cut_out(garment)
    for _ in range(wanted.number):
        copy = _disturbed(alone, wanted, dice)
        low, high = wanted.broadest or (MAX_ASPECT, MAX_ASPECT)
        try:
            made.append(reduce(copy, target, dice.uniform(low, high)))
        except PictureError:
            made.append(made[0])
    return np.stack(made)


def _cut_out(garment: Garment) -> Garment:
    """The part of the picture that holds the garment, with what its outline may grow into."""
    margin = 1 + max(garment.contrast.shape) // 16
    ends = [np.flatnonzero(garment.contrast.any(axis=axis))[[0, -1]] for axis in (1, 0)]
    box = tuple(slice(max(0, first - margin), last + 1 + margin) for first, last in ends)
    return replace(garment, shades=garment.shades[box], contrast=garment.contrast[box])


def _disturbed(garment: Garment, wanted: Copies, dice: np.random.Generator) -> Garment:
    grown = int(dice.integers(-wanted.outline, wanted.outline + 1))
    contrast = _with_other_outline(garment.contrast, grown)
    power = math.exp(dice.uniform(-wanted.gamma, wanted.gamma))
    brightest = max(1.0, float(garment.shades.max()))
    shades = brightest * (garment.shades.clip(0) / brightest) ** power
    matrix, size = _onto_canvas(_transformation(wanted, dice), garment.shades.shape)
    shades = cv2.warpAffine(shades, matrix, size, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine((contrast > 0).astype(np.float32), matrix, size) >= 0.5
    contrast = np.where(inside, cv2.warpAffine(contrast, matrix, size), np.float32(0))
    return replace(garment, shades=np.asarray(shades, np.float32), contrast=contrast)


def _with_other_outline(contrast: Floats, grown: int) -> Floats:
    """Grown, or shrunk if negative, by so many pixels at a longer side of `GRABCUT_SIDE`."""
    reach = round(abs(grown) * max(1, max(contrast.shape) / GRABCUT_SIDE))
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, 2 * (2 * reach + 1,))
    return np.asarray((cv2.dilate if grown > 0 else cv2.erode)(contrast, disc), np.float32)


def _transformation(wanted: Copies, dice: np.random.Generator) -> NDArray[np.float64]:
    """Stretched, sheared, mirrored or not, and then turned: float64 [2, 2], for columns (x, y)."""
    width = math.exp(dice.uniform(-wanted.stretch, wanted.stretch))
    shear = dice.uniform(-wanted.shear, wanted.shear)
    side = -1 if wanted.mirror and dice.random() < 0.5 else 1
    angle = math.radians(dice.uniform(-wanted.rotation, wanted.rotation))
    turned = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return np.asarray(turned @ np.array([[side * width, shear], [0, 1]]))


def _onto_canvas(
    transformation: NDArray[np.float64], shape: tuple[int, ...]
) -> tuple[NDArray[np.float64], tuple[int, int]]:
    """The transformation as `warpAffine` takes it, onto a canvas that holds all of a picture
    `[H, W]`, and width and height of this canvas."""
    height, width = shape
    corners = transformation @ np.array([[0, width, 0, width], [0, 0, height, height]])
    low, high = corners.min(axis=1), corners.max(axis=1)
    right, bottom = np.ceil(high - low).astype(int)
    return np.column_stack([transformation, -low]), (int(right), int(bottom))
