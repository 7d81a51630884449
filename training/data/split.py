"""Splitting a collection into training, validation and test examples."""

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import Collection, DataError

Indices = NDArray[np.int64]

# Apart from a run's seed: runs with different seeds are compared on the same validation set.
SPLIT_SEED = 20_170_825
LARGEST_DEFAULT_VALIDATION = 5_000


def split(
    collection: Collection, validation: int | float | None, resplit: int | None
) -> tuple[Indices, Indices, Indices]:
    """Ascending indices of the training, validation and test examples.

    validation: number of examples, or share of what is not test; None: a fifth, at most 5,000.
    resplit: seed with which a new test set of the official size is drawn from all examples.
    Raises DataError where the set is too small for what is asked.
    """
    strata = _strata(collection)
    everything = np.arange(len(strata))
    if not collection.divisible:
        if resplit is not None:
            raise DataError("resplit: this set is used whole for training and test; leave it out")
        return everything, everything, everything

    if collection.test_size is None or resplit is not None:
        seed = SPLIT_SEED if resplit is None else resplit
        test = stratified(strata, collection.test_size or len(strata) // 5, seed)
    else:
        test = everything[-collection.test_size :]
    rest = np.setdiff1d(everything, test)
    chosen = rest[stratified(strata[rest], _validation_size(validation, len(rest)), SPLIT_SEED)]
    return np.setdiff1d(rest, chosen), chosen, test


def stratified(strata: NDArray[np.int32], size: int, seed: int) -> Indices:
    """Draws `size` of the examples at random, each class by its share (largest remainder).

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
    """What is kept in proportion: the classes; regression targets are one stratum."""
    y = collection.examples.y
    return np.zeros(len(y), np.int32) if collection.class_names is None else y


def _validation_size(validation: int | float | None, available: int) -> int:
    if validation is None:
        size = min(LARGEST_DEFAULT_VALIDATION, available // 5)
    elif isinstance(validation, float) and 0 < validation < 1:
        size = int(Fraction(validation) * available + Fraction(1, 2))
    else:
        size = int(validation)
    if size != validation and isinstance(validation, float) and validation >= 1:
        raise DataError(f"validation: {validation} is neither a whole number nor between 0 and 1")
    if not 0 < size < available:
        raise DataError(
            f"validation: {validation} of {available:,} examples leaves none to train on "
            "or none to validate with; give a smaller number, or a share such as 0.1"
        )
    return size
