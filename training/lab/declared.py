"""The declaration on the page: its text, its errors, and the form with its usual values.

The text is the only source. The form is read from it, and a change in the form makes a new text, so
that the two cannot differ.
"""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from wardrobe import models
from wardrobe.models import DeclarationError, Document, ErrorDetail, zoo
from wardrobe.models.schema.declaration import ObjectSpec
from wardrobe.models.schema.tree import Node, Origin
from wardrobe.models.schema.yaml_reader import read_text
from wardrobe.training import data
from wardrobe.training.data import fashion_mnist
from wardrobe.training.data.declarations import describe_data
from wardrobe.training.studies.study import Overrides, Study, read_all
from wardrobe.training.studies.variants import changed

LARGEST_TEXT = 64 * 1024  # bytes
LARGEST_NUMBER = 10_000  # units, epochs and whatever else `model` counts
MOST_SEEDS = 8
MOST_LAYERS = 50  # that the form writes; each is a line

FILE = "declaration.yaml"
"""The name of the text in messages."""

STARTS = {"xor": 4, "rings": 4, "moons": 6, "spirals": 16, "checkerboard": 24, "curve": 10}
"""Data sets of one or two inputs to start with, each with a number of hidden units."""

_checking = threading.Lock()  # Keras is not made for threads


def read(text: str) -> Document:
    """The declaration, its parents and the defaults merged.

    A text may come from somebody else's link: it can only refer to files of the zoo.

    Raises:
        DeclarationError: it is not a declaration, or extends something else.
    """
    if len(text.encode()) > LARGEST_TEXT:
        message = f"is larger than {LARGEST_TEXT // 1024} KB"
        raise DeclarationError.at(Origin(FILE), message)
    extends = read_text(text, FILE).get("extends")
    if extends is not None and extends.value not in zoo.names():
        message = f"the lab extends networks of the zoo only: {', '.join(zoo.names())}"
        raise DeclarationError.at(extends.origin, message)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / FILE
        file.write_text(text, encoding="utf-8")
        try:
            return models.read(str(file))
        except DeclarationError as error:
            raise DeclarationError(replace(one, file=FILE) for one in error.errors) from None


def errors(text: str) -> list[ErrorDetail]:
    """Everything that is wrong with the text, as `wardrobe check` finds it, and with its size."""
    try:
        document = read(text)
    except DeclarationError as error:
        return list(error.errors)
    if refused := [*_out_of_reach(document), *_too_large(document)]:
        return refused
    with _checking:
        found = models.check(document, describe_data(document))
    own = str(document.origin.source)
    return [replace(one, file=FILE) if one.file == own else one for one in found]


def _out_of_reach(document: Document) -> Iterator[ErrorDetail]:
    name = document.get("data", "name")
    if name is not None and name.value not in data.names():
        known = ", ".join(data.names())
        message = f"the lab takes the data sets {known}; `wardrobe train` takes any"
        yield ErrorDetail.at(name.origin, message)
    if distillation := document.get("distillation"):
        message = "the lab trains no teachers: leave it out, or use `wardrobe train`"
        yield ErrorDetail.at(distillation.origin, message)


def _too_large(document: Document) -> Iterator[ErrorDetail]:
    model = document.get("model")
    for number in _numbers(model) if model else ():
        if number.value > LARGEST_NUMBER:
            message = f"the lab takes at most {LARGEST_NUMBER:,} here; `wardrobe train` takes more"
            yield ErrorDetail.at(number.origin, message)


def _numbers(node: Node) -> Iterator[Node]:
    if type(node.value) is int:
        yield node
    children = node.value.values() if isinstance(node.value, dict) else node.value
    if isinstance(node.value, (dict, list)):
        for child in children:
            yield from _numbers(child)


@dataclass(frozen=True)
class Hidden:
    """Identical hidden layers, which the form can show."""

    units: tuple[int, ...] = ()
    activation: str = "relu"
    initializer: str = "glorot_uniform"
    batch_norm: bool = False
    dropout: float = 0.0
    others: dict[str, Any] = field(default_factory=dict)  # arguments that the form leaves alone

    def layers(self) -> list[Any]:
        """The same as `model.layers`."""
        written: list[Any] = []
        for units in self.units:
            arguments = {"units": units, "activation": self.activation}
            if self.initializer != "glorot_uniform":
                arguments["kernel_initializer"] = self.initializer
            written.append({"Dense": arguments | self.others})
            written += ["BatchNormalization"] * self.batch_norm
            written += [{"Dropout": {"rate": self.dropout}}] if self.dropout else []
        return written


