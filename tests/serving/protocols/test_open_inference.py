import json
import shutil
import struct
from importlib.metadata import version
from pathlib import Path
from typing import Any

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from wardrobe.serving.app import create_app
from wardrobe.serving.settings import Settings

INFER = "/v2/models/bands/infer"
LENGTH = "Inference-Header-Content-Length"


def post(client: Any, path: str, document: Any, binary: bytes = b"") -> Any:
    head = json.dumps(document).encode()
    headers = {LENGTH: str(len(head))} if binary else {}
    return client.post(path, data=head + binary, headers=headers)


def images(shape: list[int], **rest: Any) -> dict[str, Any]:
    return {"name": "images", "shape": shape, "datatype": "FP32"} | rest


def tensors(answer: Any) -> dict[str, Any]:
    """The outputs of an answer whose binary ones are FP32 or BYTES."""
    assert answer.status_code == 200, answer.json
    length = int(answer.headers.get(LENGTH, len(answer.data)))
    document, rest = json.loads(answer.data[:length]), answer.data[length:]
    values = {}
    for output in document["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        raw, rest = rest[:size], rest[size or 0 :]
        if size is None:
            values[output["name"]] = np.array(output["data"]).reshape(output["shape"])
        else:
            values[output["name"]] = np.frombuffer(raw, "<f4").reshape(output["shape"])
    assert not rest
    return values


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_server_metadata_without_a_redirect(client, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert (answer.json["name"], answer.json["version"]) == ("wardrobe", version("wardrobe"))
    assert "binary_tensor_data" in answer.json["extensions"]


def test_health_and_metadata(client) -> None:
    assert client.get("/v2/health/live").json == {"live": True}
    assert client.get("/v2/health/ready").json == {"ready": True}
    assert client.get("/v2/models/bands/ready").json == {"name": "bands", "ready": True}
    assert client.get("/v2/models/bands").json == {
        "name": "bands",
        "versions": ["2", "1"],
        "platform": "tensorflow_savedmodel",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 28, 28]}],
        "outputs": [{"name": "probabilities", "datatype": "FP32", "shape": [-1, 10]}],
    }


def test_numbers_flat_nested_and_binary_both_ways_are_the_same(client, band) -> None:
    pixels = np.stack([band(3), band(8)]).astype("<f4")
    flat = images([2, 28, 28], data=pixels.reshape(-1).tolist())
    nested = images([2, 28, 28], data=pixels.tolist())
    binary = images([2, 28, 28], parameters={"binary_data_size": pixels.nbytes})
    asked: list[dict[str, Any]] = [
        {},
        {"outputs": [{"name": "probabilities", "parameters": {"binary_data": True}}]},
        {"parameters": {"binary_data_output": True}},
    ]
    for outputs in asked:
        for tensor in (flat, nested, binary):
            body = pixels.tobytes() if tensor is binary else b""
            answer = post(client, INFER, {"inputs": [tensor]} | outputs, body)
            kind = "application/octet-stream" if outputs else "application/json"
            assert answer.mimetype == kind
            assert tensors(answer)["probabilities"].argmax(axis=1).tolist() == [3, 8]


def test_the_answer_names_request_model_and_version(client, band) -> None:
    document = {"id": "7", "inputs": [images([1, 28, 28], data=[band(3).tolist()])]}
    answer = post(client, "/v2/models/bands/versions/1/infer", document).json
    assert (answer["id"], answer["model_name"], answer["model_version"]) == ("7", "bands", "1")


def test_only_the_outputs_asked_for_are_answered(ask) -> None:
    a = {"name": "a", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}
    b = a | {"name": "b", "data": [1, 1]}
    answer = post(ask, "/v2/models/two/infer", {"inputs": [b, a], "outputs": [{"name": "sum"}]})
    assert tensors(answer)["sum"].tolist() == [[2, 3]]
    assert len(answer.json["outputs"]) == 1


def test_strings_in_json_and_as_bytes(ask) -> None:
    text = {"name": "text", "shape": [2], "datatype": "BYTES"}
    answer = post(ask, "/v2/models/text/infer", {"inputs": [text | {"data": ["ab", "é"]}]})
    upper = next(each for each in answer.json["outputs"] if each["name"] == "upper")
    assert (upper["datatype"], upper["data"]) == ("BYTES", ["AB", "é"])
    raw = struct.pack("<I2sI0s", 2, b"ab", 0, b"")
    document = {
        "inputs": [text | {"parameters": {"binary_data_size": len(raw)}}],
        "outputs": [{"name": "upper", "parameters": {"binary_data": True}}],
    }
    answer = post(ask, "/v2/models/text/infer", document, raw)
    assert answer.data.endswith(struct.pack("<I2sI0s", 2, b"AB", 0, b""))


def test_classification_is_probability_index_and_label(client, band) -> None:
    output = {"name": "probabilities", "parameters": {"classification": 2}}
    document = {"inputs": [images([1, 28, 28], data=band(3).reshape(-1).tolist())]}
    answer = post(client, INFER, document | {"outputs": [output]})
    (output,) = answer.json["outputs"]
    assert (output["datatype"], output["shape"]) == ("BYTES", [1, 2])
    probability, index, label = output["data"][0].split(":")
    assert (index, label) == ("3", "band 3")
    assert 0 < float(probability) < 1


