"""What is likely to be a mistake in data that can be trained on all the same: said, not refused."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from wardrobe.training.data.dataset import Collection, counted
from wardrobe.training.data.delimited import NUMBER
from wardrobe.training.data.split import Indices
from wardrobe.training.data.table_files import LIKE_NUMBER

SHOWN = 5
"""Names in a sentence; of any more it says how many there are."""

Fingerprints = NDArray[np.int64]


def examine(
    collection: Collection,
    declared: Container[str],
    train: Indices,
    validate: Indices,
    test: Indices,
) -> tuple[list[str], int]:
    """What is likely to be a mistake, a sentence each, and how many test pictures are also among
    the others.

    declared: the columns of a table that are meant to be what they are.
    """
    examples, names = collection.examples, collection.class_names
    columns = {each.name: each.categories or () for each in collection.columns or ()}
    target = {collection.target.name: names or ()} if collection.target else {}
    undeclared = {name: of for name, of in (columns | target).items() if name not in declared}
    found = [*of_categories(columns), *of_numbers(undeclared)]
    if names is None:
        return found, 0
    found += of_classes(names, examples.y, train, test)
    if examples.x.ndim == 2 or not collection.divisible:
        return found, 0
    pictures = fingerprints(examples.x)
    tested_twice = repeated(pictures, test, np.concatenate([train, validate]))
    validated_twice = repeated(pictures, validate, train)
    if tested_twice:
        found.append(
            f"{tested_twice:,} of {counted(len(test), 'test picture')} are also in the training or "
            "validation set, so the test measures nothing there; remove them from one of the sets"
        )
    if validated_twice:
        found.append(
            f"{validated_twice:,} of {counted(len(validate), 'validation picture')} are also in "
            "the training set; remove them from one of the sets"
        )
    return [*found, *of_several_classes(pictures, examples.y)], tested_twice


def of_classes(
    names: Sequence[str], y: NDArray[np.int32], train: Indices, test: Indices
) -> Iterator[str]:
    """Sentences about classes: those that only the test shows, and those that may be one.

    y: the class of each example, int32 [N]; train, test: the indices of those parts.
    """
    if untrained := [names[index] for index in np.setdiff1d(y[test], y[train])]:
        one = len(untrained) == 1
        yield (
            f"{_listed(untrained)} {'has' if one else 'have'} test examples, but no training "
            f"examples: no network can learn {'it' if one else 'them'}"
        )
    for alike in _alike(names):
        yield (
            f"the classes {_listed(alike)} are written nearly alike and learned as different ones; "
            "to merge them, name all classes in data.classes, these as "
            f"{json.dumps({alike[0]: alike}, ensure_ascii=False)}"
        )


def of_categories(columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Sentences about categories, given by column, that may be one."""
    for name, categories in columns.items():
        for alike in _alike(categories):
            yield (
                f"column {name!r}: {_listed(alike)} are written nearly alike and taken for "
                "different categories"
            )


def of_numbers(columns: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Sentences about columns of categories, or of classes, that may be numbers."""
    for name, categories in columns.items():
        numbers = [each for each in categories if LIKE_NUMBER.fullmatch(each)]
        decorated = [each for each in numbers if not NUMBER.fullmatch(each)]
        if 2 * len(numbers) > len(categories) and decorated:
            yield (
                f"column {name!r}: {_listed(decorated)} look like numbers and are taken for "
                "categories; write them plainly, as 1200.5, or, if they are categories, declare "
                f"'columns: {{{name}: category}}'"
            )


def of_several_classes(pictures: Fingerprints, y: NDArray[np.int32]) -> Iterator[str]:
    """A sentence about pictures that are in several classes, pixel for pixel."""
    class_of: dict[int, int] = {}
    pairs = zip(pictures.tolist(), y.tolist(), strict=True)
    if differ := {one for one, of in pairs if class_of.setdefault(one, of) != of}:
        yield f"{counted(len(differ), 'picture')} in several classes; keep each in one"


def fingerprints(images: NDArray[np.uint8]) -> Fingerprints:
    """A number for each picture, the same for the same pixels, int64 [N]; other pixels give another
    one but for a chance of 2⁻⁶⁴."""
    return np.array([hash(image.tobytes()) for image in images], np.int64)


def repeated(pictures: Fingerprints, part: Indices, others: Indices) -> int:
    """How many pictures of a part are also among others."""
    return int(np.isin(pictures[part], pictures[others]).sum())


def _alike(names: Iterable[str]) -> list[list[str]]:
    """Names that differ only in capitals, and in spaces and dashes between words. Single letters
    are meant to differ."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        if len(name.strip()) > 1:
            found[re.sub(r"(?<=\w)[-_\s]+(?=\w)", " ", name).strip().casefold()].append(name)
    return [alike for alike in found.values() if len(alike) > 1]


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else ""
    return ", ".join(map(repr, names[:SHOWN])) + more
