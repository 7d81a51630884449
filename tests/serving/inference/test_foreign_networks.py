"""Networks that were made elsewhere: every way to save one, every input, any output."""

from __future__ import annotations

import base64
import io
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import wardrobe
from wardrobe.serving.app import create_app
from wardrobe.serving.errors import ArtifactError, ModelNotFoundError, NotAPictureModelError
from wardrobe.serving.inference.artifacts import Artifact, find, passed_over
from wardrobe.serving.inference.model import load
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.settings import Settings

BANDS = np.zeros((28 * 28, 10), np.float32)
BANDS[np.arange(28 * 28), np.arange(28 * 28) // 28 * 10 // 28] = 1 / 28
"""Weights that answer with the brightest of ten bands, for pixels from 0 to 255."""


def bands(
    shape: tuple[int, ...] = (28, 28),
    activation: str | None = "softmax",
    scale: float = 0.1,
    **options: Any,
) -> Any:
    import keras

    inputs = keras.Input(shape, **options)
    scaled = keras.layers.Rescaling(scale)(inputs)
    if shape[0] == 3:
        scaled = keras.layers.Permute((2, 3, 1))(scaled)
    if 3 in shape:
        scaled = keras.layers.Lambda(lambda pixels: pixels[..., 0])(scaled)
    dense = keras.layers.Dense(10, activation=activation)
    network = keras.Model(inputs, dense(keras.layers.Flatten()(scaled)))
    dense.set_weights([BANDS, np.zeros(10, np.float32)])
    return network


def module(network: Any, spec: Any, prepare: Callable[[Any], Any] = lambda taken: taken) -> Any:
    """A `tf.Module` with a function that takes `spec`."""
    import tensorflow as tf

    class Module(tf.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            self.network = network

        @tf.function(input_signature=[spec])  # type: ignore[misc]
        def answer(self, taken: Any) -> dict[str, Any]:
            return {"scores": self.network(prepare(taken))}

    return Module()


def decoded(pictures: Any) -> Any:
    import tensorflow as tf

    def one(data: Any) -> Any:
        pixels = tf.io.decode_image(data, channels=1, expand_animations=False)
        return tf.ensure_shape(tf.image.resize(pixels, (28, 28)), (28, 28, 1))

    return tf.map_fn(one, pictures, fn_output_signature=tf.float32)


@pytest.fixture(scope="module")
def foreign(tmp_path_factory: pytest.TempPathFactory, write_extras) -> Path:
    """One network for each way to make it; all of them name the brightest band."""
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("foreign")
    pictures = tf.TensorSpec((None, 28, 28, 1), tf.float32)
    exported = {
        "exported": bands((28, 28, 1)),
        "flat": bands((784,)),
        "bytes": bands(dtype="uint8"),
        "colour": bands((28, 28, 3)),
        "channels-first": bands((3, 28, 28)),
        "logits": bands(activation=None),
        "small-logits": bands(activation=None, scale=1 / 255),
        "unscaled": bands(scale=25.5),
        "independent": bands(activation="sigmoid"),
    }
    for name, network in exported.items():
        network.export(str(folder / name / "00000123"), verbose=False)
    tf.saved_model.save(bands((28, 28, 1)), str(folder / "saved/1"))
    fixed = module(bands(), tf.TensorSpec((1, 28, 28), tf.float32))
    other_name = module(bands((28, 28, 1)), pictures)
    encoded = module(bands((28, 28, 1)), tf.TensorSpec((None,), tf.string), decoded)
    for name, each, signature in (
        ("one-at-a-time", fixed, "serving_default"),
        ("other-signature", other_name, "classify_pictures"),
        ("encoded", encoded, "serving_default"),
    ):
        function = each.answer.get_concrete_function()
        tf.saved_model.save(each, str(folder / name / "1"), signatures={signature: function})
    write_extras(folder / "small-logits/00000123", input={"logits": True})
    write_extras(folder / "unscaled/00000123", input={"scale": 1 / 255})
    return folder


@pytest.fixture(scope="module")
def asked(foreign: Path) -> Any:
    return create_app(Settings(artifacts=(foreign,), port=0)).test_client()


def picture(band: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(band).save(file, "PNG")
    return file.getvalue()


ALL = (
    "exported",
    "flat",
    "bytes",
    "colour",
    "channels-first",
    "logits",
    "small-logits",
    "unscaled",
    "saved",
    "one-at-a-time",
    "other-signature",
    "encoded",
)


@pytest.mark.parametrize("name", ALL)
def test_pictures_are_classified_with_probabilities(asked, band, name: str) -> None:
    files = [(io.BytesIO(picture(band(index))), f"{index}.png") for index in (3, 8, 5)]
    answer = asked.post(f"/predict?model={name}&top=10", data={"file": files})
    assert answer.status_code == 200, answer.json
    for prediction, index in zip(answer.json["predictions"], (3, 8, 5), strict=True):
        assert prediction["label"] == str(index)
        probabilities = [each["probability"] for each in prediction["top"]]
        assert sum(probabilities) == pytest.approx(1, abs=1e-3)
        assert all(0 <= each <= 1 for each in probabilities)


@pytest.mark.parametrize("name", [*ALL, "independent"])
def test_v1_and_v2_answer(asked, band, name: str) -> None:
    (tensor,) = asked.get(f"/v2/models/{name}").json["inputs"]
    shape = [1, *tensor["shape"][1:]]
    pixels = band(3)
    if 3 in shape:
        pixels = np.stack([pixels] * 3, axis=shape.index(3) - 1)
    is_encoded = tensor["datatype"] == "BYTES"
    value: Any = [{"b64": base64.b64encode(picture(band(3))).decode()}]
    if not is_encoded:
        value = pixels.reshape(shape).tolist()
    rows = asked.post(f"/v1/models/{name}:predict", json={"instances": value})
    assert np.argmax(rows.json["predictions"][0]) == 3
    if not is_encoded:
        document = {"inputs": [tensor | {"shape": shape, "data": value}]}
        answer = asked.post(f"/v2/models/{name}/infer", json=document)
        assert np.argmax(answer.json["outputs"][0]["data"]) == 3


def test_what_is_no_probability_is_not_answered_as_one(asked, band, foreign: Path) -> None:
    answer = asked.post("/predict?model=independent", data=picture(band(3)))
    assert answer.status_code == 422
    assert '"logits": true or false' in answer.json["error"]
    model = load(Artifact("exported", 123, foreign / "exported/00000123"))
    assert model.classifier
    for wrong in (1.5, -0.5, np.nan):
        with pytest.raises(NotAPictureModelError, match="is not a probability"):
            model.classifier.checked(np.full((1, 10), wrong, np.float32))


@pytest.mark.parametrize(
    ("name", "declared", "message"),
    [
        ("exported", {"output": "nothing"}, "names the output 'nothing'; there are"),
        ("exported", {"signature": "nothing"}, "names the signature 'nothing'; there are"),
        ("exported", {"kind": "image", "layout": "NCHW"}, "layout NCHW"),
        ("exported", {"kind": "image", "shape": [32, 32]}, r"pictures of shape \[32, 32\]"),
        ("exported", {"shape": [32, 32]}, r"pictures of shape \[32, 32\].* float32 \[-1, 28, 28"),
        ("exported", {"kind": "picture"}, "kind is 'picture'; it must be image or table"),
        ("exported", {"sclae": 0.1}, "there is no 'sclae'; did you mean 'scale'"),
        ("exported", {"layout": "HW"}, "layout is 'HW'; it must be NHW, NHWC, NCHW, flat or"),
        ("exported", {"scale": 0}, "scale is 0; it must be the number"),
        ("exported", {"channels": 2}, "channels is 2; it must be 1 or 3"),
        ("exported", {"logits": "yes"}, "logits is 'yes'; it must be true or false"),
        ("logits", {"logits": False}, "gives no logits, but it gives"),
    ],
)
def test_a_declaration_that_does_not_fit_says_why(
    foreign: Path, write_extras, name: str, declared: dict[str, Any], message: str
) -> None:
    folder = foreign / name / "00000123"
    write_extras(folder, input=declared)
    try:
        with pytest.raises(ArtifactError, match=message):
            load(Artifact(name, 123, folder))
    finally:
        (folder / "assets.extra/input.json").unlink()


@pytest.fixture(scope="module")
def unusual(tmp_path_factory: pytest.TempPathFactory, write_extras) -> Any:
    """The service with networks of which an artifact must say more, or that take no pictures."""
    import keras
    import tensorflow as tf

    folder = tmp_path_factory.mktemp("unusual")
    inputs = keras.Input((28, 28), name="taken")
    flat = keras.layers.Flatten()(inputs)
    heads = {name: keras.layers.Dense(size)(flat) for name, size in (("box", 4), ("kind", 3))}
    exported = {
        "heads": keras.Model(inputs, heads),
        "named-head": keras.Model(inputs, heads),
        "two-classes": keras.Model(inputs, keras.layers.Dense(1, "sigmoid")(flat)),
        "two-classes-by-logit": keras.Model(inputs, keras.layers.Dense(1)(flat)),
        "one-number": keras.Model(inputs, keras.layers.Dense(1)(flat)),
    }
    for name, network in exported.items():
        network.export(str(folder / name / "1"), verbose=False)
    write_extras(folder / "named-head/1", input={"output": "kind"}, labels=["a", "b", "c"])
    for name in ("two-classes", "two-classes-by-logit"):
        write_extras(folder / name / "1", labels=["cat", "dog"])
    functions: dict[str, tuple[Any, Any]] = {
        "any-rank": (tf.TensorSpec(None), lambda taken: tf.reshape(taken, (-1, 784))),
        "eight-at-a-time": (tf.TensorSpec((8, 2)), lambda taken: 2 * taken),
        "complex": (tf.TensorSpec((None, 2)), lambda taken: tf.cast(taken, tf.complex64)),
        "small-integers": (
            tf.TensorSpec((None, 28, 28), tf.int8),
            lambda taken: tf.cast(taken[:, 0, :2], tf.float32),
        ),
    }
    for name, (spec, function) in functions.items():
        made = module(function, spec)
        tf.saved_model.save(made, str(folder / name / "1"), signatures=made.answer)
    return create_app(Settings(artifacts=(folder,), port=0)).test_client()


def test_one_number_is_the_probability_of_the_second_class_if_two_are_named(unusual) -> None:
    for name in ("two-classes", "two-classes-by-logit"):
        answer = unusual.post(f"/predict?model={name}", data=picture(np.eye(28, dtype=np.uint8)))
        first, second = answer.json["predictions"][0]["top"]
        assert {first["label"], second["label"]} == {"cat", "dog"}
        assert first["probability"] + second["probability"] == pytest.approx(1, abs=1e-5)
        document = {"inputs": np.eye(28)[np.newaxis].tolist()}
        ((number,),) = unusual.post(f"/v1/models/{name}:predict", json=document).json["outputs"]
        expected = 1 / (1 + np.exp(-number)) if "logit" in name else number
        found = first if first["label"] == "dog" else second
        assert found["probability"] == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "heads",
            r'box, kind could all be probabilities; name one in .*"output": "box"',
        ),
        ("one-number", "is a single number; if that is the probability of the second of two"),
        ("any-rank", r'taken float32 of any shape is not known to be a picture; .*"shape"'),
        ("small-integers", "pixels from 0 to 255 do not fit into its input of int8"),
    ],
)
def test_a_network_that_takes_no_pictures_says_what_is_missing(unusual, name, message) -> None:
    answer = unusual.post(f"/predict?model={name}", data=picture(np.eye(28, dtype=np.uint8)))
    assert answer.status_code == 422
    assert re.search(message, answer.json["error"]), answer.json


