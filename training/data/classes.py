"""`data.classes`: classes of a data set renamed, joined or left out."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wardrobe.models.schema.errors import suggestion
from wardrobe.training.data.dataset import Collection, DataError, counted

Classes = Mapping[str, Sequence[str]]
"""A class → those of the data set that it consists of."""


def mapping(classes: Classes | None, found: Sequence[str]) -> dict[str, str]:
    """What each class of a data set is called, without those that are left out.

    classes: as declared; None: all keep their names.
    Raises DataError if one is named that there is not, or named twice.
    """
    if classes is None:
        return {name: name for name in found}
    if not classes:
        raise DataError("data.classes: names no class; leave it out to keep all")
    named: dict[str, str] = {}
    for new, olds in classes.items():
        for old in olds:
            if old not in found:
                hint = suggestion(old, found)
                raise DataError(f"data.classes: there is no class {old!r}{hint}")
            if named.setdefault(old, new) != new:
                raise DataError(f"data.classes: {old!r} is in {named[old]!r} and in {new!r}")
    return named


def note_left_out(left_out: Mapping[str, int]) -> list[str]:
    """The sentence about classes that are left out, given how many examples each has."""
    if not left_out:
        return []
    counts = ", ".join(f"{name} {count:,}" for name, count in left_out.items())
    examples = counted(sum(left_out.values()), "example")
    return [f"{examples} of classes that data.classes lacks ({counts})"]


def mapped(collection: Collection, classes: Classes | None) -> Collection:
    """The collection with its classes as declared, in the order of their names.

    Raises DataError as `mapping` does, or if it has no classes.
    """
    if classes is None:
        return collection
    if collection.class_names is None:
        raise DataError("data.classes: this data set has no classes; leave it out")
    named = mapping(classes, collection.class_names)
    names = sorted(set(named.values()))
    indices = [names.index(named[old]) if old in named else -1 for old in collection.class_names]
    y = np.array(indices, np.int32)[collection.examples.y]
    kept = np.flatnonzero(y >= 0)
    test = len(y) - (collection.test_size or 0)
    counts = np.bincount(collection.examples.y, minlength=len(indices)).tolist()
    left_out = {
        name: count
        for name, count in zip(collection.class_names, counts, strict=True)
        if name not in named
    }
    return replace(
        collection,
        examples=replace(collection.examples, y=y)[kept],
        class_names=tuple(names),
        test_size=_count(kept, test, len(y)),
        validation_size=_count(kept, test - (collection.validation_size or 0), test),
        notes=(*collection.notes, *note_left_out(left_out)),
    )


def _count(indices: NDArray[np.int64], start: int, end: int) -> int | None:
    """How many indices are from `start` on and before `end`; None if none is."""
    return int(((indices >= start) & (indices < end)).sum()) or None
