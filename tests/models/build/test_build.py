"""What a network is trained with, and Keras' global settings, which are always wardrobe's."""

import json
import os
import subprocess
import sys

import keras
import pytest

from wardrobe.models import DataFacts, read, resolve
from wardrobe.models.build import build

PICTURES = DataFacts(input_shape=(28, 28), classes=10)

BUILD = """
import keras
from wardrobe.models import DataFacts, read, resolve
from wardrobe.models.build import build
network = build(resolve(read("softmax-regression"), DataFacts((28, 28), 10))).network
config = keras.config
print(network.dtype, config.floatx(), config.image_data_format(), config.epsilon())
"""


def test_weight_decay_spares_what_is_excluded():
    optimizer = build(resolve(read("mlp-he-bn"), PICTURES)).optimizer
    network = build(resolve(read("mlp-he-bn"), PICTURES)).network
    decayed = {v.name for v in network.trainable_variables if optimizer._use_weight_decay(v)}
    assert decayed == {"kernel"}


def test_gradient_accumulation_counts_updates_not_batches(declare):
    schedule = "{CosineDecay: {initial_learning_rate: 1.0, decay_epochs: 4}}"
    declaration = declare(
        "name: x\nmodel: {layers: []}",
        f"optimizer.Adam.learning_rate={schedule}",
        "optimizer.Adam.gradient_accumulation_steps=5",
    )
    optimizer = build(declaration, steps_per_epoch=100).optimizer
    assert optimizer._learning_rate.decay_steps == 4 * 100 // 5


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
