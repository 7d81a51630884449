import base64
import gzip
import json
import math
import zlib
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

PREDICT = "/v1/models/bands:predict"


def post(client: Any, path: str, document: Any, **options: Any) -> Any:
    data = document if isinstance(document, bytes) else json.dumps(document).encode()
    return client.post(path, data=data, **options)


def test_rows_and_columns_give_the_same_answer(client, band) -> None:
    pictures = [band(3).tolist(), band(8).tolist()]
    for row, column in (
        (pictures, pictures),
        ([{"images": picture} for picture in pictures], {"images": pictures}),
    ):
        rows = post(client, PREDICT, {"instances": row})
        columns = post(client, PREDICT, {"inputs": column})
        assert set(rows.json) == {"predictions"}
        assert set(columns.json) == {"outputs"}
        assert rows.json["predictions"] == columns.json["outputs"]
        assert np.argmax(rows.json["predictions"], axis=1).tolist() == [3, 8]


def test_several_inputs_and_outputs_are_objects(ask) -> None:
    a, b = [[1, 2], [3, 4]], [[1, 1], [2, 2]]
    path = "/v1/models/two:predict"
    instances = [{"a": x, "b": y} for x, y in zip(a, b, strict=True)]
    assert post(ask, path, {"instances": instances}).json["predictions"] == [
        {"ratio": [1, 2], "sum": [2, 3]},
        {"ratio": [1.5, 2], "sum": [5, 6]},
    ]
    answer = post(ask, path, {"inputs": {"a": a, "b": b}, "signature_name": "serving_default"})
    assert answer.json["outputs"] == {"ratio": [[1, 2], [1.5, 2]], "sum": [[2, 3], [5, 6]]}


def test_a_missing_number_is_not_null_but_nan(ask) -> None:
    body = b'{"instances": [{"a": [1, null], "b": [1, 1]}]}'
    error = post(ask, "/v1/models/two:predict", body).json["error"]
    assert "Type: Null is not of expected type: float (a missing number is written NaN)" in error


def test_numbers_are_printed_as_tensorflow_serving_does(ask) -> None:
    body = b'{"instances": [{"a": [1, NaN], "b": [1, 1]}, {"a": [Infinity, -1], "b": [1, 0]}]}'
    text = post(ask, "/v1/models/two:predict", body).text
    assert text.count("NaN") == 2
    assert text.count("Infinity") == 3
    first, second = json.loads(text)["predictions"]
    assert math.isnan(first["sum"][1])
    assert second == {"sum": [math.inf, -1], "ratio": [math.inf, -math.inf]}
    assert '"sum":[2.0,3.0]' in post(
        ask, "/v1/models/two:predict", {"instances": [{"a": [1, 2], "b": [1, 1]}]}
    ).text.replace(" ", "")


def test_strings_are_text_or_base64(ask) -> None:
    raw = base64.b64encode(b"a\xff").decode()
    answer = post(ask, "/v1/models/text:predict", {"instances": ["abc", {"b64": raw}]})
    assert answer.json["predictions"][0] == {
        "same_bytes": {"b64": base64.b64encode(b"abc").decode()},
        "upper": "ABC",
    }
    assert answer.json["predictions"][1]["same_bytes"] == {"b64": raw}


CONFIDENCE = 'wardrobe_prediction_confidence_sum{model="bands",version="2"}'


@pytest.mark.parametrize("content_type", ["application/x-www-form-urlencoded", "text/x", None])
def test_the_type_that_a_body_claims_is_ignored(client, band, content_type: str | None) -> None:
    document = {"instances": [band(3).tolist()]}
    assert post(client, PREDICT, document, content_type=content_type).status_code == 200


