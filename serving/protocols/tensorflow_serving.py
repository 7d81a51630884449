"""TensorFlow Serving's REST API, under `/v1`: its paths, its JSON, its errors."""

import base64
from collections.abc import Mapping
from typing import Any, NoReturn

import numpy as np
from flask import Blueprint, Response, jsonify, request
from werkzeug.routing import BaseConverter, Map

from wardrobe.serving.errors import ModelNotFoundError, RequestError, TooLargeError
from wardrobe.serving.http import json, request_body
from wardrobe.serving.inference.graph import (
    STRING,
    Array,
    Signature,
    Spec,
    example_type,
)
from wardrobe.serving.inference.model import Model
from wardrobe.serving.inference.repository import Repository, VersionStatus
from wardrobe.serving.protocols.tensors import array, from_json, quote, shape

ALL_METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH"]
STATES = {"available": "AVAILABLE", "broken": "END", "loading": "LOADING", "not loaded": "START"}
LARGEST_EXAMPLES = 64 * 2**20
"""Bytes of all examples of a request, each with the context that they share."""
ROW, COLUMN = "instances", "inputs"
Row = dict[str, Any]


class _Name(BaseConverter):
    """A name in a path; a colon and a verb may follow it."""

    regex = "[^:]+"  # a slash in it would let it match several parts, and the end of a path matter


class _Version(BaseConverter):
    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        return int(value)


def add_converters(url_map: Map) -> None:
    """Register the converters that this protocol's paths are written with."""
    url_map.converters |= {"name": _Name, "version": _Version}


def tensorflow_serving(repository: Repository) -> Blueprint:
    """The blueprint of everything under `/v1`."""
    blueprint = Blueprint("tensorflow_serving", __name__, url_prefix="/v1")
    model_paths = (
        "/models/<name:name>",
        "/models/<name:name>/versions/<version:version>",
        "/models/<name:name>/labels/<name:label>",
    )

    def status(name: str, version: int | None = None, label: str | None = None) -> Response:
        if label is not None:
            version = repository.get(name, label=label).artifact.version
        return jsonify(model_version_status=_statuses(repository, name, version))

    def metadata(name: str, version: int | None = None, label: str | None = None) -> Response:
        return jsonify(_metadata(_get(repository, name, version, label)))

    def predict(name: str, version: int | None = None, label: str | None = None) -> Response:
        model, document = _get(repository, name, version, label), _document()
        return _predict(model, document)

    def classify(name: str, version: int | None = None, label: str | None = None) -> Response:
        model, document = _get(repository, name, version, label), _document()
        return _on_examples(model, document, "classify")

    def regress(name: str, version: int | None = None, label: str | None = None) -> Response:
        model, document = _get(repository, name, version, label), _document()
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
    _add_list(blueprint, repository)
    return blueprint


def _add_list(blueprint: Blueprint, repository: Repository) -> None:
    """The call that KServe adds to TensorFlow Serving's."""

    @blueprint.get("/models")
    def models() -> Response:
        return jsonify(models=list(dict.fromkeys(e.artifact.name for e in repository.statuses())))


def _get(repository: Repository, name: str, version: int | None, label: str | None) -> Model:
    try:
        return repository.get(name, version, label)
    except ModelNotFoundError:
        which = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        raise ModelNotFoundError(f"Servable not found for request: {which}") from None


def _statuses(repository: Repository, name: str, version: int | None) -> list[dict[str, Any]]:
    try:
        statuses = repository.statuses(name)
    except ModelNotFoundError:
        statuses = []
        version = None
    found = [each for each in statuses if version in (None, each.artifact.version)]
    if not found:
        which = "any versions" if version is None else f"version {version}"
        raise ModelNotFoundError(f"Could not find {which} of model {name}")
    return [_status(each) for each in found]


