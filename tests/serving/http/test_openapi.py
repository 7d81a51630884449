"""The description of the service, held against the service."""

import re
from typing import Any

import hypothesis
import pytest
import schemathesis
from hypothesis import HealthCheck, given
from schemathesis.checks import CHECKS, load_all_checks

from wardrobe.serving.http.openapi import describe

load_all_checks()
IS_TRUE = CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
    ]
)
OPERATIONS = [(path, method) for path, methods in describe()["paths"].items() for method in methods]


def test_every_route_is_described(client) -> None:
    described = client.get("/openapi.json").json["paths"]
    routes = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule): rule.methods - {"HEAD", "OPTIONS"}
        for rule in client.application.url_map.iter_rules()
        if rule.endpoint not in ("static", "tensorflow_serving.anything_else")
    }
    assert {path: {m.upper() for m in methods} for path, methods in described.items()} == routes


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_as_described(client, path: str, method: str) -> None:
    schema = schemathesis.openapi.from_wsgi("/openapi.json", client.application)

    @given(case=schema[path][method].as_strategy())
    @hypothesis.settings(max_examples=10, database=None, suppress_health_check=list(HealthCheck))
    def ask(case: Any) -> None:
        plain = {"Accept-Encoding": "identity"}  # the tester does not unpack
        case.call_and_validate(checks=IS_TRUE, headers=plain)

    ask()
