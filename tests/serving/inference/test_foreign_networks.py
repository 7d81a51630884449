"""Networks that were made elsewhere: every way to save one, every input, any output."""

from __future__ import annotations

import base64
import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

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


def test_a_keras_file_in_a_version_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "net/1").mkdir(parents=True)
    (tmp_path / "net/1/model.keras").write_bytes(b"")
    with pytest.raises(ArtifactError, match=r"model\.keras' is a file of Keras, not a SavedModel"):
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
