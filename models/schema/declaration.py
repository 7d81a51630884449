"""The schema of a declaration: its keys, their types, and the values that follow from others.

Names and arguments of Keras objects are not checked here but in `build.keras_objects`, against
the Keras that is installed: this module imports nothing slow.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import groupby, pairwise
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    PrivateAttr,
    ValidationError,
    WithJsonSchema,
    model_validator,
)

from wardrobe.models.schema import typos
from wardrobe.models.schema.errors import DeclarationError, ErrorDetail, did_you_mean, suggestion
from wardrobe.models.schema.tree import Document, Node, Origin, Path, merge, node_of

MAX_LAYERS = 1000

SET_LOSS = "set_crossentropy"
"""The loss of several data sets: −log of the sum of the probabilities of the right classes."""
LARGEST_SIDE = 4096  # pixels

# Arguments of callbacks that name a file or a folder, which must be inside the run folder.
FILE_ARGUMENTS = frozenset({"filepath", "log_dir", "backup_dir", "directory"})


@dataclass(frozen=True)
class ObjectSpec:
    """A Keras object by its name and arguments, and its path in the declaration.

    Arguments of a layer from `model.defaults` are `inherited` from that path.
    """

    name: str
    arguments: dict[str, Any]
    path: Path
    inherited: Path = ()
    inherited_arguments: frozenset[str] = frozenset()

    def path_of(self, argument: str) -> Path:
        """The path of one of its arguments."""
        above = self.inherited if argument in self.inherited_arguments else self.path
        return (*above, argument)

    def with_defaults(self, defaults: dict[str, dict[str, Any]]) -> ObjectSpec:
        """The same with the arguments that it lacks taken from `model.defaults`."""
        given = defaults.get(self.name, {})
        return replace(
            self,
            arguments={**given, **self.arguments},
            inherited=("model", "defaults", self.name),
            inherited_arguments=frozenset(given.keys() - self.arguments.keys()),
        )

    @classmethod
    def parse(cls, value: Any, path: Path = ()) -> ObjectSpec:
        """Parses `Name` or `{Name: {argument: value}}`.

        Raises:
            ValueError: it is neither.
        """
        if isinstance(value, str) and value:
            return cls(value, {}, path)
        if isinstance(value, dict) and len(value) == 1:
            name, arguments = next(iter(value.items()))
            if arguments is None:
                return cls(name, {}, (*path, name))
            if isinstance(arguments, dict):
                return cls(name, arguments, (*path, name))
            raise ValueError(
                f"write the arguments of {name} by name: '{name}: {{argument: value}}'"
                f"{typos.in_value(arguments)}"
            )
        raise ValueError("write one name, such as 'Dropout', or one name with its arguments")


def snake_case(name: str) -> str:
    """The name of a class as Keras writes it in lower case: `he_normal` for HeNormal."""
    words = re.sub(r"(.)([A-Z][a-z0-9]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def _spec(value: Any) -> Any:
    ObjectSpec.parse(value)
    return value


_LAYERS_ARE_A_LIST = "layers are a list: begin each line with '- '"


def _layers(value: Any) -> Any:
    if not isinstance(value, list):
        raise ValueError(_LAYERS_ARE_A_LIST)
    return value


def _held_out(value: Any) -> Any:
    is_count = type(value) is int and value >= 0
    if is_count or (type(value) is float and 0 <= value < 1):
        return value
    raise ValueError(
        f"must be a number of examples or a fraction below 1, not {value!r}{typos.in_value(value)}"
    )


def _class_weight(value: Any) -> Any:
    is_weights = isinstance(value, dict) and all(
        isinstance(weight, (int, float)) and 0 <= weight < math.inf and type(weight) is not bool
        for weight in value.values()
    )
    if value == "balanced" or (value and is_weights):
        return value
    raise ValueError(
        f"must be 'balanced' or a number of at least 0 for each class, such as '{{Coat: 2}}', "
        f"not {value!r}"
    )


def _set_weight(value: Any) -> Any:
    weights = value.values() if isinstance(value, dict) and value else [value]
    if all(type(one) in (int, float) and 0 <= one < math.inf for one in weights):
        return value
    raise ValueError(
        "must be a number of at least 0, or one for each class that counts otherwise than 1, such "
        f"as '{{Coat: 2}}', not {value!r}"
    )


def _size(value: Any) -> Any:
    sides = value if isinstance(value, list) else []
    if len(sides) == 2 and all(type(side) is int and 0 < side <= LARGEST_SIDE for side in sides):
        return value
    raise ValueError(
        f"must be the height and the width, 1 to {LARGEST_SIDE} pixels, as [28, 28], not {value!r}"
    )


def _broadest(value: Any) -> Any:
    limits = value if isinstance(value, list) else []
    are_numbers = len(limits) == 2 and all(type(one) in (int, float) for one in limits)
    if are_numbers and 0.1 <= limits[0] <= limits[1] <= 10:
        return [float(one) for one in limits]
    raise ValueError(
        "must be the least and the greatest limit, width over height, as [0.75, 1.1], not "
        f"{value!r}"
    )


def _classes(value: Any) -> Any:
    """A list keeps its classes and their names."""
    if isinstance(value, list) and all(type(name) in (str, int) for name in value):
        return {str(name): [name] for name in value}
    if isinstance(value, dict):
        return value
    raise ValueError(
        "must be a list of classes, as [cup, plate], or a mapping, as {tableware: [cup, plate]}, "
        f"not {value!r}"
    )


def _class_names(value: Any) -> Any:
    names = value if isinstance(value, list) else [value]
    if names and all(type(name) in (str, int) for name in names):
        return [str(name) for name in names]
    raise ValueError(f"must be a list of class names, as [pants, jeans], not {value!r}")


Preparation = Literal["none", "resize", "pad", "garment"]
_SIDES = {"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2}
Size = Annotated[list[int], BeforeValidator(_size), WithJsonSchema(_SIDES)]
_NAME = {"type": ["string", "integer"]}
ClassNames = Annotated[
    list[str],
    BeforeValidator(_class_names),
    WithJsonSchema({"anyOf": [_NAME, {"type": "array", "items": _NAME, "minItems": 1}]}),
]
_CLASSES = list[str | int] | dict[str, ClassNames]
Classes = Annotated[
    dict[str, ClassNames], BeforeValidator(_classes, json_schema_input_type=_CLASSES)
]
Broadest = Annotated[list[float], BeforeValidator(_broadest)]
ClassWeight = Annotated[Literal["balanced"] | dict[str, float], BeforeValidator(_class_weight)]
SetWeight = Annotated[float | dict[str, float], BeforeValidator(_set_weight)]
HeldOut = Annotated[
    int | float, PlainValidator(_held_out), WithJsonSchema({"type": "number", "minimum": 0})
]
Spec = Annotated[Any, BeforeValidator(_spec)]
Layers = Annotated[Any, BeforeValidator(_layers)]


@dataclass(frozen=True)
class DataFacts:
    """What a network must know about its data: the shape of an example and the number of classes.

    `classes` is None for a regression, `class_names` also if they are unknown before the data is
    read.
    """

    input_shape: tuple[int, ...]
    classes: int | None
    class_names: tuple[str, ...] | None = field(default=None, compare=False)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Copies(_Strict):
    """Varied copies of each training picture, made before it is reduced to the network's size.

    `number`: the number of copies, besides the picture itself. Each may be mirrored, is rotated by
    up to `rotation` degrees, its width multiplied by up to e^±`stretch`, sheared by up to `shear`,
    its outline grown or shrunk by up to `outline` pixels at a longer side of 128, its shades raised
    to a power of up to e^±`gamma`, and made no broader than a limit drawn from `broadest`, width
    over height. Copies depend on the picture and on `seed`, not on the seed of a run.
    """

    number: int = Field(ge=1, le=1000)
    mirror: bool = False
    rotation: float = Field(default=0.0, ge=0, le=180)
    stretch: float = Field(default=0.0, ge=0, le=1)
    shear: float = Field(default=0.0, ge=0, le=1)
    outline: int = Field(default=0, ge=0, le=10)
    gamma: float = Field(default=0.0, ge=0, le=2)
    broadest: Broadest | None = None
    seed: int = Field(default=0, ge=0, lt=2**32)


class Data(_Strict):
    """The data set, by name or path, and how its examples are prepared.

    `size` is the height and width of prepared pictures; None: their own, if all agree. `colour` and
    `prepare` say how they are prepared, see `serving.images.prepare`; None: the default of the data
    set's kind. `classes` lists, renames or merges classes and leaves out those it does not name.
    `target` is the column of a table to predict, `columns` gives the types of others. `resplit` is
    the seed of a new test set, `take` the number of training examples to use. `test` names the
    folder, beside `train`, that is the test set. `copies`: varied copies of garments. `unknown` is
    the class for everything else, whose answers are uncertain. `licence` is for the model card.
    `sets`: several data sets to train on together, declared as a list under `data`; only their
    `name` may be given beside them.
    """

    name: str = Field(min_length=1)
    size: Size | None = None
    colour: Literal["grey", "rgb"] | None = None
    prepare: Preparation | None = None
    classes: Classes | None = None
    target: str | None = None
    columns: dict[str, Literal["number", "category", "ignore"]] | None = None
    resplit: int | None = Field(default=None, ge=0)
    take: int | None = Field(default=None, ge=1)
    test: str | None = Field(default=None, min_length=1)
    copies: Copies | None = None
    unknown: str | None = None
    licence: str | None = None
    sets: list[DataPart] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _garments_are_grey(self) -> Data:
        if self.prepare == "garment" and self.colour == "rgb":
            raise ValueError("garments become grey pictures: leave out 'colour: rgb'")
        if self.copies is not None and self.prepare != "garment":
            raise ValueError("copies are made of garments: add 'prepare: garment'")
        return self


class DataPart(Data):
    """One of several data sets that are trained on together.

    `share`: its share of a batch; None: a part of the rest, by its number of examples.
    `weight`: the weight of its examples in the loss, or weights of some of its classes.
    `stands_for`: its classes that stand for several of the network's, any of which is right.
    `measured`: whether its examples are used for validation and testing, or only for training.
    """

    sets: None = None
    share: float | None = Field(default=None, gt=0, le=1)
    weight: SetWeight = 1.0
    stands_for: dict[str, ClassNames] | None = None
    measured: bool = True


class Input(_Strict):
    """The shape of an example, and the layers that prepare it, such as Rescaling."""

    shape: list[Annotated[int, Field(gt=0)]] = Field(min_length=1)
    layers: Layers


class Head(_Strict):
    """The last layer, Dense: one unit per class (sigmoid and step: one for two), or `outputs`."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)
    activation: Literal["softmax", "sigmoid", "step", "linear"]
    classes: int | None = Field(default=None, ge=2)
    outputs: int | None = Field(default=None, ge=1)

    @property
    def units(self) -> int:
        if self.outputs is not None:
            return self.outputs
        assert self.classes is not None  # filled in by `resolve`
        return 1 if self.is_binary else self.classes

    @property
    def is_binary(self) -> bool:
        """Whether one unit decides between two classes, by the probability of the second."""
        return self.activation in ("sigmoid", "step")

    @property
    def arguments(self) -> dict[str, Any]:
        """Further arguments of the Dense layer."""
        return dict(self.model_extra or {})


