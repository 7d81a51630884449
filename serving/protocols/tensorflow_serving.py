"""TensorFlow Serving's REST API, under `/v1`: its paths, its bodies, its errors."""

from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from flask import Blueprint, Response, jsonify, request
from werkzeug.routing import BaseConverter, Map

from wardrobe.serving.errors import ModelNotFoundError, RequestError
from wardrobe.serving.http import json_text
from wardrobe.serving.http import request_body as bodies
from wardrobe.serving.inference.graph import DEFAULT, STRING, Array, Signature, Spec
from wardrobe.serving.inference.model import Model
from wardrobe.serving.inference.repository import Condition, Repository
from wardrobe.serving.protocols import examples
from wardrobe.serving.protocols.tensors import array, from_json, quote, shape
from wardrobe.serving.settings import Settings

STATES = {"available": "AVAILABLE", "broken": "END", "loading": "LOADING", "not loaded": "START"}
ROW, COLUMN = "instances", "inputs"
Row = dict[str, Any]


class _Part(BaseConverter):
    """A name in a path; what follows a colon is what to do with it."""

    regex = "[^/:]+"


class _Version(BaseConverter):
    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        return int(value)


def add_converters(url_map: Map) -> None:
    """Teaches the application the parts of this protocol's paths."""
    url_map.converters |= {"part": _Part, "version": _Version}


def tensorflow_serving(repository: Repository, settings: Settings) -> Blueprint:
    """The blueprint of everything under `/v1`."""
    blueprint = Blueprint("tensorflow_serving", __name__, url_prefix="/v1")
    model_paths = (
        "/models/<part:name>",
        "/models/<part:name>/versions/<version:version>",
        "/models/<part:name>/labels/<part:label>",
    )

    def status(name: str, version: int | None = None, label: str | None = None) -> Response:
        if label is not None:
            version = repository.get(name, label=label).artifact.version
        return jsonify(model_version_status=_statuses(repository, name, version))

    def metadata(name: str, version: int | None = None, label: str | None = None) -> Response:
        return jsonify(_metadata(_get(repository, name, version, label)))

    def predict(name: str, version: int | None = None, label: str | None = None) -> Response:
        model, document = _get(repository, name, version, label), _document(settings)
        return _predict(model, document)

    def classify(name: str, version: int | None = None, label: str | None = None) -> Response:
        model, document = _get(repository, name, version, label), _document(settings)
        return _on_examples(model, document, "classify")

    def regress(name: str, version: int | None = None, label: str | None = None) -> Response:
        model, document = _get(repository, name, version, label), _document(settings)
        return _on_examples(model, document, "regress")

    @blueprint.route("", defaults={"rest": ""}, methods=ALL_METHODS)
    @blueprint.route("/<path:rest>", methods=ALL_METHODS)
    def anything_else(rest: str) -> NoReturn:
        raise RequestError(f"Malformed request: {request.method} {request.path}")

    for path in model_paths:
        blueprint.add_url_rule(path, view_func=status, methods=["GET"])
        blueprint.add_url_rule(f"{path}/metadata", view_func=metadata, methods=["GET"])
        for verb in (predict, classify, regress):
            blueprint.add_url_rule(f"{path}:{verb.__name__}", view_func=verb, methods=["POST"])
    return blueprint


ALL_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]


def _get(repository: Repository, name: str, version: int | None, label: str | None) -> Model:
    try:
        return repository.get(name, version, label)
    except ModelNotFoundError:
        which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise ModelNotFoundError(f"Servable not found for request: {which}") from None


def _statuses(repository: Repository, name: str, version: int | None) -> list[dict[str, Any]]:
    try:
        conditions = repository.conditions(name)
    except ModelNotFoundError:
        conditions = []
        version = None
    found = [each for each in conditions if version in (None, each.artifact.version)]
    if not found:
        wanted = "any versions" if version is None else f"version {version}"
        raise ModelNotFoundError(f"Could not find {wanted} of model {name}")
    return [_status(each) for each in found]


def _status(condition: Condition) -> dict[str, Any]:
    is_broken = condition.state == "broken"
    error = {"error_code": "INTERNAL", "error_message": condition.reason}
    return {
        "version": str(condition.artifact.version),
        "state": STATES[condition.state],
        "status": error if is_broken else {"error_code": "OK", "error_message": ""},
    }


def _metadata(model: Model) -> dict[str, Any]:
    artifact = model.artifact
    return {
        "model_spec": {
            "name": artifact.name,
            "signature_name": "",
            "version": str(artifact.version),
        },
        "metadata": {"signature_def": {"signature_def": model.network.definitions}},
    }


def _document(settings: Settings) -> dict[str, Any]:
    document = json_text.loads(bodies.read(settings.max_request_bytes))
    if not isinstance(document, dict):
        raise RequestError(f"JSON Value: {quote(document)} is no object")
    return document


def _signature(model: Model, document: Mapping[str, Any]) -> tuple[str, Signature]:
    name = document.get("signature_name") or DEFAULT
    if not isinstance(name, str):
        raise RequestError(f"JSON Value: {quote(name)} 'signature_name' is no string")
    if name not in model.network.signatures:
        raise RequestError(f'Serving signature name: "{name}" not found in signature def')
    return name, model.network.signatures[name]