def test_classes_are_named_for_the_output_that_they_belong_to_alone(unusual) -> None:
    named = [{"name": name, "parameters": {"classification": 1}} for name in ("box", "kind")]
    taken = {"name": "taken", "shape": [1, 28, 28], "datatype": "FP32", "data": [1.0] * 784}
    document = {"inputs": [taken], "outputs": named}
    answer = unusual.post("/v2/models/named-head/infer", json=document)
    box, kind = (output["data"][0].split(":") for output in answer.json["outputs"])
    assert len(box) == 2
    assert kind[2] == "abc"[int(kind[1])]


def test_a_network_of_which_nothing_is_known_answers_what_it_is_sent(unusual) -> None:
    document = {"inputs": np.ones((2, 28, 28)).tolist()}
    answer = unusual.post("/v1/models/any-rank:predict", json=document)
    assert np.shape(answer.json["outputs"]) == (2, 784)


def test_a_network_of_several_inputs_is_described_and_sent_to_the_service(tmp_path: Path) -> None:
    import keras

    a, b = keras.Input((2,), name="a"), keras.Input((3,), name="b")
    network = keras.Model([a, b], keras.layers.Dense(2)(keras.layers.Concatenate()([a, b])))
    network.export(str(tmp_path / "pair/1"), verbose=False)
    model = wardrobe.load(tmp_path / "pair/1")
    assert model.input == {"kind": "table", "inputs": ["a", "b"]}
    assert "pair/1" in repr(model)
    with pytest.raises(wardrobe.ServingError, match="has the inputs a, b; send them to"):
        model.predict(np.zeros((1, 2)))
    with pytest.raises(
        wardrobe.ServingError, match="does not take pictures: it has several inputs"
    ):
        model.check_takes_pictures()


