"""`GET /openapi.json`: every route, what it takes and what it may answer."""

from importlib.metadata import version
from typing import Any

from flask import Blueprint, Response, jsonify

Schema = dict[str, Any]

STRING: Schema = {"type": "string"}
BINARY: Schema = STRING | {"format": "binary"}
COUNT: Schema = {"type": "integer", "minimum": 1}
OBJECT: Schema = {"type": "object"}
ERROR: Schema = {"type": "object", "required": ["error"], "properties": {"error": STRING}}
ERRORS = (400, 401, 404, 405, 408, 413, 415, 422, 500, 503, 504)
V1, V2 = "/v1/models/{name}", "/v2/models/{name}"


def openapi() -> Blueprint:
    """The blueprint of `GET /openapi.json`."""
    blueprint = Blueprint("openapi", __name__)

    @blueprint.get("/openapi.json")
    def show() -> Response:
        return jsonify(describe())

    return blueprint


def describe() -> Schema:
    """The description of the service, OpenAPI 3.1."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "wardrobe", "version": version("wardrobe")},
        "paths": _pictures() | _tensorflow_serving() | _open_inference() | _operations(),
        "components": {"schemas": {"Error": ERROR}},
    }


def _pictures() -> Schema:
    one: Schema = {
        "label": STRING,
        "class_index": {"type": "integer", "minimum": 0},
        "probability": {"type": "number", "minimum": 0, "maximum": 1},
    }
    answer = one | {
        "file": {"type": ["string", "null"]},
        "uncertain": {"type": "boolean"},
        "top": _list(_object(one)),
        "model": STRING,
        "version": COUNT,
        "input": _list(_list({"type": "integer", "minimum": 0, "maximum": 255})),
        "evidence": {"type": ["array", "null"], "items": _list({"type": "number"})},
        "error": STRING,
        "status": COUNT,
    }
    return {
        "/predict": {
            "post": {
                "summary": "Name the garments in pictures",
                "parameters": [
                    _query("model", STRING),
                    _query("version", COUNT),
                    _query("top", COUNT),
                    _query("explain", {"enum": ["0", "1"]}),
                ],
                "requestBody": {
                    "required": True,
                    "content": {
                        "multipart/form-data": {
                            "schema": _object(
                                {"file": _list({"type": "string", "format": "binary"})}
                            )
                        },
                        "image/*": {"schema": BINARY},
                    },
                },
                "responses": _answers(_object({"predictions": _list(_partly(answer, "file"))})),
            }
        }
    }


def _tensorflow_serving() -> Schema:
    named = {"signature_name": STRING}
    predict = named | {"instances": {"type": "array"}, "inputs": {}}
    examples = named | {"context": OBJECT, "examples": _list(OBJECT)}
    status = _object({"version": STRING, "state": STRING, "status": OBJECT})
    paths: Schema = {}
    for path in (V1, f"{V1}/versions/{{version}}", f"{V1}/labels/{{label}}"):
        paths |= {
            path: _get("Status", path, _object({"model_version_status": _list(status)})),
            f"{path}/metadata": _get(
                "Signatures", path, _object({"model_spec": OBJECT, "metadata": OBJECT})
            ),
            f"{path}:predict": _post(
                "Predict", path, predict, _partly({"predictions": {"type": "array"}, "outputs": {}})
            ),
        }
        for verb in ("classify", "regress"):
            answer = _object({"results": {"type": "array"}})
            paths[f"{path}:{verb}"] = _post(verb.title(), path, examples, answer)
    return paths


def _open_inference() -> Schema:
    tensor = {"name": STRING, "datatype": STRING, "shape": _list({"type": "integer"})}
    metadata = {"name": STRING, "versions": _list(STRING), "platform": STRING}
    metadata |= {"inputs": _list(_object(tensor)), "outputs": _list(_object(tensor))}
    infer = {
        "id": STRING,
        "parameters": OBJECT,
        "inputs": _list(_partly(tensor | {"data": {"type": "array"}, "parameters": OBJECT})),
        "outputs": _list(_partly({"name": STRING, "parameters": OBJECT})),
    }
    answer = {"model_name": STRING, "model_version": STRING, "outputs": _list(_object(tensor))}
    server = {"name": STRING, "version": STRING, "extensions": _list(STRING)}
    version_ = {"name": STRING, "version": STRING, "state": STRING, "reason": STRING}
    paths: Schema = {
        "/v2/": _get("The server", "", _object(server)),
        "/v2/health/live": _get("Alive?", "", _object({"live": {"const": True}})),
        "/v2/health/ready": _get("Ready?", "", _object({"ready": {"const": True}})),
        "/v2/repository/index": _post("Versions", "", {}, _list(_object(version_))),
    }
    for path in (V2, f"{V2}/versions/{{version}}"):
        ready = _object({"name": STRING, "ready": {"const": True}})
        paths[path] = _get("Metadata", path, _object(metadata))
        paths[f"{path}/ready"] = _get("Ready?", path, ready)
        paths[f"{path}/infer"] = _post("Infer", path, infer, _object(answer))
        content = paths[f"{path}/infer"]["post"]["responses"]["200"]["content"]
        content["application/octet-stream"] = {"schema": BINARY}
    for verb in ("load", "unload"):
        path = f"/v2/repository/models/{{name}}/{verb}"
        paths[path] = _post(verb.title(), path, {}, OBJECT)
    return paths


def _operations() -> Schema:
    ready = {"ready": {"type": "boolean"}, "models": _list(OBJECT), "error": STRING}
    text = {"text/plain": {"schema": STRING}}
    paths = {
        "/health/live": _get("Alive?", "", _object({"live": {"const": True}})),
        "/health/ready": _get("Ready, and with which models?", "", _partly(ready)),
        "/openapi.json": _get("This", "", OBJECT),
        "/metrics": _get("For Prometheus", "", STRING),
        "/": _get("The page", "", STRING),
    }
    paths["/metrics"]["get"]["responses"]["200"]["content"] = text
    paths["/"]["get"]["responses"]["200"]["content"] = {"text/html": {"schema": STRING}}
    return paths


def _get(summary: str, path: str, answer: Schema) -> Schema:
    return {
        "get": {"summary": summary, "parameters": _in_path(path), "responses": _answers(answer)}
    }


def _post(summary: str, path: str, body: Schema, answer: Schema) -> Schema:
    return {
        "post": {
            "summary": summary,
            "parameters": _in_path(path),
            "requestBody": {"content": {"application/json": {"schema": _partly(body)}}},
            "responses": _answers(answer),
        }
    }


def _answers(schema: Schema) -> Schema:
    """The answer of success, and the one shape of error."""
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    good = {"description": "as asked", "content": {"application/json": {"schema": schema}}}
    bad = {str(status): {"description": "see error", "content": error} for status in ERRORS}
    return {"200": good} | bad


def _in_path(path: str) -> list[Schema]:
    names = ("name", "version", "label")
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": STRING | {"pattern": "^[a-z0-9]+$"},
        }
        for name in names
        if f"{{{name}}}" in path
    ]


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _list(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def _object(properties: Schema) -> Schema:
    """An object that has all of these."""
    return {"type": "object", "properties": properties, "required": list(properties)}


def _partly(properties: Schema, *required: str) -> Schema:
    return {"type": "object", "properties": properties, "required": list(required)}