class Network(_Strict):
    """The layers between input and head; `defaults` are arguments for every layer of a class.

    `from`: the network whose weights it starts from, where layers agree in name and shape.
    """

    from_: str | None = Field(default=None, alias="from", min_length=1)
    input: Input
    defaults: dict[str, dict[str, Any]]
    layers: Layers
    head: Head


class Training(_Strict):
    """How long to train; `validation`: the number of examples to hold out, or a fraction.

    `class_weight`: how much an example of a class counts in the loss; `balanced`: all classes count
    the same, however many examples they have. `certain`: the fraction of answers not marked
    uncertain that should be right; None: 0.95.
    """

    epochs: int = Field(ge=1, le=100_000)
    batch_size: int = Field(ge=1)
    validation: HeldOut
    class_weight: ClassWeight | None = None
    certain: float | None = Field(default=None, gt=0, le=1)


class Augmentation(_Strict):
    """Augmented copies of the training images, made once; each epoch uses one of them."""

    copies: int = Field(ge=1, le=1000)
    layers: Layers


class Distillation(_Strict):
    """Training targets from another network of the zoo, the teacher.

    A target is `weight` times the teacher's probabilities, computed from its logits divided by
    `temperature`, plus `1 - weight` times the one-hot label.
    """

    teacher: str = Field(min_length=1)
    temperature: float = Field(gt=0)
    weight: float = Field(gt=0, le=1)