@pytest.mark.parametrize(
    ("encoding", "pack"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_requests_and_answers_may_be_compressed(client, band, encoding, pack) -> None:
    body = pack(json.dumps({"instances": [band(3).tolist()] * 20}).encode())
    headers = {"Content-Encoding": encoding, "Accept-Encoding": encoding}
    answer = client.post(PREDICT, data=body, headers=headers)
    assert answer.headers["Content-Encoding"] == encoding
    unpack = gzip.decompress if encoding == "gzip" else zlib.decompress
    assert len(json.loads(unpack(answer.data))["predictions"]) == 20


@pytest.mark.parametrize(
    ("body", "headers", "status", "message"),
    [
        (b"no gzip", {"Content-Encoding": "gzip"}, 400, "the body is not valid gzip"),
        (gzip.compress(b"{}", mtime=0)[:-4], {"Content-Encoding": "gzip"}, 400, "cut short"),
        (gzip.compress(bytes(2**27)), {"Content-Encoding": "gzip"}, 413, "decompresses to more"),
        (b"{}", {"Content-Encoding": "br"}, 415, "send gzip, deflate or none"),
    ],
)
def test_invalid_compression(client, body: bytes, headers, status: int, message: str) -> None:
    answer = client.post(PREDICT, data=body, headers=headers)
    assert answer.status_code == status
    assert message in answer.json["error"]


@pytest.mark.parametrize(
    ("path", "versions"),
    [("bands", ["2", "1"]), ("bands/versions/1", ["1"]), ("plain", ["7"])],
)
def test_status_newest_first(client, path: str, versions: list[str]) -> None:
    statuses = client.get(f"/v1/models/{path}").json["model_version_status"]
    assert [each["version"] for each in statuses] == versions
    assert statuses[0]["state"] == "AVAILABLE"
    assert statuses[0]["status"] == {"error_code": "OK", "error_message": ""}


@pytest.mark.parametrize("path", ["bands/", "bands/versions/1/", "bands/metadata/"])
def test_a_slash_at_the_end_makes_no_difference(client, path: str) -> None:
    with_slash, without = (client.get(f"/v1/models/{each}") for each in (path, path[:-1]))
    assert (with_slash.status_code, with_slash.json) == (200, without.json)


def test_metadata_is_that_of_the_savedmodel(ask, odd) -> None:
    from google.protobuf.json_format import MessageToDict, ParseDict
    from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2

    for name in ("bands", "two", "text", "rated"):
        metadata = ask.get(f"/v1/models/{name}/metadata").json
        assert metadata["model_spec"]["name"] == name
        assert metadata["model_spec"]["signature_name"] == ""
        version = metadata["model_spec"]["version"]
        signatures = metadata["metadata"]["signature_def"]["signature_def"]
        model = saved_model_pb2.SavedModel()
        model.ParseFromString((odd / name / version / "saved_model.pb").read_bytes())
        written = model.meta_graphs[0].signature_def
        assert set(signatures) == set(written)
        for signature, told_signature in signatures.items():
            message = ParseDict(told_signature, meta_graph_pb2.SignatureDef())
            assert MessageToDict(message) == MessageToDict(written[signature])
    images = ask.get("/v1/models/bands/metadata").json["metadata"]["signature_def"]
    images = images["signature_def"]["serving_default"]["inputs"]["images"]
    assert images["dtype"] == "DT_FLOAT"
    assert images["tensor_shape"] == {
        "dim": [{"size": str(size), "name": ""} for size in (-1, 28, 28)],
        "unknown_rank": False,
    }


@pytest.mark.parametrize(
    ("path", "document", "status", "message"),
    [
        ("bands:predict", b"", 400, "JSON Parse error: The document is empty"),
        ("bands:predict", b"{", 400, "JSON Parse error: "),
        ("bands:predict", b"[" * 100_000, 400, "JSON Parse error: "),
        ("bands:predict", b"[]", 400, "JSON Value: [] must be an object"),
        ("bands:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        ("bands:predict", {"instances": [1], "inputs": [1]}, 400, "JSON Value: {"),
        ("bands:predict", {"instances": []}, 400, "JSON Value: []"),
        ("bands:predict", {"instances": "x"}, 400, 'JSON Value: "x"'),
        ("bands:predict", {"inputs": "x"}, 400, 'JSON Value: "x" Type: String is not of expected'),
        ("bands:predict", {"inputs": [[1, 2], [3]]}, 400, "JSON Value: [3] Encountered list of"),
        (
            "bands:predict",
            {"instances": ["x"]},
            400,
            "Failed to process element: 0 of 'instances' list. Error: JSON Value: \"x\"",
        ),
        (
            "two:predict",
            {"instances": [{"a": [1, 2], "b": [1, 2]}, {"a": [1, 2]}]},
            400,
            "Failed to process element: 1 of 'instances' list. Error: JSON object: does not have",
        ),
        ("two:predict", {"instances": [{"a": [1], "b": [1]}]}, 400, "Failed to process element: 0"),
        ("two:predict", {"inputs": {"a": [[1, True]], "b": [[1, 1]]}}, 400, "JSON Value: true"),
        ("two:predict", {"inputs": [[1, 1]]}, 400, "JSON Value: [[1, 1]] names none of"),
        (
            "bands:predict",
            {"signature_name": "X", "instances": [1]},
            400,
            'Serving signature name: "X" not found in signature def',
        ),
        ("none:predict", {}, 404, "Servable not found for request: Latest(none)"),
        ("bands/versions/9:predict", {}, 404, "Servable not found for request: Specific(bands, 9)"),
        ("bands/labels/L:predict", {}, 400, "Unrecognized servable version label: L"),
        ("text:predict", {"instances": [{"b64": "?"}]}, 400, "Failed to process element: 0"),
        ("bands:classify", {"examples": [{"x": 1.0}]}, 400, "Expected classify signature method"),
        (
            "rated:classify",
            {"signature_name": "classify", "examples": [{"y": 1.0}]},
            400,
            "",
        ),
    ],
)
def test_errors_begin_as_in_tensorflow_serving(
    ask, path: str, document: Any, status: int, message: str
) -> None:
    answer = post(ask, f"/v1/models/{path}", document)
    assert answer.status_code == status
    assert set(answer.json) == {"error"}
    assert answer.json["error"].startswith(message)


@pytest.mark.parametrize(
    ("method", "path", "status", "message"),
    [
        ("GET", "/v1/models/none", 404, "Could not find any versions of model none"),
        ("GET", "/v1/models/bands/versions/9", 404, "Could not find version 9 of model bands"),
        ("GET", "/v1/models/bands/labels/L", 400, "Unrecognized servable version label: L"),
        ("GET", PREDICT, 400, f"Malformed request: GET {PREDICT}"),
        ("POST", "/v1/models/bands", 400, "Malformed request: POST /v1/models/bands"),
        ("POST", "/v1/models", 400, "Malformed request: POST /v1/models"),
        ("DELETE", "/v1/models/bands", 400, "Malformed request: DELETE /v1/models/bands"),
        ("GET", "/v1", 400, "Malformed request: GET /v1"),
        ("GET", "/v1/models/bands/versions/x", 400, "Malformed request: GET /v1/models/bands/ver"),
        ("POST", "/v1/models/bands:guess", 400, "Malformed request: POST /v1/models/bands:guess"),
    ],
)
def test_paths_and_methods(client, method: str, path: str, status: int, message: str) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.json["error"].startswith(message)


def test_examples_are_classified_and_regressed_where_the_signature_does(ask) -> None:
    examples = [{"x": 0.75}, {"x": [0.25]}]
    classified = post(
        ask, "/v1/models/rated:classify", {"signature_name": "classify", "examples": examples}
    )
    assert classified.json["results"] == [
        [["yes", 0.75], ["no", 0.25]],
        [["yes", 0.25], ["no", 0.75]],
    ]
    document = {"signature_name": "regress", "context": {"x": 0.5}, "examples": [{}, {"x": 1.0}]}
    assert post(ask, "/v1/models/rated:regress", document).json["results"] == [1.0, 2.0]


def test_the_models_are_listed_as_kserve_does(client) -> None:
    models = client.get("/v1/models").json["models"]
    assert {"bands", "plain", "a-table"} <= set(models)
    assert len(models) == len(set(models))


def test_a_context_that_all_examples_share_is_counted_with_each(ask) -> None:
    document = {
        "signature_name": "classify",
        "context": {"x": 0.5, "y": "a" * 100_000},
        "examples": [{}] * 10_000,
    }
    answer = post(ask, "/v1/models/rated:classify", document)
    assert answer.status_code == 413
    assert "send fewer at a time" in answer.json["error"]


words = st.text(max_size=4)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | words,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=2),
    max_leaves=6,
)
KEYS = ("instances", "inputs", "signature_name", "examples", "context")


@given(document=st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, anything)))
@hypothesis.settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_document_gets_an_answer_or_a_client_error(ask, document: Any) -> None:
    for path in ("bands:predict", "two:predict", "text:predict", "rated:classify"):
        answer = post(ask, f"/v1/models/{path}", document)
        assert answer.status_code in (200, 400), answer.json
        assert answer.status_code == 200 or answer.json["error"]


@given(body=st.binary(max_size=60))
def test_any_body_gets_a_client_error(ask, body: bytes) -> None:
    assert post(ask, PREDICT, body).status_code == 400


def test_nan_is_counted_as_no_confidence(client) -> None:
    def confidence() -> str:
        text: str = client.get("/metrics").text
        return next(line for line in text.splitlines() if line.startswith(CONFIDENCE))

    before = confidence()
    rows = json.dumps({"instances": [[[float("nan")] * 28] * 28]})
    assert "NaN" in client.post("/v1/models/bands:predict", data=rows).text
    assert confidence() == before
