"""The Open Inference Protocol v2 of KServe and Triton, under `/v2`, with binary tensors.

A body with binary tensors starts with its JSON, whose length is in the header
`Inference-Header-Content-Length`; the raw little-endian bytes of those tensors that have a
`binary_data_size` follow it.
"""

from collections.abc import Callable, Mapping
from importlib.metadata import version
from typing import Any, NamedTuple

import numpy as np
from flask import Blueprint, Response, jsonify, request

from wardrobe.serving.errors import ModelUnavailableError, RequestError
from wardrobe.serving.http import json, request_body
from wardrobe.serving.inference.graph import STRING, Array, Signature, Spec
from wardrobe.serving.inference.model import Model
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.protocols.tensors import array, quote, shape
from wardrobe.serving.protocols.triton import DATATYPES, model_config, model_statistics

HEADER_LENGTH = "Inference-Header-Content-Length"
EXTENSIONS = [
    "binary_tensor_data",
    "classification",
    "model_configuration",
    "model_repository",
    "parameters",
    "statistics",
]


class RequestedOutput(NamedTuple):
    """One output, and the form in which the request asks for it."""

    name: str
    is_binary: bool
    classes: int
    """0 for the tensor itself; K for the K likeliest classes as "probability:index:label"."""


def open_inference(repository: Repository) -> Blueprint:
    """The blueprint of everything under `/v2`."""
    blueprint = Blueprint("open_inference", __name__, url_prefix="/v2")

    def for_each_version(path: str, method: str) -> Callable[[Any], Any]:
        """Register a view with and without `/versions/V` in its path."""

        def register(view: Any) -> Any:
            for model in ("/models/<name>", "/models/<name>/versions/<version>"):
                blueprint.add_url_rule(model + path, view_func=view, methods=[method])
            return view

        return register

    @for_each_version("", "GET")
    def metadata(name: str, version: str | None = None) -> Response:
        return jsonify(_metadata(repository, _get(repository, name, version)))

    @for_each_version("/ready", "GET")
    def model_ready(name: str, version: str | None = None) -> Response:
        return jsonify(name=_get(repository, name, version).artifact.name, ready=True)

    @for_each_version("/infer", "POST")
    def infer(name: str, version: str | None = None) -> Response:
        model = _get(repository, name, version)
        return _infer(model, *_document())

    @for_each_version("/config", "GET")
    def config(name: str, version: str | None = None) -> Response:
        return jsonify(model_config(repository, _get(repository, name, version)))

    @for_each_version("/stats", "GET")
    def statistics(name: str, version: str | None = None) -> Response:
        model = _get(repository, name, version)
        number = None if version is None else model.artifact.version
        return jsonify(model_stats=model_statistics(repository, name, number))

    @blueprint.get("/models/stats")
    def all_statistics() -> Response:
        return jsonify(model_stats=model_statistics(repository))

    _add_server(blueprint, repository)
    _add_repository(blueprint, repository)
    return blueprint


def _add_server(blueprint: Blueprint, repository: Repository) -> None:
    """The protocol's calls about the server as a whole."""

    @blueprint.get("/", strict_slashes=False)
    def server() -> Response:
        return jsonify(name="wardrobe", version=version("wardrobe"), extensions=EXTENSIONS)

    @blueprint.get("/health/live")
    def live() -> Response:
        return jsonify(live=True)

    @blueprint.get("/health/ready")
    def ready() -> Response:
        if not repository.ready:
            raise ModelUnavailableError("no model can answer; /health/ready says why")
        return jsonify(ready=True)


def _add_repository(blueprint: Blueprint, repository: Repository) -> None:
    """The protocol's extension that lists, loads and unloads models."""

    @blueprint.post("/repository/index")
    def index() -> Response:
        return jsonify(_index(repository, request_body.read()))

    @blueprint.post("/repository/models/<name>/load")
    def load(name: str) -> Response:
        repository.set_loaded(name, True)
        return jsonify({})

    @blueprint.post("/repository/models/<name>/unload")
    def unload(name: str) -> Response:
        repository.set_loaded(name, False)
        return jsonify({})


def _get(repository: Repository, name: str, version: str | None) -> Model:
    if version is None:
        return repository.get(name)
    if not _is_whole_number(version):
        raise RequestError(f"model version is {quote(version)}; it must be a whole number")
    return repository.get(name, int(version))


def _is_whole_number(text: str) -> bool:
    """Whether `text` is a number of ASCII digits that fits into 64 bits."""
    return text.isascii() and text.isdecimal() and len(text) < 19


def _metadata(repository: Repository, model: Model) -> dict[str, Any]:
    statuses = repository.statuses(model.artifact.name)
    signature = model.network.signatures[model.network.default]
    return {
        "name": model.artifact.name,
        "versions": [str(e.artifact.version) for e in statuses if e.state == "available"],
        "platform": "tensorflow_savedmodel",
        "inputs": [_tensor_metadata(*each) for each in signature.inputs.items()],
        "outputs": [_tensor_metadata(*each) for each in signature.outputs.items()],
    }


