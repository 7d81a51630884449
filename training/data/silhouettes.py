"""Silhouettes: garments of Fashion-MNIST's ten classes, drawn by this project's own code.

A stand-in for when Fashion-MNIST is not available, and never passed off as it: the pieces are
drawn, not photographed. The same seed gives the same pictures on every machine.
"""

from functools import lru_cache
from random import Random

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from wardrobe.models import DataFacts
from wardrobe.training.data.dataset import Collection, Examples, array_hash
from wardrobe.training.data.garments import GARMENTS, Piece

NAME = "silhouettes"
SIDE = 28
FACTS = DataFacts((SIDE, SIDE), len(GARMENTS), tuple(GARMENTS))

SEED = 28
TRAIN, TEST = 12_000, 2_000
OVERSAMPLING = 4  # drawn larger, then averaged: smooth edges
CHUNK = 500  # pictures that fit into a processor's cache while they are dyed


@lru_cache(maxsize=1)
def collect() -> Collection:
    """12,000 training and 2,000 test pictures, uint8 [14000, 28, 28], 0–255, bright on black."""
    train, test = draw(TRAIN, SEED), draw(TEST, SEED + 1)
    examples = Examples(np.concatenate([train.x, test.x]), np.concatenate([train.y, test.y]))
    return Collection(
        examples=examples,
        test_size=TEST,
        class_names=tuple(GARMENTS),
        hashes={"x": array_hash(examples.x), "y": array_hash(examples.y)},
        source="drawn by training/data/silhouettes.py",
        prepare="garment",
    )


def draw(count: int, seed: int) -> Examples:
    """Pictures uint8 [count, 28, 28], 0–255, all classes equally often, shuffled."""
    cuts, cloths = Random(seed), np.random.default_rng(seed)
    y = cloths.permutation(np.arange(count, dtype=np.int32) % len(GARMENTS))
    garments = list(GARMENTS.values())
    shapes = np.stack([_paint(garments[label](cuts), cuts) for label in y])
    return Examples(_dye(shapes, cloths), y)


def _paint(piece: Piece, r: Random) -> NDArray[np.uint8]:
    """A piece as a picture uint8 [28, 28], put down somewhat askew."""
    size = OVERSAMPLING * r.uniform(0.75, 1.02)
    wide, tall = size * r.uniform(0.88, 1.08), size * r.uniform(0.88, 1.05)
    lean, tilt = r.uniform(-0.6, 0.6), r.uniform(-0.5, 0.5)
    x0, y0 = (OVERSAMPLING * (SIDE / 2 + r.uniform(-2.5, 2.5)) for _ in range(2))
    canvas = Image.new("L", (OVERSAMPLING * SIDE, OVERSAMPLING * SIDE))
    pen = ImageDraw.Draw(canvas)
    for polygon, shade in piece:
        corners = [(x0 + wide * x + lean * y, y0 + tall * y + tilt * x) for x, y in polygon]
        # Whole pixels: a difference in the last bit between machines is rounded away.
        pen.polygon([(round(x), round(y)) for x, y in corners], fill=round(255 * shade))
    return np.asarray(canvas.reduce(OVERSAMPLING))


def _dye(shapes: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Gives every piece its brightness, pattern, light and grain.

    Only sums and products, which round alike on every machine.
    """
    each = (len(shapes), 1, 1)
    y, x = np.mgrid[:SIDE, :SIDE]

    brightness = random.uniform(0.3, 1, each)
    along_x, along_y = random.integers(-1, 2, each), random.integers(-1, 2, each)
    period = random.integers(2, 8, each)
    contrast = random.uniform(0.1, 0.6, each) * (random.random(each) < 0.5)
    slope = random.uniform(-0.3, 0.3, each)

    dyed = np.empty_like(shapes)
    for start in range(0, len(shapes), CHUNK):
        some = slice(start, start + CHUNK)
        stripe = (along_x[some] * x + along_y[some] * y) % period[some] < period[some] / 2
        light = 1 + slope[some] * (x / (SIDE - 1) - 0.5)
        factors = brightness[some] * (1 - contrast[some] * stripe) * light
        grain = random.uniform(0.8, 1.2, shapes[some].shape)
        dyed[some] = np.clip(np.rint(shapes[some] * factors * grain), 0, 255)
    return dyed
