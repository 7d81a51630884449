"""The JSON Schema of declarations, with which editors complete and check as you type.

The keys come from pydantic's models, the objects from the signatures and docstrings of the
installed Keras. The schema knows names, arguments and types; `check` handles the relations between
values. Null is allowed wherever it may delete what a parent defines.
"""

from __future__ import annotations

import inspect
import re
from typing import Any

from wardrobe.models.build.keras_objects import (
    KINDS,
    NOT_ALLOWED,
    constructor_parameters,
    epoch_names,
    is_quantity,
    kind_of_argument,
    known_names,
    may_be_a_list,
)
from wardrobe.models.schema.declaration import Declaration

Schema = dict[str, Any]

_SHOWN = ("title", "description", "default")  # what editors show of a key

_NUMBERS: Schema = {
    "anyOf": [{"type": "number"}, {"type": "array", "items": {"$ref": "#/$defs/numbers"}}]
}


def json_schema() -> Schema:
    """The schema of a declaration's file, as JSON Schema draft 2020-12."""
    schema = Declaration.model_json_schema()
    definitions: Schema = schema.pop("$defs")
    definitions["numbers"] = _NUMBERS
    for kind in KINDS:
        definitions[kind] = _objects(kind, definitions)
    _name_the_objects(schema["properties"], definitions)
    for model in (schema, *(definitions[name] for name in list(definitions))):
        _may_be_inherited(model)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Declaration of a network and its training",
        "type": "object",
        "properties": schema["properties"],
        "required": ["name"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def _name_the_objects(properties: Schema, definitions: Schema) -> None:
    """Puts the objects of Keras, and short forms, where pydantic's models take anything."""
    layers = {"type": "array", "items": {"$ref": "#/$defs/layer"}}
    properties["extends"] = {"type": "string", "description": "One parent: a file or a network."}
    part = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/DataPart"}]}
    several = {"type": "array", "items": part, "minItems": 1}
    properties["data"] = {"anyOf": [{"type": "string"}, properties["data"], several]}
    # In its place a list is written; only a resolved declaration has it.
    del definitions["DataPart"]["properties"]["sets"]
    for key, kind in (("optimizer", "optimizer"), ("loss", "loss")):
        properties[key] = {"$ref": f"#/$defs/{kind}"}
    for key, kind in (("metrics", "metric"), ("callbacks", "callback")):
        properties[key] = {"type": "array", "items": {"$ref": f"#/$defs/{kind}"}}
    for model in ("Input", "Network", "Augmentation"):
        definitions[model]["properties"]["layers"] = layers
    definitions["layer"]["anyOf"].append(
        {
            "type": "object",
            "properties": {"repeat": {"type": "integer", "minimum": 0}, "layers": layers},
            "required": ["repeat", "layers"],
            "additionalProperties": False,
        }
    )
    definitions["Network"]["properties"]["defaults"] = {
        "type": "object",
        "properties": definitions["layer"]["anyOf"][1]["properties"],
        "additionalProperties": False,
    }
    dense = definitions["layer Dense"]["properties"]
    set_by_the_head = ("units", "activation", "dtype", "name")
    further = {name: value for name, value in dense.items() if name not in set_by_the_head}
    definitions["Head"]["properties"] = further | definitions["Head"]["properties"]
    definitions["Head"]["additionalProperties"] = False


def _may_be_inherited(model: Schema) -> None:
    """Lets a file leave out what its parents or the defaults say, and delete it with null."""
    model.pop("required", None)
    for name, value in model.get("properties", {}).items():
        if name not in ("name", "extends"):
            shown = {key: value[key] for key in _SHOWN if key in value}
            taken = {key: value[key] for key in value if key not in _SHOWN}
            model["properties"][name] = {**shown, "anyOf": [taken, {"type": "null"}]}


def _objects(kind: str, definitions: Schema) -> Schema:
    """`Name`, or `{Name: {argument: value}}`, of everything that Keras has of a kind."""
    known = {name: made for name, made in known_names(kind).items() if name not in NOT_ALLOWED}
    objects = {}
    for name, maker in known.items():
        if inspect.isclass(maker):
            place = f"{kind} {maker.__name__}"
            if place not in definitions:
                definitions[place] = _arguments(kind, maker)
            objects[name] = {"$ref": f"#/$defs/{place}"}
    names: Schema = {"enum": sorted(known) + ["accuracy"] * (kind == "metric")}
    if not objects:
        return names
    mapping = {
        "type": "object",
        "properties": objects,
        "additionalProperties": False,
        "minProperties": 1,
        "maxProperties": 1,
    }
    return {"anyOf": [names, mapping]}


def _arguments(kind: str, maker: Any) -> Schema:
    """The named arguments of a class of Keras."""
    parameters = constructor_parameters(maker)
    described = _descriptions(maker)
    properties = {
        name: described.get(name, {}) | _value(parameter) for name, parameter in parameters.items()
    }
    for in_epochs, in_steps in epoch_names(parameters).items():
        text = f"The same as {in_steps}, in epochs."
        properties[in_epochs] = {"description": text, **_NUMBERS}
    if kind == "optimizer":
        properties["exclude_from_weight_decay"] = {
            "description": "Names of weights, such as bias, that do not decay.",
            "type": "array",
            "items": {"type": "string"},
        }
    return {
        "description": _first_sentence(inspect.getdoc(maker) or ""),
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }


def _value(parameter: inspect.Parameter) -> Schema:
    """What an argument takes, judging by its name and its default as `check` does."""
    default = parameter.default
    is_plain = isinstance(default, (bool, int, float, str))
    given: Schema = {"default": default} if is_plain else {}
    kind = kind_of_argument(parameter.name)
    if kind == "schedule":
        rate = {"type": "number", "minimum": 0}
        return given | {"anyOf": [rate, {"$ref": "#/$defs/schedule"}]}
    if kind is not None:
        return given | {"$ref": f"#/$defs/{kind}"}
    if isinstance(default, bool):
        return given | {"type": "boolean"}
    if isinstance(default, str):
        types = ["string", "integer"] if parameter.name.endswith("_freq") else "string"
        return given | {"type": types}
    if is_quantity(parameter.name) and not may_be_a_list(parameter.name):
        return given | {"type": "number", "minimum": 0}
    return given | _NUMBERS if isinstance(default, (int, float)) else given


def _descriptions(maker: Any) -> dict[str, Schema]:
    """The first sentence about each argument, from the docstrings of a class and its bases."""
    found: dict[str, Schema] = {}
    for base in inspect.getmro(maker):
        section = re.split(r"\n\s*Arg(?:ument)?s:\s*\n", inspect.cleandoc(base.__doc__ or ""))[1:]
        for entry in re.finditer(r"(?m)^ {4}`?(\w+)`?: (.*(?:\n {6,}.*)*)", "\n".join(section)):
            found.setdefault(entry[1], {"description": _first_sentence(entry[2])})
    return found


def _first_sentence(text: str) -> str:
    paragraph = " ".join(text.split("\n\n")[0].split())
    return re.split(r"(?<=[.!?])\s", paragraph)[0]