def _predict(model: Model, document: Mapping[str, Any]) -> Response:
    if (ROW in document) == (COLUMN in document):
        if ROW in document:
            raise RequestError(
                f"JSON Value: {quote(document)} Expecting one of the keys '{ROW}' and '{COLUMN}',"
                " not both"
            )
        raise RequestError(f"Missing '{COLUMN}' or '{ROW}' key")
    name, signature = _signature(model, document)
    is_row = ROW in document
    read = _from_rows if is_row else _from_columns
    outputs = model.call(name, read(document[ROW if is_row else COLUMN], signature))
    answer = {"predictions": _rows(outputs)} if is_row else {"outputs": _columns(outputs)}
    return Response(json_text.dumps(answer, outputs.values()), mimetype="application/json")


def _from_rows(rows: Any, signature: Signature) -> dict[str, Array]:
    """The inputs of `instances`: a list of values, or of objects that name them."""
    if not isinstance(rows, list) or not rows:
        raise RequestError(f"JSON Value: {quote(rows)} '{ROW}' is no list of at least one element")
    columns: dict[str, list[Any]] = {name: [] for name in signature.inputs}
    shapes: dict[str, tuple[int, ...]] = {}
    for index, row in enumerate(rows):
        try:
            for name, value in _named(row, signature).items():
                found = _example_shape(value, signature.inputs[name])
                if shapes.setdefault(name, found) != found:
                    raise RequestError(
                        f"JSON Value: {quote(value)} Encountered list of shape {list(found)},"
                        f" expected shape {list(shapes[name])}"
                    )
                if signature.inputs[name].dtype == STRING:
                    array(value, found, signature.inputs[name])  # that every string decodes
                columns[name].append(value)
        except RequestError as error:
            raise RequestError(
                f"Failed to process element: {index} of '{ROW}' list. Error: {error}"
            ) from None
    return {
        name: array(values, (len(rows), *shapes[name]), signature.inputs[name])
        for name, values in columns.items()
    }


def _example_shape(value: Any, spec: Spec) -> tuple[int, ...]:
    """The shape of one example, which the network must admit."""
    found = shape(value, spec)
    if not spec.admits((1, *found)):
        raise RequestError(
            f"JSON Value: {quote(value)} has shape {list(found)}, not {spec.sizes[1:]}"
        )
    return found


def _named(row: Any, signature: Signature) -> dict[str, Any]:
    """One element of `instances`, by input; a single input need not be named."""
    if isinstance(row, dict) and set(row) != {"b64"}:
        for name in signature.inputs:
            if name not in row:
                raise RequestError(f"JSON object: does not have named input: {name}")
        for name in row:
            if name not in signature.inputs:
                raise RequestError(f"JSON object: has no input of the signature: {name}")
        return row
    if len(signature.inputs) > 1:
        raise RequestError(f"JSON Value: {quote(row)} names none of {sorted(signature.inputs)}")
    return dict.fromkeys(signature.inputs, row)


def _from_columns(columns: Any, signature: Signature) -> dict[str, Array]:
    """The inputs of `inputs`: an object with all of each, or all of the only one."""
    arrays = {}
    for name, value in _named(columns, signature).items():
        spec = signature.inputs[name]
        arrays[name] = values = from_json(value, spec)
        if not spec.admits(values.shape):
            raise RequestError(
                f"JSON Value: {quote(value)} has shape {list(values.shape)}, not {spec.sizes}"
            )
    return arrays


def _rows(outputs: Mapping[str, Array]) -> Any:
    """The outputs by example: bare if there is one, else as objects."""
    columns = {name: _printable(name, values) for name, values in outputs.items()}
    counts = {values.shape[0] if values.ndim else None for values in outputs.values()}
    if len(counts) != 1 or None in counts:
        raise RequestError(f"the outputs do not count examples alike; ask with '{COLUMN}'")
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _columns(outputs: Mapping[str, Array]) -> Any:
    """The outputs as they are: bare if there is one, else as an object."""
    columns = {name: _printable(name, values) for name, values in outputs.items()}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def _printable(name: str, values: Array) -> Any:
    """Numbers stay an array; strings are text, or base64 if the output's name says bytes."""
    if values.dtype != object:
        return values
    if not name.endswith("_bytes"):
        return values.tolist()
    encoded = np.frompyfunc(examples.b64, 1, 1)(values)
    return encoded.tolist() if isinstance(encoded, np.ndarray) else encoded


def _on_examples(model: Model, document: Mapping[str, Any], verb: str) -> Response:
    """`:classify` and `:regress`, where the signature was exported for them."""
    name, signature = _signature(model, document)
    method = f"tensorflow/serving/{verb}"
    if signature.method != method:
        raise RequestError(
            f"Expected {verb} signature method_name to be {method}. Was: {signature.method}"
        )
    (spec,) = signature.inputs.values()
    (key,) = signature.inputs
    if spec.dtype != STRING:
        raise RequestError(f"Expected {verb} signature to take serialised examples")
    outputs = model.call(name, {key: examples.serialised(document)})
    answer = {"results": examples.results(outputs, verb)}
    return Response(json_text.dumps(answer, outputs.values()), mimetype="application/json")
