"""Small data sets of the lecture: points in the plane, a curve, and the flu table.

All are drawn from a fixed seed, the same every time; inputs are float32 [N, inputs].
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from wardrobe.models import DataFacts
from wardrobe.training.data.dataset import Collection, Examples, array_hash

Floats = NDArray[np.float64]

SEED = 42
TRAIN, TEST = 1_000, 1_000


def xor(random: np.random.Generator) -> Collection:
    """Four clouds at the corners of a square, opposite corners in one class."""
    corner = random.choice([-1.0, 1.0], (TRAIN + TEST, 2))
    same_sign = corner[:, 0] * corner[:, 1] > 0
    return _classes(corner + random.normal(0, 0.25, corner.shape), ~same_sign, "same", "different")


def xor_table(_: np.random.Generator) -> Collection:
    """The four corners of the unit square: the first class where both inputs are equal.

    The 4 rows are all of it: they are used to train, validate and test.
    """
    corners = np.array(list(np.ndindex(2, 2)), np.float64)
    return _classes(corners, corners.sum(axis=1) == 1, "same", "different", divisible=False)


def rings(random: np.random.Generator) -> Collection:
    """A disc in the middle of a ring."""
    outer = random.random(TRAIN + TEST) < 0.5
    radius = np.where(
        outer, random.uniform(1.1, 1.5, len(outer)), random.uniform(0, 0.7, len(outer))
    )
    return _classes(
        _polar(radius, random.uniform(0, 2 * np.pi, len(outer))), outer, "inner", "outer"
    )


def moons(random: np.random.Generator) -> Collection:
    """Two half circles, each ending within the other."""
    lower = random.random(TRAIN + TEST) < 0.5
    upper_moon = _polar(np.ones(len(lower)), random.uniform(0, np.pi, len(lower)))
    moon = np.where(lower[:, None], [0.5, 0.25] - upper_moon, upper_moon - [0.5, 0.25])
    return _classes(moon + random.normal(0, 0.1, moon.shape), lower, "upper", "lower")


def spirals(random: np.random.Generator) -> Collection:
    """Two arms wound one and a half times round each other."""
    second = random.random(TRAIN + TEST) < 0.5
    way = np.sqrt(random.uniform(0.02, 1, len(second)))
    arm = _polar(1.5 * way, 3 * np.pi * way + np.pi * second)
    return _classes(arm + random.normal(0, 0.04, arm.shape), second, "first", "second")


def checkerboard(random: np.random.Generator) -> Collection:
    """Four by four squares: XOR, once the plane is folded in the middle of each direction.

    Between two squares is a gap of a tenth of their side.
    """
    square = random.integers(-2, 2, (TRAIN + TEST, 2))
    point = square + random.uniform(0.05, 0.95, square.shape)
    return _classes(point, square.sum(axis=1) % 2 == 1, "white", "black")


def curve(random: np.random.Generator) -> Collection:
    """A noisy wave over [−3, 3], for regression: targets float32 [N, 1]."""
    x = random.uniform(-3, 3, (TRAIN + TEST, 1))
    return _collection(x, np.sin(2 * x) + x / 3 + random.normal(0, 0.1, x.shape), None)


def flu(_: np.random.Generator) -> Collection:
    """Rash, fever and cough, each 0 or 1: flu when −1, 3 and 3 times them adds up to more than 5.

    The 8 rows are all of it: they are used to train, validate and test.
    """
    symptoms = np.array(list(np.ndindex(2, 2, 2)), np.float64)
    return _classes(symptoms, symptoms @ [-1, 3, 3] > 5, "healthy", "flu", divisible=False)


TABLES: dict[str, Callable[[np.random.Generator], Collection]] = {
    table.__name__.replace("_", "-"): table
    for table in (xor, xor_table, rings, moons, spirals, checkerboard, curve, flu)
}


def collect(name: str) -> Collection:
    """The table of that name, drawn from the fixed seed."""
    return TABLES[name](np.random.default_rng(SEED))


def describe(name: str) -> DataFacts:
    """Inputs and classes of the table of that name: drawing it is cheaper than a second list."""
    collection = collect(name)
    names = collection.class_names
    return DataFacts(collection.examples.x.shape[1:], None if names is None else len(names), names)


def _polar(radius: Floats, angle: Floats) -> Floats:
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)


def _classes(
    x: Floats, is_second: NDArray[np.bool_], first: str, second: str, divisible: bool = True
) -> Collection:
    return _collection(x, is_second, (first, second), divisible)


def _collection(
    x: Floats,
    y: NDArray[np.bool_] | Floats,
    class_names: tuple[str, ...] | None,
    divisible: bool = True,
) -> Collection:
    examples = Examples(x.astype(np.float32), y.astype(np.int32 if class_names else np.float32))
    return Collection(
        examples=examples,
        test_size=TEST,
        class_names=class_names,
        hashes={"x": array_hash(examples.x), "y": array_hash(examples.y)},
        source="drawn by training/data/lecture_tables.py",
        divisible=divisible,
    )
