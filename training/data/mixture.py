"""Several data sets in one training, as `data` declares them in a list.

The network tells apart all classes that the sets name. A class of one set may stand for several of
them, which its examples do not tell apart: then each of these is right, and the loss is −log of the
sum of their probabilities. So the targets are rows with a 1 for each class that is right.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from wardrobe.models import DataFacts
from wardrobe.models.schema.declaration import Data, DataPart
from wardrobe.models.schema.errors import suggestion
from wardrobe.serving.images.picture_input import Polarity
from wardrobe.training.data.dataset import DataError, DataSet, Examples, Part

SPLIT = ("train", "validation", "test")
NONE = np.arange(0)


def describe(wanted: Sequence[DataPart], facts: Sequence[DataFacts]) -> DataFacts:
    """Shape and classes of a mixture, from those of its sets.

    Raises:
        DataError: the sets do not fit together.
    """
    shapes = {part.name: of.input_shape for part, of in zip(wanted, facts, strict=True)}
    if len(shapes) < len(wanted):
        raise DataError("data: a set is named twice; give it once, with all its classes")
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{list(shape)} in {name}" for name, shape in shapes.items())
        raise DataError(
            f"data: the examples differ in shape, {listed}: give each the same 'size' and 'colour'"
        )
    found: dict[str, None] = {}
    for part, of in zip(wanted, facts, strict=True):
        if of.class_names is None:
            raise DataError(f"data: {part.name} has no classes, which a set of several needs")
        found |= dict.fromkeys(name for name in of.class_names if name not in _stands_for(part))
    names = tuple(found)
    for part, of in zip(wanted, facts, strict=True):
        members_of(part, of.class_names or (), names)
    return DataFacts(facts[0].input_shape, len(names), names)


def mix(wanted: Data, sets: Sequence[DataSet]) -> DataSet:
    """The sets as one, with the classes of all.

    Raises:
        DataError: the sets do not fit together.
    """
    declared = wanted.sets or []
    facts = [DataFacts(one.input_shape, one.classes, one.class_names) for one in sets]
    names = describe(declared, facts).class_names or ()
    _refuse_two_preparations(sets)
    sets = [
        one if part.measured else replace(one, validation=one.train[NONE], test=one.train[NONE])
        for part, one in zip(declared, sets, strict=True)
    ]
    parts = _parts(declared, sets, names)
    return DataSet(
        name=wanted.name,
        train=_joined(parts, sets, "train"),
        validation=_joined(parts, sets, "validation"),
        test=_joined(parts, sets, "test"),
        class_names=names,
        hashes={f"{one.name}: {file}": of for one in sets for file, of in one.hashes.items()},
        split_hash=hashlib.sha256("".join(one.split_hash for one in sets).encode()).hexdigest(),
        source=", ".join(one.source for one in sets),
        polarity=_polarity(sets),
        prepare=sets[0].prepare,
        preparation=next((one.preparation for one in sets if one.preparation is not None), None),
        parts=parts,
        repeated=sum(one.repeated for one in sets),
        unknown=next((one.unknown for one in sets if one.unknown is not None), None),
        licence="; ".join(f"{one.name}: {one.licence}" for one in sets if one.licence) or None,
    )


def members_of(part: DataPart, own: Sequence[str], names: Sequence[str]) -> NDArray[np.bool_]:
    """The classes of a network that each class of a set stands for: bool [own, names].

    Raises:
        DataError: one of these is not there, or stands in two of them.
    """
    stands_for = _stands_for(part)
    if unknown := [name for name in stands_for if name not in own]:
        hint = suggestion(unknown[0], own)
        raise DataError(f"data: stands_for: {part.name} has no class {unknown[0]!r}{hint}")
    members = np.zeros((len(own), len(names)), bool)
    for row, name in zip(members, own, strict=True):
        for member in stands_for.get(name, [name]):
            if member not in names:
                hint = suggestion(member, names)
                raise DataError(
                    f"data: stands_for: {name} of {part.name}: no class {member!r}{hint}"
                )
            row[names.index(member)] = True
    if (twice := np.flatnonzero(members.sum(axis=0) > 1)).size:
        raise DataError(f"data: {names[twice[0]]!r} is in two classes of {part.name}")
    return members


def _stands_for(part: DataPart) -> dict[str, list[str]]:
    return part.stands_for or {}


def _parts(
    declared: Sequence[DataPart], sets: Sequence[DataSet], names: Sequence[str]
) -> tuple[Part, ...]:
    shares, parts = _shares(declared, [len(one.train) for one in sets]), []
    first = dict.fromkeys(SPLIT, 0)
    for part, one, share in zip(declared, sets, shares, strict=True):
        own = one.class_names or ()
        if isinstance(part.weight, dict) and (unknown := [*part.weight.keys() - set(own)]):
            hint = suggestion(unknown[0], own)
            raise DataError(f"data: weight: {part.name} has no class {unknown[0]!r}{hint}")
        after = {split: first[split] + len(getattr(one, split)) for split in SPLIT}
        examples = {split: range(first[split], after[split]) for split in SPLIT}
        members = members_of(part, own, names)
        parts.append(Part(part.name, share, part.weight, own, members, examples))
        first = after
    return tuple(parts)


def _shares(declared: Sequence[DataPart], sizes: Sequence[int]) -> list[float]:
    """The share of each set in a batch; those that declare none share the rest by their sizes."""
    given = sum(part.share or 0 for part in declared)
    others = sum(size for part, size in zip(declared, sizes, strict=True) if part.share is None)
    rest = 0.0 if math.isclose(given, 1, abs_tol=1e-6) else 1 - given
    if rest < 0 or (rest > 0) is not (others > 0):
        raise DataError(f"data: the shares add up to {given:g}; they must add up to 1")
    return [
        rest * size / others if part.share is None else part.share
        for part, size in zip(declared, sizes, strict=True)
    ]


def _joined(parts: Sequence[Part], sets: Sequence[DataSet], split: str) -> Examples:
    """The examples of all sets, with rows float32 [N, classes of the network] as targets."""
    each = [getattr(one, split) for one in sets]
    rows = [part.members[of.y].astype(np.float32) for part, of in zip(parts, each, strict=True)]
    return Examples(np.concatenate([of.x for of in each]), np.concatenate(rows))


def _refuse_two_preparations(sets: Sequence[DataSet]) -> None:
    if tables := [one.name for one in sets if one.encoding is not None]:
        raise DataError(
            f"data: {tables[0]} is a table of its own columns, which no other set has: train on it "
            "alone"
        )
    prepared = {one.name: one.prepare for one in sets if one.polarity is not None}
    if len(set(prepared.values())) > 1:
        listed = ", ".join(f"{prepare} for {name}" for name, prepare in prepared.items())
        raise DataError(
            f"data: a picture is prepared in one way, as the service will do it, not in several "
            f"({listed}): give each set the same 'prepare'"
        )


def _polarity(sets: Sequence[DataSet]) -> Polarity | None:
    found = {one.polarity for one in sets}
    return found.pop() if len(found) == 1 else "mixed"
