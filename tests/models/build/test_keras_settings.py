"""Keras' global settings are wardrobe's, whatever else says otherwise."""

import json
import os
import subprocess
import sys

import keras
import pytest

from wardrobe.models.build import build

BUILD = """
import keras
from wardrobe.models import DataFacts, read, resolve
from wardrobe.models.build import build
network = build(resolve(read("softmax-regression"), DataFacts((28, 28), 10))).network
config = keras.config
print(network.dtype, config.floatx(), config.image_data_format(), config.epsilon())
"""


def test_a_keras_json_of_another_project_changes_nothing(tmp_path):
    settings = {"floatx": "float64", "image_data_format": "channels_first", "epsilon": 0.1}
    (tmp_path / "keras.json").write_text(json.dumps({**settings, "backend": "numpy"}))
    done = subprocess.run(
        [sys.executable, "-c", BUILD], capture_output=True, text=True, timeout=120,
        env=os.environ | {"KERAS_HOME": str(tmp_path), "KERAS_BACKEND": "numpy"},
    )  # fmt: skip
    assert done.stdout.split() == ["float32", "float32", "channels_last", "1e-07"], done.stderr


@pytest.fixture
def other_settings():
    keras.config.set_floatx("float64")
    keras.config.set_image_data_format("channels_first")
    keras.config.set_epsilon(0.1)
    keras.config.set_dtype_policy("mixed_float16")


def test_a_script_that_has_changed_them_gets_wardrobes(declare, other_settings):
    network = build(declare()).network
    assert {layer.compute_dtype for layer in network.layers} == {"float32"}
    assert keras.config.image_data_format() == "channels_last"
    assert keras.config.epsilon() == 1e-7
