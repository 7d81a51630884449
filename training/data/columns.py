"""The columns of a table: what kind each is, and how it becomes inputs of a network.

A table is first float32 [N, columns]: numbers as they are, NaN where one is missing, and categories
by their place in the list of all categories. What is learnt about them from the training rows,
`Encoding`, then makes them the network's inputs; an artifact's graph does the same to raw rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["number", "category", "ignore"]
Floats = NDArray[np.float32]

EPSILON = np.float32(1e-7)
"""The smallest standard deviation that Keras' Normalization divides by."""


@dataclass(frozen=True)
class RawColumn:
    """A column of a table as it was read; `categories` is None for numbers."""

    name: str
    categories: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Column:
    """How a column becomes inputs of the network.

    A number is scaled to mean 0 and variance 1 over the training rows. A missing one counts as the
    mean; where the training rows lack some, a second input says with 1 that it is missing. A
    category is one input for each that the training rows have, 1 for its own; all are 0 for an
    unknown one. An empty text is a category if the training rows have it.
    """

    name: str
    categories: tuple[str, ...] | None = None  # None: a number
    mean: float = 0.0
    variance: float = 1.0
    has_missing: bool = False

    @classmethod
    def from_json(cls, facts: Mapping[str, Any]) -> Column:
        """The column whose fields were written as JSON."""
        categories = facts["categories"]
        return cls(**{**facts, "categories": None if categories is None else tuple(categories)})

    @property
    def width(self) -> int:
        """How many inputs of the network it becomes."""
        return 1 + self.has_missing if self.categories is None else len(self.categories)

    @classmethod
    def fit(cls, raw: RawColumn, values: Floats) -> Column:
        """What the training rows, float32 [N], say about a column."""
        if raw.categories is not None:
            used = np.unique(values).astype(int)
            return cls(raw.name, tuple(raw.categories[place] for place in used))
        known = values[~np.isnan(values)].astype(np.float64)
        if not len(known):
            return cls(raw.name, has_missing=True)
        return cls(
            raw.name,
            mean=float(np.float32(known.mean())),
            # A constant would turn any other value, served later, into millions.
            variance=float(np.float32(known.var())) or 1.0,
            has_missing=len(known) < len(values),
        )

    def encode(self, raw: RawColumn, values: Floats) -> Floats:
        """Inputs of the network, float32 [N, width], from what was read, float32 [N]."""
        if self.categories is not None:
            places = {category: place for place, category in enumerate(self.categories)}
            known = np.array([places.get(each, -1) for each in raw.categories or ()], np.int64)
            place = known[values.astype(np.int64)]
            return np.asarray(place[:, None] == np.arange(self.width), np.float32)
        missing = np.isnan(values)
        mean, variance = np.float32(self.mean), np.float32(self.variance)
        filled = np.where(missing, mean, values)
        scaled = (filled - mean) / np.maximum(np.sqrt(variance), EPSILON)
        inputs = [scaled, missing.astype(np.float32)] if self.has_missing else [scaled]
        return np.stack(inputs, axis=1).astype(np.float32)


@dataclass(frozen=True)
class Target:
    """What is predicted: a class, or a number, learnt scaled to mean 0 and variance 1."""

    name: str
    kind: Literal["category", "number"]
    mean: float = 0.0
    deviation: float = 1.0

    def fit(self, y: NDArray[Any]) -> Target:
        """The scale of a number, from the targets of the training rows, float32 [N, 1]."""
        if self.kind == "category":
            return self
        values = y.astype(np.float64)
        return Target(self.name, self.kind, float(values.mean()), float(values.std()) or 1.0)

    def scale(self, y: NDArray[Any]) -> NDArray[Any]:
        """The targets as a network learns them."""
        if self.kind == "category":
            return y
        return ((y - self.mean) / self.deviation).astype(np.float32)

    def restore(self, y: NDArray[Any]) -> NDArray[Any]:
        """The targets in their own units, from those that a network learns."""
        return y if self.kind == "category" else y.astype(np.float64) * self.deviation + self.mean


@dataclass(frozen=True)
class Encoding:
    """The columns of a table and its target, as the training rows have them."""

    columns: tuple[Column, ...]
    target: Target

    @classmethod
    def fit(cls, raw: Sequence[RawColumn], target: Target, x: Floats, y: NDArray[Any]) -> Encoding:
        """What the training rows, float32 [N, columns], and their targets say."""
        return cls(
            tuple(Column.fit(each, x[:, index]) for index, each in enumerate(raw)), target.fit(y)
        )

    def encode(self, raw: Sequence[RawColumn], x: Floats) -> Floats:
        """The network's inputs, float32 [N, inputs], from what was read, float32 [N, columns]."""
        parts = [
            column.encode(each, x[:, index])
            for index, (column, each) in enumerate(zip(self.columns, raw, strict=True))
        ]
        return np.concatenate(parts, axis=1)


def as_written(raw: Sequence[RawColumn], x: Floats) -> Mapping[str, NDArray[Any]]:
    """The columns as a service is sent them: numbers float32 [N], categories object [N] of str."""
    return {
        each.name: x[:, index]
        if each.categories is None
        else np.array(each.categories, object)[x[:, index].astype(np.int64)]
        for index, each in enumerate(raw)
    }
