"""The frame of a declaration: its keys, their types, and the values that follow from others.

Names and arguments of Keras objects are not checked here but against the Keras that is
installed, in `keras_objects`: this module imports nothing slow.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationError,
)

from wardrobe.models.schema.errors import DeclarationError, Problem, suggestion
from wardrobe.models.schema.tree import Node, Origin, Path, merge, node_of

MOST_LAYERS = 1000

# Arguments of callbacks that name a file or a folder: they stay inside the run folder.
FILE_ARGUMENTS = frozenset({"filepath", "log_dir", "backup_dir", "directory"})


@dataclass(frozen=True)
class Named:
    """A Keras object by its name and arguments, and where it stands in the declaration."""

    name: str
    arguments: dict[str, Any]
    path: Path


def named(spec: Any, path: Path) -> Named:
    """Reads `Name` or `{Name: {argument: value}}`.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(spec, str) and spec:
        return Named(spec, {}, path)
    if isinstance(spec, dict) and len(spec) == 1:
        name, arguments = next(iter(spec.items()))
        if arguments is None:
            return Named(name, {}, (*path, name))
        if isinstance(arguments, dict):
            return Named(name, arguments, (*path, name))
        raise ValueError(f"write the arguments of {name} by name: '{name}: {{argument: value}}'")
    raise ValueError("write one name, such as 'Dropout', or one name with its arguments")


def _spec(value: Any) -> Any:
    named(value, ())
    return value