def hidden(document: Document) -> Hidden | None:
    """The hidden layers; None if they differ, or are not only Dense."""
    node, defaults = document.get("model", "layers"), document.get("model", "defaults")
    if node is None or not isinstance(node.value, list):
        return Hidden()
    try:
        specs = list(_expanded(node.plain))
        given = dict((defaults.plain if defaults else None) or {})
        groups = [_group(list(group), given) for group in _grouped(specs)]
    except (KeyError, TypeError, ValueError, AttributeError):
        return None  # the errors say why
    if not groups:
        return Hidden()
    alike = [replace(group, units=()) for group in groups]
    if any(group != alike[0] for group in alike):
        return None
    return replace(groups[0], units=tuple(group.units[0] for group in groups))


def _expanded(layers: list[Any]) -> Iterator[ObjectSpec]:
    for layer in layers:
        if isinstance(layer, dict) and "repeat" in layer:
            for _ in range(min(int(layer["repeat"]), MOST_LAYERS)):
                yield from _expanded(layer["layers"])
        else:
            yield ObjectSpec.parse(layer)


def _grouped(specs: list[ObjectSpec]) -> list[list[ObjectSpec]]:
    """Each Dense layer with those that follow it."""
    groups: list[list[ObjectSpec]] = []
    for spec in specs:
        if spec.name == "Dense" or not groups:
            groups.append([])
        groups[-1].append(spec)
    return groups


def _group(specs: list[ObjectSpec], defaults: dict[str, Any]) -> Hidden:
    """One hidden layer.

    Raises:
        ValueError: it is not Dense, then perhaps BatchNormalization, then perhaps Dropout.
    """
    names = [spec.name for spec in specs]
    wanted = ["Dense", *(name for name in ("BatchNormalization", "Dropout") if name in names)]
    if names != wanted:
        raise ValueError(names)
    first, *rest = specs
    arguments = {**defaults.get("Dense", {}), **first.arguments}
    batch_norm = "BatchNormalization" in names
    if any(set(spec.arguments) - {"rate"} for spec in rest):
        raise ValueError("arguments that the form does not show")
    return Hidden(
        (int(arguments.pop("units")),),
        _name(arguments.pop("activation", "linear")),
        _name(arguments.pop("kernel_initializer", "glorot_uniform")),
        batch_norm,
        float(rest[-1].arguments["rate"]) if "Dropout" in names else 0.0,
        {key: value for key, value in arguments.items() if key in first.arguments},
    )