def _status(status: VersionStatus) -> dict[str, Any]:
    is_broken = status.state == "broken"
    error = {"error_code": "INTERNAL", "error_message": status.reason}
    return {
        "version": str(status.artifact.version),
        "state": STATES[status.state],
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


def _document() -> dict[str, Any]:
    document = json.loads(request_body.read())
    if not isinstance(document, dict):
        raise RequestError(f"JSON Value: {quote(document)} must be an object")
    return document


def _signature(model: Model, document: Mapping[str, Any]) -> tuple[str, Signature]:
    name = document.get("signature_name") or model.network.default
    if not isinstance(name, str):
        raise RequestError(f"JSON Value: {quote(name)} 'signature_name' must be a string")
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
    return Response(json.dumps(answer, outputs.values()), mimetype="application/json")


def _from_rows(rows: Any, signature: Signature) -> dict[str, Array]:
    """The inputs in `instances`: a list of examples, bare or as objects by input."""
    if not isinstance(rows, list) or not rows:
        raise RequestError(
            f"JSON Value: {quote(rows)} '{ROW}' must be a list of at least one element"
        )
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
                    array(value, found, signature.inputs[name])  # check that every string decodes
                columns[name].append(value)
        except RequestError as error:
            raise RequestError(
                f"Failed to process element: {index} of '{ROW}' list. Error: {error}"
            ) from None
    return {
        name: _admitted(
            array(values, (len(rows), *shapes[name]), signature.inputs[name]),
            rows,
            signature.inputs[name],
        )
        for name, values in columns.items()
    }


def _example_shape(value: Any, spec: Spec) -> tuple[int, ...]:
    """The shape of one example. Raises `RequestError` if the signature does not admit it."""
    found = shape(value, spec)
    if spec.shape is not None and not Spec(spec.dtype, spec.shape[1:]).admits(found):
        raise RequestError(
            f"JSON Value: {quote(value)} has shape {list(found)}, not {spec.sizes[1:]}"
        )
    return found


def _admitted(values: Array, sent: Any, spec: Spec) -> Array:
    """The whole input, if the signature admits it: its batch may be of a fixed size, too."""
    if not spec.admits(values.shape):
        raise RequestError(
            f"JSON Value: {quote(sent)} has shape {list(values.shape)}, not {spec.sizes}"
        )
    return values


def _named(row: Any, signature: Signature) -> dict[str, Any]:
    """One element of `instances` as an object by input; a single input may be bare."""
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
    """The inputs in `inputs`: an object of whole batches by input; a single input may be bare."""
    return {
        name: _admitted(from_json(value, signature.inputs[name]), value, signature.inputs[name])
        for name, value in _named(columns, signature).items()
    }


def _rows(outputs: Mapping[str, Array]) -> Any:
    """The outputs by example: bare if there is one output, else as objects."""
    columns = {name: _printable(name, values) for name, values in outputs.items()}
    counts = {values.shape[0] if values.ndim else None for values in outputs.values()}
    if len(counts) != 1 or None in counts:
        raise RequestError(
            f"the outputs have different numbers of rows; send '{COLUMN}' instead of '{ROW}'"
        )
    if len(columns) == 1:
        return next(iter(columns.values()))
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _columns(outputs: Mapping[str, Array]) -> Any:
    """The outputs as whole batches: bare if there is one output, else as an object."""
    columns = {name: _printable(name, values) for name, values in outputs.items()}
    return next(iter(columns.values())) if len(columns) == 1 else columns


def _printable(name: str, values: Array) -> Any:
    """Numbers stay an array; strings become text, or base64 if the name ends in `_bytes`.

    Raises `RequestError` for what is neither.
    """
    if values.dtype.kind == "c":
        raise RequestError(f"the output {name!r} is of {values.dtype}, which JSON cannot hold")
    if values.dtype != object:
        return values
    if not name.endswith("_bytes"):
        return values.tolist()
    encoded = np.frompyfunc(_b64, 1, 1)(values)
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
    outputs = model.call(name, {key: _serialise_examples(document)})
    answer = {"results": _results(outputs, verb)}
    return Response(json.dumps(answer, outputs.values()), mimetype="application/json")


def _serialise_examples(document: Mapping[str, Any]) -> Array:
    """`{"context"?: features, "examples": [features, …]}` → serialised `tf.train.Example`s, `[N]`.

    Raises `RequestError` for anything else.
    """
    examples, context = document.get("examples"), document.get("context", {})
    if not isinstance(examples, list) or not examples or not _all_objects(examples):
        raise RequestError("JSON Value: 'examples' must be a list of at least one object")
    if not isinstance(context, dict):
        raise RequestError("JSON Value: 'context' must be an object")
    serialised, size = [], 0
    for example in examples:
        serialised.append(_serialise(context | example))
        size += len(serialised[-1])
        if size > LARGEST_EXAMPLES:
            raise TooLargeError(
                f"'context' and 'examples' are more than {LARGEST_EXAMPLES} bytes together; send"
                " fewer at a time"
            )
    return np.array(serialised, object)


def _all_objects(values: list[Any]) -> bool:
    return all(isinstance(value, dict) for value in values)


def _serialise(features: Mapping[str, Any]) -> bytes:
    example = example_type()()
    for name, value in features.items():
        values = value if isinstance(value, list) else [value]
        _fill(example.features.feature[name], values)
    serialised: bytes = example.SerializeToString()
    return serialised


def _fill(feature: Any, values: list[Any]) -> None:
    """Set a `tf.train.Feature` to integers, floats or strings, by TensorFlow Serving's rules."""
    types = set(map(type, values))
    try:
        if types <= {int}:
            feature.int64_list.value.extend(values)
        elif types <= {int, float}:
            feature.float_list.value.extend(values)
        elif types == {str}:
            feature.bytes_list.value.extend(value.encode() for value in values)
        elif types == {dict}:
            decoded = [base64.b64decode(value["b64"], validate=True) for value in values]
            feature.bytes_list.value.extend(decoded)
        else:
            raise ValueError("of mixed or other types")
    except (ValueError, TypeError, KeyError) as error:
        raise RequestError(f"JSON Value: {quote(values)} is not a feature ({error})") from None


def _results(outputs: Mapping[str, Array], verb: str) -> list[Any]:
    """One result per example: `[[label, score], …]` for classify, a number for regress."""
    if verb == "regress":
        return outputs["outputs"].reshape(-1).tolist()
    shape = next(iter(outputs.values())).shape
    labels = outputs.get("classes", np.full(shape, b"", object))
    scores = outputs.get("scores", np.zeros(shape))
    return [
        [[_text(label), float(score)] for label, score in zip(*row, strict=True)]
        for row in zip(labels, scores, strict=True)
    ]


def _text(value: Any) -> str:
    return value.decode("utf-8", errors="replace") if isinstance(value, bytes) else str(value)


def _b64(value: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(value).decode()}
