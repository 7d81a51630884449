"""The variants of a study: one declaration with one seed each, and the key of its record."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field

from wardrobe import models
from wardrobe.models import DataFacts, Declaration, Document
from wardrobe.models.schema.tree import Node, Origin, node_of
from wardrobe.training.data.declarations import facts_of_data
from wardrobe.training.studies.study import Overrides, Study

# Change it when the same variant would train to something else than before.
_ENGINE = "trained as runs are"


@dataclass(frozen=True)
class Variant:
    """One point of a study: what is trained and measured, and its label on each axis.

    `key` identifies everything that its record depends on, except the seed.
    """

    declaration: Declaration
    labels: dict[str, str]
    train: bool
    measures: tuple[str, ...]

    @property
    def key(self) -> str:
        what = [_ENGINE, self.declaration.digest, self.train, self.measures, *self._teacher]
        return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:24]

    @property
    def _teacher(self) -> list[str]:
        """The digest of the declared teacher, whose file may change; empty without a teacher."""
        if self.declaration.distillation is None:
            return []
        from wardrobe.training.fit.distillation import teacher_of  # imports Keras

        teacher = teacher_of(self.declaration)
        return [teacher.digest] if teacher else []


@dataclass(frozen=True)
class Base:
    """What all variants of a study have in common, read from its files.

    `facts` are those of the data sets seen so far.
    """

    study: Study
    document: Document
    facts: dict[str, DataFacts] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study) -> Base:
        """The base with its parents, and the values of the whole study.

        Raises:
            DeclarationError: it cannot be read.
        """
        node = study.tree.get("base")
        assert node is not None  # the frame of a study has one
        document = models.complete(node, study.file)
        if document.get("name") is None:
            name = node_of(study.name, Origin(study.name))
            document = models.overridden(document, "name", name)
        return cls(study, changed(document, study.overrides))

    def variant(self, labels: dict[str, str], overrides: Sequence[Overrides]) -> Variant:
        """The variant in which the overrides change the base.

        Raises:
            DeclarationError: with every error in its declaration.
            DataError: its data set cannot be found.
        """
        document = self.document
        for values in overrides:
            document = changed(document, values)
        declaration = models.resolve(document, self._facts_of_data(document))
        frame = self.study.frame
        return Variant(declaration, labels, frame.train, tuple(frame.measure))

    def _facts_of_data(self, document: Document) -> DataFacts:
        """Reads the facts of each data set once; its files may be missing later."""
        decisive = [document.get("data"), document.get("training", "validation")]
        wanted = json.dumps([node and node.plain for node in decisive])
        if wanted not in self.facts:
            self.facts[wanted] = facts_of_data(document)
        return self.facts[wanted]


def expand(study: Study) -> list[Variant]:
    """Every combination of the values of the axes; the last axis varies fastest.

    Raises:
        DeclarationError: with every error in a variant's declaration.
    """
    axes = study.axes
    base = Base.of(study)
    points = itertools.product(*(axis.values.items() for axis in axes))
    return [
        base.variant(
            {
                name: of_axis
                for axis, (label, _) in zip(axes, point, strict=True)
                for name, of_axis in axis.labels(label).items()
            },
            [overrides for _, overrides in point],
        )
        for point in points
    ]


def changed(document: Document, values: Overrides) -> Document:
    """A declaration, changed by the values of one point of an axis.

    Raises:
        DeclarationError: a path does not fit.
    """
    for path, value in values.items():
        document = models.overridden(document, _written_out(document, path), value)
    return document


def _written_out(tree: Node, path: str) -> str:
    """A path with the name of the one Keras object there for each `*`: `optimizer.*.momentum`."""
    parts: list[str] = []
    for part in path.split("."):
        if part == "*":
            node = tree.get(*(int(key) if key.isdigit() else key for key in parts))
            (part,) = node.value if node is not None else ("*",)
        parts.append(part)
    return ".".join(parts)
