"""Splitting a collection into training, validation and test examples."""

from numbers import Integral, Real

import numpy as np
from numpy.typing import NDArray

from wardrobe.training.data.dataset import Collection, DataError

Indices = NDArray[np.int64]

# Independent of a run's seed: runs with different seeds are compared on the same validation set.
SPLIT_SEED = 20_170_825
LARGEST_DEFAULT_VALIDATION = 5_000


def split(
    collection: Collection, validation: int | float | None, resplit: int | None
) -> tuple[Indices, Indices, Indices]:
    """Ascending indices of the training, validation and test examples.

    validation: number of examples, or share of what is not test; None: a fifth, at most 5,000. Not
        used where the set has validation examples of its own.
    resplit: seed, not negative, of a new test set of the official size drawn from all examples.
    Raises DataError if the set is too small for that.
    """
    if resplit is not None and resplit < 0:
        raise DataError(f"resplit: {resplit} is not a seed; give 0 or a positive integer")
    strata = _strata(collection)
    everything = np.arange(len(strata))
    if not collection.divisible:
        if resplit is not None:
            raise DataError("resplit: this data set has no separate test set; leave it out")
        return everything, everything, everything

    official = _official_validation(collection) if resplit is None else everything[:0]
    pool = np.setdiff1d(everything, official)
    if collection.test_size is None or resplit is not None:
        seed = SPLIT_SEED if resplit is None else resplit
        test = pool[stratified(strata[pool], collection.test_size or len(pool) // 5, seed)]
    else:
        test = everything[len(everything) - collection.test_size :]
    rest = np.setdiff1d(pool, test)
    if len(test) == 0:
        raise DataError(
            f"a fifth of {len(pool)} examples leaves none to test on; add more examples"
        )
    if len(official):
        return rest, official, test
    chosen = rest[stratified(strata[rest], _validation_size(validation, len(rest)), SPLIT_SEED)]
    return np.setdiff1d(rest, chosen), chosen, test


def _official_validation(collection: Collection) -> Indices:
    """The examples before those of the official test set."""
    end = len(collection.examples) - (collection.test_size or 0)
    return np.arange(end - (collection.validation_size or 0), end)


def stratified(strata: NDArray[np.int32], size: int, seed: int) -> Indices:
    """Draws `size` of the examples at random, from each class in proportion (largest remainder).

    strata: class of each example, int32 [N]. Returns ascending indices, int64 [size].
    """
    random = np.random.default_rng(seed)
    classes, counts = np.unique(strata, return_counts=True)
    shares, remainders = np.divmod(counts * size, max(len(strata), 1))
    shares[np.argsort(-remainders, kind="stable")[: size - shares.sum()]] += 1
    drawn = [
        random.choice(np.flatnonzero(strata == class_), share, replace=False)
        for class_, share in zip(classes, shares, strict=True)
    ]
    return np.sort(np.concatenate(drawn))


def _strata(collection: Collection) -> NDArray[np.int32]:
    """The stratum of each example: its class; all of a regression are one stratum."""
    y = collection.examples.y
    return np.zeros(len(y), np.int32) if collection.class_names is None else y


def _validation_size(validation: int | float | None, available: int) -> int:
    match validation:
        case 0:
            return 0
        case None:
            size = min(LARGEST_DEFAULT_VALIDATION, available // 5)
        case Integral():
            size = int(validation)
        case Real() if 0 < validation < 1:
            size = round(validation * available)
        case _:
            raise DataError(
                f"validation: {validation!r} is neither a number of examples nor a share"
            )
    if not 0 < size < available:
        asked = "a fifth" if validation is None else validation
        raise DataError(
            f"validation: {asked} of {available:,} examples leaves none to train on or none to "
            "validate with; give a smaller number, a share such as 0.1, or more examples"
        )
    return size