def _tensor_metadata(name: str, spec: Spec) -> dict[str, Any]:
    return {"name": name, "datatype": DATATYPES.get(spec.dtype, spec.dtype), "shape": spec.sizes}


def _index(repository: Repository, body: memoryview) -> list[dict[str, Any]]:
    """All versions, or with `{"ready": true}` only those that can answer."""
    document = json.loads(body) if body else {}
    if not isinstance(document, dict):
        raise RequestError(f'{quote(document)} must be an object: {{}} or {{"ready": true}}')
    versions = [
        {
            "name": each.artifact.name,
            "version": str(each.artifact.version),
            "state": "READY" if each.state == "available" else "UNAVAILABLE",
            "reason": each.reason,
        }
        for each in repository.statuses()
    ]
    return [each for each in versions if each["state"] == "READY" or not document.get("ready")]


def _document() -> tuple[dict[str, Any], memoryview]:
    """The JSON of a request, and the bytes that follow it."""
    header = request.headers.get(HEADER_LENGTH)
    length = int(header) if header is not None and _is_whole_number(header) else None
    body = request_body.read(aligned=length or 0)
    if header is not None and (length is None or length > len(body)):
        raise RequestError(f"{HEADER_LENGTH} is {quote(header)}, the body has {len(body)} bytes")
    document = json.loads(body[:length])
    if not isinstance(document, dict):
        raise RequestError(f"{quote(document)} must be an object with 'inputs'")
    return document, body[len(body) if length is None else length :]


def _infer(model: Model, document: dict[str, Any], binary: memoryview) -> Response:
    signature = model.network.signatures[model.network.default]
    inputs = _inputs(document, binary, signature)
    requested = _requested_outputs(document, signature)
    outputs = model.call(model.network.default, inputs)
    head: dict[str, Any] = {
        "model_name": model.artifact.name,
        "model_version": str(model.artifact.version),
    }
    if isinstance(document.get("id"), str):
        head["id"] = document["id"]
    tensors = []
    for output in requested:
        values, dtype = outputs[output.name], signature.outputs[output.name].dtype
        if dtype not in DATATYPES:
            raise RequestError(
                f"the output {output.name!r} is of {dtype}, which this protocol does not have;"
                " request the others by name"
            )
        datatype = DATATYPES[dtype]
        if output.classes:
            labels = model.labels_of(output.name, values.shape[-1:])
            values, datatype = _classes(values, output.classes, labels), "BYTES"
        tensors.append((output, datatype, values))
    return _response(head, tensors)


def _inputs(
    document: Mapping[str, Any], binary: memoryview, signature: Signature
) -> dict[str, Array]:
    """The arrays of all inputs of the signature, from the JSON or from the bytes after it."""
    tensors: dict[str, Array] = {}
    for tensor in _objects(document, "inputs"):
        name = tensor.get("name")
        if not isinstance(name, str) or name not in signature.inputs:
            raise RequestError(
                f"unexpected inference input {quote(name)}; there are {sorted(signature.inputs)}"
            )
        try:
            size = _parameters(tensor).get("binary_data_size")
            if size is None:
                tensors[name] = _from_data(tensor, signature.inputs[name])
            else:
                if type(size) is not int or not 0 <= size <= len(binary):
                    raise RequestError(f"binary_data_size is {quote(size)}, {len(binary)} follow")
                tensors[name] = _from_bytes(tensor, signature.inputs[name], binary[:size])
                binary = binary[size:]
        except RequestError as error:
            raise RequestError(f"input {name!r}: {error}") from None
    missing = signature.inputs.keys() - tensors.keys()
    if missing:
        raise RequestError(f"the inputs {sorted(missing)} are missing")
    if len(binary):
        raise RequestError(f"{len(binary)} bytes after the JSON belong to no input")
    return tensors


def _from_data(tensor: Mapping[str, Any], spec: Spec) -> Array:
    """A tensor in JSON, flat or nested."""
    claimed = _shape(tensor, spec)
    if "data" not in tensor:
        raise RequestError("has neither 'data' nor 'binary_data_size'")
    found = shape(tensor["data"], spec)
    flat = (int(np.prod(claimed, dtype=object)),)
    if found not in (claimed, flat):
        raise RequestError(f"its data has shape {list(found)}, not {list(claimed)}")
    return array(tensor["data"], found, spec).reshape(claimed)


def _from_bytes(tensor: Mapping[str, Any], spec: Spec, data: memoryview) -> Array:
    """A tensor of little-endian numbers, or of strings that are each preceded by their length."""
    claimed = _shape(tensor, spec)
    count = int(np.prod(claimed, dtype=object))
    if spec.dtype == STRING:
        strings = _unpack(data)
        if len(strings) != count:
            raise RequestError(f"has {len(strings)} strings, its shape says {count}")
        return np.array(strings, object).reshape(claimed)
    dtype = np.dtype(spec.numpy)
    if len(data) != count * dtype.itemsize:
        raise RequestError(f"has {len(data)} bytes, its shape says {count * dtype.itemsize}")
    return np.frombuffer(data, dtype).reshape(claimed)