class Declaration(_Strict):
    """A network and how it is trained, with every value filled in; made by `resolve`."""

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
    _document: Document = PrivateAttr()

    @property
    def tree(self) -> Node:
        """The same values with the origin of each."""
        return self._tree

    @property
    def data_facts(self) -> DataFacts:
        """The shape and number of classes of the data for which the declaration was resolved."""
        return self._data

    @property
    def files(self) -> tuple[FilePath, ...]:
        """The files that the declaration was read from: its own, then its parents."""
        return self._document.files

    @property
    def document(self) -> Document:
        """The document it was resolved from, without the values that follow from the data."""
        return self._document

    @property
    def takes_class_indices(self) -> bool:
        """Whether the loss takes int32 class indices `[N]`, not one-hot rows `[N, classes]`."""
        name = ObjectSpec.parse(self.loss).name.lower()
        return self.model.head.activation != "softmax" or name.startswith("sparse")

    @property
    def digest(self) -> str:
        """SHA-256 of everything that determines the result, except the seed."""
        decisive = {k: v for k, v in self.tree.plain.items() if k not in ("name", "about", "seed")}
        return hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()

    @property
    def architecture(self) -> str:
        """The widths of the input and of each Dense layer: `784-256-128-10`, `784-3×256-10`.

        `convolutional` if there are convolutions, which only teachers may have.
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

    def layers(self, *path: str) -> Iterator[ObjectSpec]:
        """The layers of a list, with `repeat` expanded and `model.defaults` filled in."""
        for layer in _expanded(self.tree.get(*path).plain, path):  # type: ignore[union-attr]
            yield layer.with_defaults(self.model.defaults)

    def error(self, path: Path, message: str) -> ErrorDetail:
        """An error in the value at a path, at the line where that was written."""
        return ErrorDetail.at(self.tree.origin_of(path), message)


def resolve(document: Document, facts: DataFacts) -> Declaration:
    """The declaration of a document, for data with these facts.

    Raises:
        DeclarationError: with every unknown key, missing value and wrong type.
    """
    declaration, errors = validate(document, facts)
    if declaration is None:
        raise DeclarationError(detail for _, detail in errors)
    declaration._document = document
    return declaration


def validate(
    tree: Node, facts: DataFacts
) -> tuple[Declaration | None, list[tuple[Path, ErrorDetail]]]:
    """The declaration of a tree, or None and the path and the detail of each error."""
    tree = _with_derived_values(tree, facts)
    declaration = None
    errors = _layer_errors(tree)
    try:
        declaration = Declaration.model_validate(tree.plain)
    except ValidationError as error:
        errors = [_in_words(dict(detail)) for detail in error.errors()] + errors
    errors = _with_empty_values(errors, tree)
    if declaration is None or errors:
        return None, [(path, ErrorDetail.at(_origin(tree, path), text)) for path, text in errors]
    declaration._tree = _in_order(tree)
    declaration._data = facts
    return declaration, []


def declared_data(**keys: Any) -> Data:
    """The `data` of a declaration, its keys given by a script.

    Raises:
        DeclarationError: with every unknown key and wrong value.
    """
    try:
        return Data(**keys)
    except ValidationError as error:
        found = [_in_words(dict(detail), above=("data",)) for detail in error.errors()]
        raise DeclarationError(ErrorDetail("data", None, text) for _, text in found) from None


def _origin(tree: Node, path: Path) -> Origin:
    """Where the wrong value at a path was written; of `Dense: 3`, the number."""
    node = tree.get(*path)
    if node is not None and isinstance(node.value, dict) and len(node.value) == 1:
        (name,) = node.value
        if not isinstance(node.value[name].value, dict):
            path = (*path, name)
    return tree.origin_of(path)


def not_indented(tree: Node, path: Path = ()) -> Iterator[ErrorDetail]:
    """An error for each key of a file that was meant to be part of the one above it."""
    if isinstance(tree.value, list):
        for index, child in enumerate(tree.value):
            yield from not_indented(child, (*path, index))
    if not isinstance(tree.value, dict):
        return
    known = _keys_at(path)
    for (key, value), (after, below) in pairwise(tree.value.items()):
        above = _last_empty_key(key, value)
        if above is None or after in known or below.typo:
            continue
        is_object = above[:1].isupper() and not after[:1].isupper()
        if is_object or (above in known and not did_you_mean(after, known)):
            yield ErrorDetail.at(
                below.origin,
                f"'{after}' is not indented: to belong to '{above}', it must begin further right",
            )
    for key, child in tree.value.items():
        yield from not_indented(child, (*path, key))


def _last_empty_key(key: str, value: Node) -> str | None:
    """The last key within an entry of a mapping, if it has no value: `Dense` of `- Dense:`."""
    if value.value is None:
        return key if value.typo is None else None
    if isinstance(value.value, list) and value.value and isinstance(value.value[-1].value, dict):
        *_, (last, inner) = [("", value), *value.value[-1].value.items()]
        return last if inner.value is None else None
    return None


def _with_empty_values(errors: list[tuple[Path, str]], tree: Node) -> list[tuple[Path, str]]:
    """The errors, with one for each null: inheritance has left those that delete nothing."""
    empty = dict(_empty_values(tree))
    kept = [
        (path, text)
        for path, text in errors
        if path not in empty or (empty[path] is None and text.startswith(_UNKNOWN_KEY))
    ]
    reported = {path for path, _ in kept}
    return kept + [
        (path, typo or _nothing_at(path)) for path, typo in empty.items() if path not in reported
    ]


def _empty_values(node: Node, path: Path = ()) -> Iterator[tuple[Path, str | None]]:
    """The path of each null, and the typo that caused it, if one did."""
    entries: Any = node.value.items() if isinstance(node.value, dict) else ()
    entries = enumerate(node.value) if isinstance(node.value, list) else entries
    for key, child in entries:
        if child.value is None:
            yield (*path, key), child.typo
        else:
            yield from _empty_values(child, (*path, key))


def _nothing_at(path: Path) -> str:
    key = path[-1]
    if isinstance(key, int):
        return "an entry of this list is empty: write a value, or remove the entry"
    if key[:1].isupper():
        return f"'{key}:' has no arguments: write '{key}' without a colon, or '{key}: {{}}'"
    return (
        f"'{key}' is empty: write a value after the colon, or leave '{key}' out; an empty value "
        "deletes only what a parent defines"
    )


def _with_derived_values(tree: Node, facts: DataFacts) -> Node:
    """The tree, with values filled in that follow from the data and from the head."""
    is_image = len(facts.input_shape) > 1
    front: list[Any] = [{"Rescaling": {"scale": 1 / 255}}, "Flatten"] if is_image else []
    node = tree.get("model", "head")
    declared_head = node.plain if node and isinstance(node.value, dict) else {}
    head: dict[str, Any] = {}
    if not {"classes", "outputs"} & set(declared_head):
        head = {"outputs": 1} if facts.classes is None else {"classes": facts.classes}
    activation = declared_head.get("activation")
    by_head = Origin(f"default of a {activation} head", is_default=True)
    by_data = Origin("default for this data", is_default=True)
    values = {
        "model": Node(
            {
                "input": node_of({"shape": list(facts.input_shape), "layers": front}, by_data),
                "head": node_of(head, by_data),
            },
            by_data,
        ),
        "loss": node_of(_loss(tree, str(activation)), by_head),
        "metrics": node_of([] if activation == "linear" else ["accuracy"], by_head),
    }
    return merge(Node(values, by_data), tree)


def _loss(tree: Node, activation: str) -> str:
    if activation == "softmax" and tree.get("data", "sets"):
        return SET_LOSS
    return _LOSSES.get(activation, "mean_squared_error")


_UNKNOWN_KEY = "unknown key"

_LOSSES = {"softmax": "sparse_categorical_crossentropy", "sigmoid": "binary_crossentropy"}


def _in_order(tree: Node) -> Node:
    order = [*Declaration.model_fields]
    return Node(dict(sorted(tree.value.items(), key=lambda kv: order.index(kv[0]))), tree.origin)


def _expanded(layers: Any, path: Path) -> Iterator[ObjectSpec]:
    """The layers of a list, with `repeat` expanded."""
    for index, entry in enumerate(layers):
        here = (*path, index)
        if isinstance(entry, dict) and "repeat" in entry:
            for _ in range(entry["repeat"]):
                yield from _expanded(entry["layers"], (*here, "layers"))
        else:
            yield ObjectSpec.parse(entry, here)


def _layer_errors(tree: Node) -> list[tuple[Path, str]]:
    """What is wrong with the entries of the lists of layers, each with its path."""
    errors = []
    for path in (("model", "input", "layers"), ("model", "layers"), ("augmentation", "layers")):
        node = tree.get(*path)
        if node is not None and isinstance(node.value, list):
            count, found = _count(node.plain, path)
            errors += found
            if count > MAX_LAYERS:
                errors.append((path, f"{count} layers; at most {MAX_LAYERS} are allowed"))
    return errors


def _count(layers: Any, path: Path) -> tuple[int, list[tuple[Path, str]]]:
    """How many layers a list expands to, and what is wrong with its entries."""
    if not isinstance(layers, list):
        return 0, [(path, _LAYERS_ARE_A_LIST)]
    total, errors = 0, []
    for index, entry in enumerate(layers):
        here: Path = (*path, index)
        if not (isinstance(entry, dict) and {"repeat", "layers"} & set(entry)):
            try:
                ObjectSpec.parse(entry, here)
            except ValueError as error:
                errors.append((here, str(error)))
            total += 1
            continue
        times = entry.get("repeat")
        if type(times) is not int or times < 0:
            errors.append(((*here, "repeat"), f"repeat takes a whole number, not {times!r}"))
            times = 0
        for key in entry:
            if key not in ("repeat", "layers"):
                errors.append(((*here, key), f"only 'layers' may go with 'repeat', not '{key}'"))
        inner, found = _count(entry.get("layers"), (*here, "layers"))
        total += times * inner
        errors += found
    return total, errors


def _in_words(detail: dict[str, Any], above: Path = ()) -> tuple[Path, str]:
    """An error that pydantic found: its path, and a message in the words of a declaration.

    above: the path of the part of a declaration that was validated.
    """
    path = (*above, *detail["loc"])
    key = path[-1] if path else ""
    place = ".".join(map(str, path)).replace("data.sets.", "data.")
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "extra_forbidden":
        known = _keys_at(path[:-1])
        hint = suggestion(str(key), known)
        message = f"{_UNKNOWN_KEY} '{key}'{hint}"
    elif kind == "missing":
        message = f"'{place}' is missing"
    elif kind == "value_error":
        message = f"{place}: {context['error']}"
    elif kind == "string_pattern_mismatch":
        message = (
            f"{place}: use lower-case letters, digits, '-', '_' and '.', not {detail['input']!r}"
        )
    elif kind in ("string_too_short", "too_short"):
        message = f"{place} must not be empty"
    else:
        wanted = detail["msg"].removeprefix("Input should be ")
        if kind == "list_type":
            wanted = f"a valid list, such as '{key}: [{detail['input']}]'"
        if kind.startswith("model_"):
            wanted = f"a mapping, such as '{key}: {{{_keys_at(path)[0]}: …}}'"
        given = detail["input"]
        message = f"{place} must be {wanted}, not {given!r}{typos.in_value(given)}"
    return path, message


def _mappings(kind: Any) -> Iterator[Any]:
    """The models in an annotation: of `X | None`, or of several kinds, those that are mappings."""
    if hasattr(kind, "model_fields"):
        yield kind
    for inner in get_args(kind):
        yield from _mappings(inner)


def _keys_at(path: Path) -> list[str]:
    """The keys of the mapping at a path; none where the schema does not say them."""
    model: Any = Declaration
    for key in path:
        if isinstance(key, int):  # `model` is what the list consists of
            continue
        found = model.model_fields.get(key)
        if found is None:
            return []
        model = next(_mappings(found.annotation), None)
        if model is None:
            return []
    fields = [known.alias or name for name, known in model.model_fields.items()]
    return [*fields, *(("extends",) if model is Declaration else ())]
