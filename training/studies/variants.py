"""The variants of a study: one declaration with one seed each, and the key of its record."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass

from wardrobe import models
from wardrobe.models import Declaration
from wardrobe.models.schema.tree import Document, Node, Origin, node_of
from wardrobe.training.data.declarations import facts_of_data
from wardrobe.training.studies.study import Overrides, Study

# Change it when the same variant would train to something else than before.
_ENGINE = "trained as runs are"


@dataclass(frozen=True)
class Variant:
    """One point of a study: what is trained and measured, and its label on each axis.

    `key` names all that decides its record, except the seed.
    """

    declaration: Declaration
    labels: dict[str, str]
    train: bool
    measures: tuple[str, ...]

    @property
    def key(self) -> str:
        what = [_ENGINE, self.declaration.digest, self.train, self.measures]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:24]


def expand(study: Study) -> list[Variant]:
    """Every combination of the values of the axes, the last axis quickest.

    Raises:
        DeclarationError: with every error in a variant's declaration.
    """
    axes = study.axes
    points = itertools.product(*(axis.values.items() for axis in axes))
    return [
        variant(
            study,
            {axis.name: label for axis, (label, _) in zip(axes, point, strict=True)},
            [overrides for _, overrides in point],
        )
        for point in points
    ]


def variant(study: Study, labels: dict[str, str], overrides: Sequence[Overrides]) -> Variant:
    """The variant whose base is changed by the overrides, after those of the whole study."""
    node = study.tree.get("base")
    assert node is not None  # the frame of a study has one
    tree = models.complete(node, study.file)
    if tree.get("name") is None:
        tree = models.overridden(tree, "name", node_of(study.name, Origin(study.name)))
    tree = varied(tree, (study.overrides, *overrides))
    declaration = models.resolve(tree, facts_of_data(tree))
    for key in ("augmentation", "distillation"):
        if getattr(declaration, key):
            message = f"studies train without {key}: leave it out"
            raise models.DeclarationError([declaration.error((key,), message)])
    return Variant(declaration, labels, study.frame.train, tuple(study.frame.measure))


def varied(tree: Document, overrides: Sequence[Overrides]) -> Document:
    """A base with the values of some points of axes laid over it.

    Raises:
        DeclarationError: a path does not fit.
    """
    for values in overrides:
        for path, value in values.items():
            tree = models.overridden(tree, _written_out(tree, path), value)
    return tree


def _written_out(tree: Node, path: str) -> str:
    """A path with the name of the one Keras object there for each `*`: `optimizer.*.momentum`."""
    parts: list[str] = []
    for part in path.split("."):
        if part == "*":
            node = tree.get(*(int(key) if key.isdigit() else key for key in parts))
            (part,) = node.value if node is not None else ("*",)
        parts.append(part)
    return ".".join(parts)