def _name(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("an object with arguments")
    return value


def form(document: Document) -> dict[str, Any]:
    """The usual values by the names of the form's fields; values of the layers are None if they
    differ, or if there are no layers."""
    layers = hidden(document)
    alike = layers if layers and layers.units else None
    optimizer = document.get("optimizer")
    name, arguments = _optimizer(optimizer.plain if optimizer else None)

    def plain(*path: str) -> Any:
        node = document.get(*path)
        return node.plain if node else None

    return {
        "data": plain("data", "name"),
        "layers": ", ".join(map(str, layers.units)) if layers else None,
        "activation": alike and alike.activation,
        "initializer": alike and alike.initializer,
        "batch_norm": alike and alike.batch_norm,
        "dropout": alike and alike.dropout,
        "optimizer": name,
        "learning_rate": arguments.get("learning_rate", 1e-3),
        "weight_decay": arguments.get("weight_decay", 0),
        "batch_size": plain("training", "batch_size"),
        "epochs": plain("training", "epochs"),
        "validation": plain("training", "validation"),
        "seed": plain("seed"),
        "name": plain("name"),
    }


def _optimizer(value: Any) -> tuple[str, dict[str, Any]]:
    if isinstance(value, dict) and len(value) == 1:
        ((name, arguments),) = value.items()
        return str(name), dict(arguments) if isinstance(arguments, dict) else {}
    return str(value or "Adam"), {}


_OF_LAYERS = ("layers", "activation", "initializer", "batch_norm", "dropout")


def change(text: str, name: str, value: Any) -> str:
    """The text after a field of the form was given a value, which may be wrong.

    Raises:
        DeclarationError: the text is no declaration.
        ValueError: the field does not exist, or its value cannot be written down.
    """
    document = read(text)
    own: dict[str, Any] = read_text(text, FILE).plain
    if name in _OF_LAYERS:
        layers = hidden(document)
        if layers is None:
            raise ValueError("the layers differ from each other: change them in the YAML")
        own["model"] = {**(own.get("model") or {}), "layers": _with(layers, name, value).layers()}
    elif name in ("optimizer", "learning_rate", "weight_decay"):
        own["optimizer"] = _changed_optimizer(form(document), own, name, _scalar(value))
    elif name in ("batch_size", "epochs", "validation"):
        own["training"] = {**(own.get("training") or {}), name: _scalar(value)}
    elif name == "data":
        own |= _changed_data(own, str(value))
    elif name == "seed":
        own[name] = _scalar(value)
    else:
        raise ValueError(f"the form has no field {name!r}")
    return written(own)


def _with(layers: Hidden, name: str, value: Any) -> Hidden:
    if name == "layers":
        numbers = [part for part in str(value).replace(",", " ").split() if part]
        if len(numbers) > MOST_LAYERS or not all(number.isdecimal() for number in numbers):
            raise ValueError(
                f"units of at most {MOST_LAYERS} hidden layers, such as 8, 4; none: no hidden layer"
            )
        return replace(layers, units=tuple(map(int, numbers)))
    if name == "batch_norm":
        return replace(layers, batch_norm=bool(value))
    return replace(layers, **{name: _scalar(value)})


def _changed_optimizer(
    shown: dict[str, Any], own: dict[str, Any], name: str, value: Any
) -> dict[str, Any]:
    _, arguments = _optimizer(own.get("optimizer"))
    if name == "optimizer":
        kept = {key: shown[key] for key in ("learning_rate", "weight_decay") if shown[key]}
        return {str(value): kept}
    arguments[name] = value
    if name == "weight_decay" and not value:
        del arguments[name]
    return {shown["optimizer"]: arguments}


def _changed_data(own: dict[str, Any], name: str) -> dict[str, Any]:
    """The data set, and a head that fits it."""
    given = own.get("data")
    model = dict(own.get("model") or {})
    classes = data.describe(name).classes if name in data.names() else None
    head = "linear" if classes is None else "sigmoid" if classes == 2 else "softmax"
    if classes is None or (model.get("head") or {}).get("activation", "softmax") != "softmax":
        model["head"] = {"activation": head}
    taken = dict(given) if isinstance(given, dict) else {}
    taken.pop("take", None)
    return {"data": {**taken, "name": name} if taken.keys() - {"name"} else name, "model": model}


def _scalar(value: Any) -> Any:
    """The value of a string in YAML; other values unchanged."""
    if not isinstance(value, str):
        return value
    try:
        plain = read_text(value, FILE).value
    except DeclarationError:
        return value
    return plain if isinstance(plain, (int, float, str, bool, type(None))) else value


def written(declaration: dict[str, Any]) -> str:
    """A declaration as YAML, the innermost values in one line."""
    return yaml.safe_dump(
        declaration, sort_keys=False, allow_unicode=True, default_flow_style=None, width=100
    )


@cache
def choices() -> dict[str, Any]:
    """The choices on the page: declarations to start with, and names for the form."""
    from wardrobe.models.build.keras_objects import known_names

    activations = [*known_names("activation")]
    return {
        "start": [{"title": name, "yaml": _start(name)} for name in STARTS]
        + [{"title": fashion_mnist.NAME, "yaml": _fashion_mnist()}],
        "lecture": [_of_lecture(study) for study in read_all()],
        "data": list(data.names()),
        "activation": sorted({*activations} - {"softmax"}),
        "initializer": sorted(n for n in known_names("initializer") if n.islower()),
        "optimizer": sorted(n for n in known_names("optimizer") if n[:1].isupper()),
        "most_seeds": MOST_SEEDS,
    }


def _start(name: str) -> str:
    head = "sigmoid" if data.describe(name).classes else "linear"
    layers = Hidden((STARTS[name],), "tanh").layers()
    return written(
        {
            "name": f"my-{name}",
            "data": name,
            "model": {"layers": layers, "head": {"activation": head}},
            "optimizer": {"Adam": {"learning_rate": 0.02}},
            "training": {"epochs": 200, "batch_size": 50, "validation": 0.2},
            "seed": 1,
        }
    )


def _fashion_mnist() -> str:
    return written(
        {
            "name": "my-garments",
            "data": fashion_mnist.NAME,
            "model": {"layers": Hidden((64,), "relu", "he_normal").layers()},
            "optimizer": {"Adam": {"learning_rate": 1e-3}},
            "training": {"epochs": 10, "batch_size": 128, "validation": 0.1},
            "seed": 1,
        }
    )


def _of_lecture(study: Study) -> dict[str, Any]:
    """A study's declarations: its base, varied along all axes except the seed."""
    axes = [axis for axis in study.axes if axis.name != "seed"]
    points = itertools.product(*(axis.values.items() for axis in axes))
    return {
        "rows": study.frame.rows,
        "title": study.title,
        "about": study.frame.about,
        "variants": [
            {
                "title": ", ".join(
                    f"{name.replace('_', ' ')}: {of_axis}"
                    for axis, (label, _) in zip(axes, point, strict=True)
                    for name, of_axis in axis.labels(label).items()
                ),
                "yaml": _variant(study, [overrides for _, overrides in point]),
            }
            for point in points
        ],
    }


def _variant(study: Study, overrides: list[Overrides]) -> str:
    """One variant as a declaration of its own, without the values that every declaration has."""
    base = study.tree.get("base")
    assert base is not None  # the frame of a study has one
    document = Document(base.value, base.origin, (study.file,))
    for values in overrides:
        document = changed(document, values)
    return written({"name": study.name} | document.plain)