def _layers(value: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError("layers are a list: begin each line with '- '")
    return value


def _held_out(value: Any) -> Any:
    is_count = type(value) is int and value >= 0
    if is_count or (type(value) is float and 0 <= value < 1):
        return value
    raise ValueError(f"a number of examples, or a share below 1, not {value!r}")


HeldOut = Annotated[int | float, PlainValidator(_held_out)]
Spec = Annotated[Any, BeforeValidator(_spec)]
Layers = Annotated[Any, BeforeValidator(_layers)]


@dataclass(frozen=True)
class DataFacts:
    """What a network must know of its data: the shape of one example, and how many classes.

    `classes` is None for regression.
    """

    input_shape: tuple[int, ...]
    classes: int | None


class _Frame(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Data(_Frame):
    name: str = Field(min_length=1)
    resplit: int | None = Field(default=None, ge=0)
    take: int | None = Field(default=None, ge=1)


class Input(_Frame):
    shape: list[Annotated[int, Field(gt=0)]] = Field(min_length=1)
    layers: Layers


class Head(_Frame):
    """The last layer: a Dense of one unit a class (sigmoid, step: one for two), or of `outputs`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    activation: Literal["softmax", "sigmoid", "step", "linear"]
    classes: int | None = Field(default=None, ge=2)
    outputs: int | None = Field(default=None, ge=1)

    @property
    def units(self) -> int:
        if self.outputs is not None:
            return self.outputs
        assert self.classes is not None  # filled in by `resolve`
        return 1 if self.is_one_unit_for_two else self.classes

    @property
    def is_one_unit_for_two(self) -> bool:
        """Whether one unit tells two classes apart: its output is the second class's share."""
        return self.activation in ("sigmoid", "step")

    @property
    def arguments(self) -> dict[str, Any]:
        """The further arguments of the Dense layer."""
        return dict(self.model_extra or {})


class Network(_Frame):
    input: Input
    defaults: dict[str, dict[str, Any]]
    layers: Layers
    head: Head


class Training(_Frame):
    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(ge=1)
    validation: HeldOut


class Augmentation(_Frame):
    """Disturbed copies of the training pictures, made once; an epoch goes through one of them."""

    copies: int = Field(ge=1, le=1000)
    layers: Layers


class Distillation(_Frame):
    """Targets for training that another network of the zoo gives, its teacher.

    They are `weight` times its probabilities, the logits divided by `temperature`, and for the
    rest the labels.
    """

    teacher: str = Field(min_length=1)
    temperature: float = Field(gt=0)
    weight: float = Field(gt=0, le=1)


class Declaration(_Frame):
    """A network and how it is trained, with every value filled in."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=100)
    about: str
    seed: int = Field(ge=0, lt=2**32)
    data: Data
    precision: Literal["float32", "mixed_bfloat16", "mixed_float16"]
    deterministic: bool
    model: Network
    optimizer: Spec
    loss: Spec
    metrics: list[Spec]
    training: Training
    augmentation: Augmentation | None = None
    distillation: Distillation | None = None
    callbacks: list[Spec]

    _tree: Node = PrivateAttr()
    _data: DataFacts = PrivateAttr()

    @property
    def tree(self) -> Node:
        """The same values with the origin of each."""
        return self._tree

    @property
    def data_facts(self) -> DataFacts:
        """Shape and number of classes of the data that the declaration was resolved for."""
        return self._data

    @property
    def digest(self) -> str:
        """SHA-256 of all that decides the result, except the seed: the same for all its runs."""
        what = {k: v for k, v in self.tree.plain.items() if k not in ("name", "about", "seed")}
        return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()

    @property
    def architecture(self) -> str:
        """The widths of the input and of each Dense layer: `784-256-128-10`, `784-3×256-10`.

        `convolutional`, which only a teacher may be, where there are other layers with weights.
        """
        layers = list(self.layers("model", "layers"))
        if any("Conv" in layer.name for layer in layers):
            return "convolutional"
        hidden = (layer for layer in layers if layer.name == "Dense")
        widths = [
            math.prod(self.model.input.shape),
            *(layer.arguments.get("units", 0) for layer in hidden),
            self.model.head.units,
        ]
        counted = ((width, len(list(equal))) for width, equal in groupby(widths))
        return "-".join(f"{times}×{width}" if times > 1 else f"{width}" for width, times in counted)

    def layers(self, *path: str) -> Iterator[Named]:
        """The layers of a list, `repeat` written out and `model.defaults` filled in."""
        for layer in _expanded(self.tree.get(*path).plain, path):  # type: ignore[union-attr]
            defaults = self.model.defaults.get(layer.name, {})
            yield Named(layer.name, {**defaults, **layer.arguments}, layer.path)

    def problem(self, path: Path, message: str) -> Problem:
        """A problem with the value at a path, at the line where that was written."""
        return problem_at(self.tree, path, message)


def problem_at(tree: Node, path: Path, message: str) -> Problem:
    """A problem with the value at a path, at the line where that was written."""
    origin = tree.origin_of(path)
    return Problem(origin.source, origin.line, message)


def resolve(tree: Node, facts: DataFacts) -> Declaration:
    """The declaration of a tree, for data of which so much is known.

    Raises:
        DeclarationError: with every unknown key, missing value and wrong type.
    """
    tree = derive(tree, facts)
    if mistakes := frame_mistakes(tree):
        raise DeclarationError(problem_at(tree, path, text) for path, text in mistakes)
    declaration = Declaration.model_validate(tree.plain)
    declaration._tree = _in_order(tree)
    declaration._data = facts
    return declaration


def frame_mistakes(tree: Node) -> list[tuple[Path, str]]:
    """The path of each unknown key, missing value and wrong type, and what is wrong with it."""
    mistakes = []
    try:
        Declaration.model_validate(tree.plain)
    except ValidationError as error:
        mistakes = [_in_words(dict(mistake)) for mistake in error.errors()]
    for path in (("model", "input", "layers"), ("model", "layers"), ("augmentation", "layers")):
        node = tree.get(*path)
        if node is not None and isinstance(node.value, list):
            count, found = _count(node.plain, path)
            mistakes += found
            if count > MOST_LAYERS:
                mistakes.append((path, f"{count} layers; {MOST_LAYERS} at most"))
    return mistakes


def derive(tree: Node, facts: DataFacts) -> Node:
    """The tree with the values that follow from the data and from the head filled in."""
    is_image = len(facts.input_shape) > 1
    front: list[Any] = [{"Rescaling": {"scale": 1 / 255}}, "Flatten"] if is_image else []
    declared_head = tree.get("model", "head")
    head: dict[str, Any] = {}
    if declared_head is None or not {"classes", "outputs"} & set(declared_head.plain or {}):
        head = {"outputs": 1} if facts.classes is None else {"classes": facts.classes}
    activation = (declared_head.plain or {}).get("activation") if declared_head else None
    by_head = Origin(f"default of a {activation} head")
    by_data = Origin("default for this data")
    values = {
        "model": Node(
            {
                "input": node_of({"shape": list(facts.input_shape), "layers": front}, by_data),
                "head": node_of(head, by_data),
            },
            by_data,
        ),
        "loss": node_of(_LOSSES.get(str(activation), "mean_squared_error"), by_head),
        "metrics": node_of([] if activation == "linear" else ["accuracy"], by_head),
    }
    return merge(Node(values, by_data), tree)


_LOSSES = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}


def _in_order(tree: Node) -> Node:
    order = [*Declaration.model_fields]
    return Node(dict(sorted(tree.value.items(), key=lambda kv: order.index(kv[0]))), tree.origin)


def _expanded(layers: Any, path: Path) -> Iterator[Named]:
    for number, entry in enumerate(layers):
        here = (*path, number)
        if isinstance(entry, dict) and "repeat" in entry:
            for _ in range(entry["repeat"]):
                yield from _expanded(entry["layers"], (*here, "layers"))
        else:
            yield named(entry, here)


def _count(layers: Any, path: Path) -> tuple[int, list[tuple[Path, str]]]:
    """How many layers a list stands for, and what is wrong with its form."""
    if not isinstance(layers, list):
        return 0, [(path, "layers are a list: begin each line with '- '")]
    total, problems = 0, []
    for number, entry in enumerate(layers):
        here: Path = (*path, number)
        if not (isinstance(entry, dict) and {"repeat", "layers"} & set(entry)):
            try:
                named(entry, here)
            except ValueError as error:
                problems.append((here, str(error)))
            total += 1
            continue
        times = entry.get("repeat")
        if type(times) is not int or times < 0:
            problems.append(((*here, "repeat"), f"repeat takes a whole number, not {times!r}"))
            times = 0
        for key in entry:
            if key not in ("repeat", "layers"):
                problems.append(((*here, key), f"'repeat' stands with 'layers' only, not '{key}'"))
        inner, found = _count(entry.get("layers"), (*here, "layers"))
        total += times * inner
        problems += found
    return total, problems


def _in_words(mistake: dict[str, Any]) -> tuple[Path, str]:
    """One mistake that pydantic found, in the words of a declaration."""
    path = mistake["loc"]
    key = path[-1] if path else ""
    place = ".".join(map(str, path))
    kind, context = mistake["type"], mistake.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys_at(path[:-1])
        message = f"unknown key '{key}'{suggestion(str(key), known) or f'; known: {known}'}"
    elif kind == "missing":
        message = f"'{place}' is missing"
    elif kind == "value_error":
        message = f"{place}: {context['error']}"
    elif kind == "string_pattern_mismatch":
        message = f"{place}: use small letters, digits, '-', '_' and '.', not {mistake['input']!r}"
    else:
        wanted = mistake["msg"].removeprefix("Input should be ")
        message = f"{place} must be {wanted}, not {mistake['input']!r}"
    return path, message


def _keys_at(path: Path) -> list[str]:
    model: Any = Declaration
    for key in path:
        kind = model.model_fields[key].annotation
        model = next(iter(get_args(kind)), kind)  # of `X | None` the X
    return [*model.model_fields, *(("extends",) if model is Declaration else ())]