@pytest.mark.parametrize(
    ("tensor", "message"),
    [
        ({"name": "x"}, "unexpected inference input \"x\"; there are ['images']"),
        (images([1, 28, 28]), "has neither 'data' nor 'binary_data_size'"),
        (images([1, 28, 28], data=[1, 2]), "its data has shape [2], not [1, 28, 28]"),
        (images([1, 27, 28], data=[]), "its shape is [1, 27, 28], the model takes [-1, 28, 28]"),
        (images([1, -28, 28], data=[]), "its shape is [1, -28, 28], not a list of sizes"),
        (images([10**9, 28, 28], data=[]), "its data has shape [0]"),
        (images([0], data=["x"]), "its shape is [0]"),
        (images([0, 28, 28], data=["x"]), 'JSON Value: "x" Type: String'),
        (images([1, 28, 28], data=[], datatype="FP64"), 'its datatype is "FP64", the model takes'),
        (images([1, 28, 28], parameters={"binary_data_size": 4}), "has 4 bytes, its shape says"),
        (
            images([1, 28, 28], parameters={"binary_data_size": 9}),
            "binary_data_size is 9, 4 follow",
        ),
        (images([1, 28, 28], parameters=3), "parameters is 3, not an object"),
    ],
)
def test_an_invalid_input_is_an_error_that_says_why(
    client, tensor: dict[str, Any], message: str
) -> None:
    answer = post(client, INFER, {"inputs": [tensor]}, bytes(4))
    assert answer.status_code == 400
    assert message in answer.json["error"]


@pytest.mark.parametrize(
    ("path", "document", "status", "message"),
    [
        ("/v2/models/none/infer", {}, 404, "there is no model 'none'"),
        ("/v2/models/bands/versions/9/infer", {}, 404, "has no version 9"),
        ("/v2/models/bands/versions/x/infer", {}, 400, 'model version is "x"'),
        (INFER, {}, 400, "'inputs' must be a list of objects"),
        (INFER, {"inputs": []}, 400, "the inputs ['images'] are missing"),
        (INFER, [], 400, "[] must be an object with 'inputs'"),
        ("/v2/nothing", {}, 404, "there is nothing at /v2/nothing"),
        ("/v2/health/live", {}, 405, "POST is not possible"),
        ("/v2/repository/models/none/load", {}, 403, "WARDROBE_REPOSITORY_CHANGES=1"),
    ],
)
def test_errors(client, path: str, document: Any, status: int, message: str) -> None:
    answer = post(client, path, document)
    assert answer.status_code == status
    assert set(answer.json) == {"error"}
    assert message in answer.json["error"]


def test_an_output_is_answered_once(client, band) -> None:
    document = {
        "inputs": [images([1, 28, 28], data=[band(3).tolist()])],
        "outputs": [{"name": "probabilities"}] * 2,
    }
    answer = post(client, INFER, document)
    assert answer.status_code == 400
    assert "requested twice" in answer.json["error"]


@pytest.mark.parametrize("length", ["-1", "x", "9999", "1e3", "9" * 5000])
def test_a_wrong_length_of_the_json(client, length: str) -> None:
    answer = client.post(INFER, data=b"{}", headers={LENGTH: length})
    assert answer.status_code == 400
    assert LENGTH in answer.json["error"]


def test_the_index_lists_every_version_and_why_one_is_not_ready(good: Path, flawed: Path) -> None:
    client: Any = create_app(Settings(artifacts=(good, flawed), port=0)).test_client()
    listed = client.post("/v2/repository/index").json
    states = {(each["name"], each["version"]): each for each in listed}
    assert states["bands", "2"]["state"] == "READY"
    assert states["bands", "3"]["state"] == "UNAVAILABLE"
    assert "TensorFlow cannot load it" in states["bands", "3"]["reason"]
    ready = client.post("/v2/repository/index", json={"ready": True}).json
    assert {each["state"] for each in ready} == {"READY"}


def test_a_model_is_unloaded_and_loaded_also_after_a_restart(good: Path, tmp_path: Path) -> None:
    shutil.copytree(good / "bands/1", tmp_path / "bands/1")
    settings = Settings(artifacts=(tmp_path,), port=0, repository_changes=1)
    client: Any = create_app(settings).test_client()
    missing = client.post("/v2/repository/models/none/load", json={})
    assert missing.status_code == 404
    assert "there is no model 'none'" in missing.json["error"]
    assert client.post("/v2/repository/models/bands/unload").status_code == 200
    assert client.get("/v2/models/bands/ready").status_code == 503
    assert client.get("/v2/health/ready").status_code == 503
    again: Any = create_app(settings).test_client()
    answer = again.get("/v2/models/bands/ready")
    assert answer.status_code == 503
    assert "is unloaded; POST /v2/repository/models/bands/load loads it" in answer.json["error"]
    assert again.post("/v2/repository/models/bands/load").status_code == 200
    assert again.get("/v2/models/bands/ready").status_code == 200


values = st.none() | st.integers(-2, 30) | st.text(max_size=3) | st.booleans()
tensor = st.fixed_dictionaries(
    {"name": st.sampled_from(["images", "x"]), "datatype": st.sampled_from(["FP32", "BYTES"])},
    optional={
        "shape": st.lists(st.integers(-1, 3) | st.just(28), max_size=4) | values,
        "data": st.lists(values | st.lists(values, max_size=2), max_size=3) | values,
        "parameters": st.dictionaries(st.just("binary_data_size"), values) | values,
    },
)


@given(
    document=st.fixed_dictionaries(
        {}, optional={"inputs": st.lists(tensor, max_size=2) | values, "outputs": values}
    ),
    binary=st.binary(max_size=20),
    length=st.none() | st.integers(0, 300),
)
@hypothesis.settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_invalid_request_is_the_clients_error(ask, document, binary: bytes, length) -> None:
    head = json.dumps(document).encode()
    headers = {LENGTH: str(len(head) if length is None else length)}
    for model in ("bands", "text"):
        answer = ask.post(f"/v2/models/{model}/infer", data=head + binary, headers=headers)
        assert answer.status_code in (200, 400), answer.json
