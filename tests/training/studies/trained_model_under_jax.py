"""Networks of a study, trained together; run by `test_trained_model` with KERAS_BACKEND=jax."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from wardrobe.models import Declaration, complete, overridden, resolve
from wardrobe.models.schema.yaml_reader import read_text
from wardrobe.training import data
from wardrobe.training.studies.trained_model import trained, untrained

TEXT = """\
name: small
data: moons
model: {layers: [{Dense: {units: 6, activation: tanh}}], head: {activation: sigmoid}}
optimizer: {SGD: {learning_rate: 2.5, momentum: 0.9}}
training: {epochs: 200, batch_size: 50, validation: 200}
callbacks: [{EarlyStopping: {patience: 2, restore_best_weights: true}}]
"""


def declaration(seed: int) -> Declaration:
    tree = overridden(
        complete(read_text(TEXT, "small"), Path("small")), "seed", read_text(str(seed), "")
    )
    return resolve(tree, data.describe("moons"))


@pytest.fixture(scope="module")
def moons():
    return data.load("moons", validation=200)


def test_each_stops_early_by_itself_and_tensorflow_is_not_loaded(moons, tmp_path):
    models = trained([declaration(seed) for seed in (1, 2, 3)], moons, tmp_path)
    lengths = set()
    for one in models:
        losses = one.history["validation_loss"]
        assert len(losses) == int(np.argmin(losses)) + 3 < 200
        assert abs(one.loss_and_accuracy(moons.validation)[0] - min(losses)) < 1e-5
        assert one.history["seconds"] == sorted(one.history["seconds"])
        assert not np.allclose(one.initial[0], one.network.get_weights()[0])
        lengths.add(len(losses))
    assert len(lengths) > 1
    assert "tensorflow" not in sys.modules


def test_the_weights_before_training_are_those_of_the_seed(moons, tmp_path):
    (one,) = trained([declaration(1)], moons, tmp_path)
    same, other = (untrained(declaration(seed), moons) for seed in (1, 2))
    assert np.array_equal(one.initial[0], same.network.get_weights()[0])
    assert not np.array_equal(one.initial[0], other.network.get_weights()[0])