def _shape(tensor: Mapping[str, Any], spec: Spec) -> tuple[int, ...]:
    """The shape that a tensor claims. Raises `RequestError` if the network does not take tensors of
    that shape and datatype."""
    datatype, expected = tensor.get("datatype"), DATATYPES.get(spec.dtype)
    if datatype != expected:
        raise RequestError(f"its datatype is {quote(datatype)}, the model takes {expected}")
    claimed = tensor.get("shape")
    if not isinstance(claimed, list) or not all(type(s) is int and s >= 0 for s in claimed):
        raise RequestError(f"its shape is {quote(claimed)}, not a list of sizes")
    if not spec.admits(tuple(claimed)):
        raise RequestError(f"its shape is {quote(claimed)}, the model takes {spec.sizes}")
    return tuple(claimed)


def _unpack(data: memoryview) -> list[bytes]:
    """Strings, each preceded by its length as four little-endian bytes."""
    strings, position = [], 0
    while position < len(data):
        start = position + 4
        position = start + int.from_bytes(data[position:start], "little")
        if position > len(data):
            raise RequestError("its last string is cut short")
        strings.append(bytes(data[start:position]))
    return strings


def _pack(values: Array) -> bytes:
    """An array as bytes; the inverse of `_from_bytes`."""
    if values.dtype != object:
        return np.ascontiguousarray(values).tobytes()
    return b"".join(len(each).to_bytes(4, "little") + each for each in values.reshape(-1))


def _requested_outputs(document: Mapping[str, Any], signature: Signature) -> list[RequestedOutput]:
    """The outputs that the request names; all of them if it names none."""
    all_binary = _flag(_parameters(document), "binary_data_output")
    if not document.get("outputs"):
        return [RequestedOutput(name, all_binary, 0) for name in signature.outputs]
    requested: list[RequestedOutput] = []
    for output in _objects(document, "outputs"):
        name, parameters = output.get("name"), _parameters(output)
        if not isinstance(name, str) or name not in signature.outputs:
            raise RequestError(
                f"unexpected inference output {quote(name)}; there are {sorted(signature.outputs)}"
            )
        classes = parameters.get("classification", 0)
        if type(classes) is not int or classes < 0:
            raise RequestError(f"classification is {quote(classes)}; it must be a whole number")
        if name in [each.name for each in requested]:
            raise RequestError(f"the output {name!r} is requested twice")
        is_binary = _flag(parameters, "binary_data", all_binary)
        requested.append(RequestedOutput(name, is_binary, classes))
    return requested


def _classes(values: Array, count: int, labels: tuple[str, ...]) -> Array:
    """`[N, classes]` → strings `[N, count]`: "probability:index:label", the likeliest first."""
    if values.ndim != 2 or values.dtype.kind not in "fiu":
        raise RequestError("classification needs an output [N, classes] of numbers")
    likeliest = np.argsort(-values, axis=1, kind="stable")[:, :count]
    texts = np.empty(likeliest.shape, object)
    for row, indices in enumerate(likeliest):
        for column, index in enumerate(indices):
            label = f":{labels[index]}" if index < len(labels) else ""
            texts[row, column] = f"{values[row, index]:f}:{index}{label}".encode()
    return texts


def _response(head: dict[str, Any], outputs: list[tuple[RequestedOutput, str, Array]]) -> Response:
    """The response as JSON, followed by the bytes of the tensors that were requested as binary."""
    described: list[dict[str, Any]] = []
    buffers: list[bytes] = []
    for output, datatype, values in outputs:
        tensor: dict[str, Any] = {
            "name": output.name,
            "datatype": datatype,
            "shape": list(values.shape),
        }
        if output.is_binary:
            buffers.append(_pack(values))
            tensor["parameters"] = {"binary_data_size": len(buffers[-1])}
        else:
            tensor["data"] = values.reshape(-1)
        described.append(tensor)
    in_json = [values for output, _, values in outputs if not output.is_binary]
    document = json.dumps(head | {"outputs": described}, in_json)
    if not buffers:
        return Response(document, mimetype="application/json")
    response = Response(b"".join([document, *buffers]), mimetype="application/octet-stream")
    response.headers[HEADER_LENGTH] = str(len(document))
    return response


def _objects(document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    objects = document.get(key)
    if not isinstance(objects, list) or not all(isinstance(each, dict) for each in objects):
        raise RequestError(f"{key!r} must be a list of objects")
    return objects


def _parameters(document: Mapping[str, Any]) -> dict[str, Any]:
    parameters = document.get("parameters", {})
    if not isinstance(parameters, dict):
        raise RequestError(f"parameters is {quote(parameters)}, not an object")
    return parameters


def _flag(parameters: Mapping[str, Any], name: str, default: bool = False) -> bool:
    flag = parameters.get(name, default)
    if not isinstance(flag, bool):
        raise RequestError(f"{name} is {quote(flag)}; it must be true or false")
    return flag
