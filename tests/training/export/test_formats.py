"""`wardrobe export`: artifacts for other runtimes, run by those runtimes."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter
from tensorflow.lite.python import schema_py_generated as schema

import wardrobe
from wardrobe.training.data import silhouettes
from wardrobe.training.export import formats

EXAMPLES = silhouettes.draw(64, seed=2).x.astype(np.float32)


@pytest.fixture(scope="module")
def data():
    return wardrobe.training.data.load("silhouettes", validation=0.1)


@pytest.fixture(scope="module")
def model():
    return wardrobe.load("mlp-256-128-100")


def run_onnx(file: Path) -> tuple[np.ndarray, dict[str, str]]:
    onnx.checker.check_model(str(file), full_check=True)
    session = onnxruntime.InferenceSession(str(file))
    metadata = session.get_modelmeta().custom_metadata_map
    return session.run(["probabilities"], {"images": EXAMPLES})[0], metadata


def run_litert(file: Path) -> tuple[np.ndarray, dict[str, str]]:
    run = Interpreter(model_path=str(file)).get_signature_runner("serving_default")
    content = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(file.read_bytes(), 0))
    (entry,) = [entry for entry in content.metadata if entry.name == b"wardrobe"]
    metadata = json.loads(bytes(content.buffers[entry.buffer].data))
    return run(images=EXAMPLES)["probabilities"], metadata


RUN = {"onnx": run_onnx, "litert": run_litert}


@pytest.mark.parametrize("format", RUN)
def test_the_file_gives_the_artifacts_probabilities(format, model, data, tmp_path):
    written = wardrobe.export(model, format, tmp_path / "network", data=data)
    outputs, metadata = RUN[format](written.file)
    assert np.abs(outputs - model.predict(EXAMPLES)).max() < 1e-5
    assert written.largest_difference < 1e-4
    assert written.score == written.artifact_score
    assert json.loads(metadata["wardrobe.labels"]) == list(model.labels)
    assert json.loads(metadata["wardrobe.input"]) == model.input
    assert json.loads(metadata["wardrobe.score"]) == written.score
    assert json.loads(metadata["wardrobe.largest_difference"]) == written.largest_difference
    assert metadata["wardrobe.artifact"] == "mlp-256-128-100/1"


@pytest.mark.parametrize("format", RUN)
def test_int8_is_a_third_of_the_size_and_says_what_it_costs(format, model, data, tmp_path):
    full, small = (
        wardrobe.export(model, format, tmp_path / str(int8), data=data, int8=int8, force=True)
        for int8 in (False, True)
    )
    assert small.bytes < full.bytes / 3
    assert small.largest_difference > full.largest_difference
    outputs, metadata = RUN[format](small.file)
    assert outputs.dtype == np.float32
    assert metadata["wardrobe.int8"] == "true"


@pytest.mark.parametrize("format", RUN)
def test_int8_that_loses_too_much_is_refused(format, model, data, tmp_path, monkeypatch):
    monkeypatch.setattr(formats, "LARGEST_LOSS", -1.0)  # so that any loss is too much
    with pytest.raises(wardrobe.TrainingError, match=r"accuracy .* → .*--force"):
        wardrobe.export(model, format, tmp_path / "network", data=data, int8=True)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named(model, data, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "wardrobe.training.export.formats.onnx", raising=False)
    monkeypatch.setitem(sys.modules, "tf2onnx.convert", None)
    with pytest.raises(wardrobe.TrainingError, match=r"pip install 'wardrobe\[export\]'"):
        wardrobe.export(model, "onnx", tmp_path / "network", data=data)


def test_an_unknown_format_is_not_a_missing_package(model, data, tmp_path):
    with pytest.raises(wardrobe.TrainingError, match="no format 'tflite'; there are onnx, litert"):
        wardrobe.export(model, "tflite", tmp_path / "network.tflite", data=data)


def test_a_folder_that_cannot_be_written_is_named(model, data, tmp_path):
    with pytest.raises(wardrobe.TrainingError, match=r"cannot write .*nowhere"):
        wardrobe.export(model, "onnx", tmp_path / "nowhere" / "network.onnx", data=data)
