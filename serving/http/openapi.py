"""`GET /openapi.json`: the description of the service that is written in `openapi.yaml`."""

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml
from flask import Blueprint, Response, jsonify


def openapi() -> Blueprint:
    """The blueprint of `GET /openapi.json`."""
    blueprint = Blueprint("openapi", __name__)

    @blueprint.get("/openapi.json")
    def show() -> Response:
        return jsonify(describe())

    return blueprint


@cache
def describe() -> dict[str, Any]:
    """The description of the service, OpenAPI 3.1."""
    file = Path(__file__).with_name("openapi.yaml")
    description: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    del description["x-shared"]
    description["info"]["version"] = version("wardrobe")
    return description