def test_rows_may_fill_a_batch_of_a_fixed_size(unusual) -> None:
    rows = [[float(row), 1.0] for row in range(8)]
    answer = unusual.post("/v1/models/eight-at-a-time:predict", json={"instances": rows})
    assert answer.json["predictions"] == [[2 * row, 2.0] for row in range(8)]
    answer = unusual.post("/v1/models/eight-at-a-time:predict", json={"instances": rows[:2]})
    assert answer.status_code == 400
    assert "has shape [2, 2], not [8, 2]" in answer.json["error"]


def test_numbers_that_a_protocol_does_not_have_are_refused(unusual) -> None:
    answer = unusual.post("/v1/models/complex:predict", json={"instances": [[1.0, 2.0]]})
    assert (answer.status_code, "complex64" in answer.json["error"]) == (400, True)
    taken = {"name": "taken", "shape": [1, 2], "datatype": "FP32", "data": [1.0, 2.0]}
    answer = unusual.post("/v2/models/complex/infer", json={"inputs": [taken]})
    assert (answer.status_code, "complex64" in answer.json["error"]) == (400, True)


def test_a_network_of_several_signatures_or_none_says_what_to_do(tmp_path: Path) -> None:
    import tensorflow as tf

    both = module(bands((28, 28, 1)), tf.TensorSpec((None, 28, 28, 1), tf.float32))
    function = both.answer.get_concrete_function()
    tf.saved_model.save(both, str(tmp_path / "two/1"), signatures={"a": function, "b": function})
    with pytest.raises(ArtifactError, match=r"signatures \['a', 'b'\].*\"signature\": NAME"):
        load(Artifact("two", 1, tmp_path / "two/1"))
    tf.saved_model.save(tf.Module(), str(tmp_path / "none/1"))
    with pytest.raises(ArtifactError, match="no signature to call; save it with `model"):
        load(Artifact("none", 1, tmp_path / "none/1"))


