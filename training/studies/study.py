"""A study as it is declared: the frame of its file, read and checked. Imports nothing slow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from wardrobe.models import DeclarationError, ErrorDetail
from wardrobe.models.schema.errors import did_you_mean
from wardrobe.models.schema.inheritance import shown
from wardrobe.models.schema.tree import Node
from wardrobe.models.schema.yaml_reader import read_file
from wardrobe.training import lecture
from wardrobe.training.studies import claims, measures

Overrides = dict[str, Node]


@dataclass(frozen=True)
class Axis:
    """One way in which the variants differ: each label with the values that it sets.

    If the values of two axes depend on each other, they are declared as one, `task, depth`, with
    labels such as `board, 3`.
    """

    name: str
    values: dict[str, Overrides]

    @property
    def names(self) -> list[str]:
        """Its own name, or those of the axes that it joins."""
        return self.name.split(", ")

    def labels(self, label: str) -> dict[str, str]:
        """The label on this axis, or on each axis that it joins."""
        return dict(zip(self.names, label.split(", ", len(self.names) - 1), strict=True))


def _claim(text: Any) -> Any:
    claims.parse(str(text))
    return text


def _measure(name: Any) -> Any:
    if name not in measures.NAMES:
        known = ", ".join(measures.NAMES)
        hint = did_you_mean(str(name), measures.NAMES) or f"; choose from {known}"
        raise ValueError(f"no measure '{name}'{hint}")
    return name


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Quick(_Frame):
    """The smaller values of a quick study."""

    axes: dict[str, Any] = {}
    set: dict[str, Any] = {}
    trials: int | None = Field(default=None, ge=1)


class Range(_Frame):
    """The values that a search may give to one path: from `low` to `high`, or one of `values`."""

    path: str
    low: int | float | None = None
    high: int | float | None = None
    log: bool = False
    values: list[Any] | None = None

    @model_validator(mode="after")
    def _has_ends_or_values(self) -> Range:
        if (self.values is None) == (self.low is None or self.high is None):
            raise ValueError("a range has low and high, or values")
        return self


class Search(_Frame):
    """Ranges to search for the highest validation accuracy, by the names of their numbers."""

    trials: int = Field(ge=1)
    seed: int = Field(default=1, ge=0)
    ranges: dict[str, Range] = Field(min_length=1)


class _StudyFrame(_Frame):
    title: str
    rows: list[Annotated[int, Field(ge=1, le=26)]] = []  # of the lecture, if it belongs there
    about: str
    base: dict[str, Any]
    axes: dict[str, Any] = {}
    train: bool = True
    measure: list[Annotated[str, BeforeValidator(_measure)]] = []
    figure: dict[str, dict[str, Any]] = Field(min_length=1)
    claim: list[Annotated[str, BeforeValidator(_claim)]] = Field(min_length=1)
    otherwise: str = ""
    search: Search | None = None
    quick: Quick = Quick()


@dataclass(frozen=True)
class Study:
    """A study's frame, with the tree of its file for the lines of its values."""

    name: str
    file: Path
    frame: _StudyFrame
    tree: Node
    is_quick: bool

    @property
    def key(self) -> str:
        """The name of its folder, which differs for a quick study."""
        return f"{self.name}-quick" if self.is_quick else self.name

    @property
    def axes(self) -> list[Axis]:
        """The axes; in a quick study, those of `quick` replace axes of the same name."""
        node = self.tree.get("axes")
        nodes = dict(node.value) if node else {}
        if self.is_quick and (smaller := self.tree.get("quick", "axes")):
            nodes |= smaller.value
        return [_axis(name, node) for name, node in nodes.items()]

    @property
    def overrides(self) -> Overrides:
        """The values that a quick study sets for all variants."""
        node = self.tree.get("quick", "set") if self.is_quick else None
        return dict(node.value) if node else {}

    @property
    def trials(self) -> int:
        """The number of trials of a search; 0 if this is not a search."""
        if self.frame.search is None:
            return 0
        return (self.is_quick and self.frame.quick.trials) or self.frame.search.trials

    @property
    def title(self) -> str:
        return self.frame.title


def read(name_or_file: str, is_quick: bool = False) -> Study:
    """A study by its name in the lecture, or from a file.

    Raises:
        DeclarationError: with every error in the file.
    """
    file = lecture.FOLDER / f"{name_or_file}.yaml"
    if name_or_file not in lecture.names():
        file = Path(name_or_file)
        if file.suffix not in (".yaml", ".yml") and not file.exists():
            hint = did_you_mean(name_or_file, lecture.names()) or "; see `wardrobe study --list`"
            raise DeclarationError(
                [ErrorDetail(name_or_file, None, f"no such file or study{hint}")]
            )
    tree = read_file(file, shown(file))
    try:
        frame = _StudyFrame.model_validate(tree.plain)
    except ValidationError as error:
        raise DeclarationError(_error(tree, dict(one)) for one in error.errors()) from None
    return Study(file.stem, file, frame, tree, is_quick)


def read_all(is_quick: bool = False) -> list[Study]:
    """Every study of the lecture, in its order."""
    studies = [read(name, is_quick) for name in lecture.names()]
    return sorted(studies, key=lambda study: (study.frame.rows, study.name))


def _axis(name: str, node: Node) -> Axis:
    """Raises DeclarationError if a label does not have a part for each joined axis."""
    axis = Axis(name, dict(_axis_values(name, node)))
    count = len(axis.names)
    for label in axis.values:
        if count > 1 and len(parts := label.split(", ", count - 1)) < count:
            text = f"axes.{name}: '{label}' has {len(parts)} label for {count} axes"
            raise DeclarationError([ErrorDetail.at(node.value[label].origin, text)])
    return axis


def _axis_values(name: str, node: Node) -> Iterator[tuple[str, Overrides]]:
    """`[values]` of the path that is the axis' name; `{path, values}`; or `{label: {path: …}}`."""
    if isinstance(node.value, list):
        path, values = name, node
    elif "path" in node.value and "values" in node.value:
        path, values = str(node.value["path"].value), node.value["values"]
    else:
        for label, overrides in node.value.items():
            yield str(label), dict(overrides.value or {})
        return
    for value in values.value:
        yield _label(value.plain), {path: value}


def _label(value: Any) -> str:
    """What a value of an axis is called: a Keras object by its name."""
    return next(iter(value)) if isinstance(value, dict) and value else str(value)


def _error(tree: Node, error: dict[str, Any]) -> ErrorDetail:
    path = tuple(part for part in error["loc"] if isinstance(part, (str, int)))
    origin = tree.origin_of(path)
    key = ".".join(map(str, path))
    if error["type"] == "extra_forbidden":
        known = _StudyFrame.model_fields
        return ErrorDetail(
            origin.source, origin.line, f"unknown key '{key}'{did_you_mean(key, known)}"
        )
    text = str(error.get("ctx", {}).get("error", error["msg"]))
    return ErrorDetail(origin.source, origin.line, f"{key}: {text}")