def test_version_folders_are_numbered_as_in_tensorflow_serving(foreign: Path) -> None:
    versions = {each.name: each.version for each in find([foreign])}
    assert (versions["exported"], versions["saved"]) == (123, 1)


def test_what_is_passed_over_is_named_with_what_to_do(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for folder in ("shoes/v1", "bags"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "saved_model.pb").write_bytes(b"")
    for file in ("coats.keras", "shoes/old.h5"):
        (tmp_path / file).write_bytes(b"")
    (tmp_path / "notes.txt").write_text("nothing to say about this")
    messages = passed_over(tmp_path)
    for part in (
        f"rename the folder, for example to {tmp_path}/shoes/1",
        f"without a version; move it to {tmp_path}/bags/1",
        f"keras.models.load_model('{tmp_path}/coats.keras').export('{tmp_path}/coats/1')",
        f"keras.models.load_model('{tmp_path}/shoes/old.h5').export('{tmp_path}/shoes/1')",
    ):
        assert sum(part in message for message in messages) == 1, (part, messages)
    assert len(messages) == 4
    with caplog.at_level(logging.WARNING):
        find([tmp_path])
    assert "rename the folder" in caplog.text
    with pytest.raises(ModelNotFoundError, match="rename the folder"):
        Repository([tmp_path]).check()


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("model.keras", r"net/1/model\.keras'\)\.export\('[^']*net/1'\)"),
        ("a.weights.h5", r"has weights alone; .* model\.export\('[^']*net/1'\)"),
        ("model.onnx", "is a file of ONNX, not a SavedModel"),
    ],
)
def test_a_file_of_another_format_in_a_version_folder_is_named(
    tmp_path: Path, file: str, message: str
) -> None:
    (tmp_path / "net/1").mkdir(parents=True)
    (tmp_path / "net/1" / file).write_bytes(b"")
    with pytest.raises(ArtifactError, match=message):
        load(Artifact("net", 1, tmp_path / "net/1"))


def test_a_signature_that_only_shares_the_name_explain_is_not_called(
    good: Path, tmp_path: Path, band
) -> None:
    import tensorflow as tf

    taken = module(bands((28, 28)), tf.TensorSpec((None, 28, 28), tf.float32))

    @tf.function(input_signature=[tf.TensorSpec((None, 28, 28), tf.float32)])
    def explain(pictures):
        return {"something": pictures}

    tf.saved_model.save(
        taken,
        str(tmp_path / "net/1"),
        signatures={"serving_default": taken.answer, "explain": explain},
    )
    model = load(Artifact("net", 1, tmp_path / "net/1"))
    assert model.explain(band(1)[np.newaxis].astype(np.float32)) is None
