"""Members trained together are what each would be alone, and what Keras would make of it.

Run by `test_engine`, with KERAS_BACKEND=jax.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from models import Declaration, complete, overridden, resolve
from models.yaml_reader import read_text
from training import data
from training.fit import arrays
from training.studies import engine

TEXT = """\
name: small
data: moons
model: {layers: [{Dense: {units: 6, activation: tanh}}], head: {activation: sigmoid}}
optimizer: {SGD: {learning_rate: 0.2, momentum: 0.9}}
training: {epochs: 20, batch_size: 50, validation: 200}
"""
EARLY = TEXT.replace("epochs: 20", "epochs: 200").replace("rate: 0.2", "rate: 2.5") + (
    "callbacks: [{EarlyStopping: {patience: 2, restore_best_weights: true}}]\n"
)


def declaration(seed: int, text: str = TEXT) -> Declaration:
    tree = overridden(complete(read_text(text, "small"), Path()), "seed", read_text(str(seed), ""))
    return resolve(tree, data.describe("moons"))


@pytest.fixture(scope="module")
def moons():
    return data.load("moons", validation=200)


def test_tensorflow_is_not_loaded(moons):
    engine.train([declaration(1)], moons)
    assert "tensorflow" not in sys.modules


def test_together_as_alone(moons):
    (alone,) = engine.train([declaration(2)], moons)
    first, second = engine.train([declaration(1), declaration(2)], moons)
    for a, b in zip(alone.network.get_weights(), second.network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)
    assert not np.allclose(first.network.get_weights()[0], second.network.get_weights()[0])


def test_as_keras_would(moons):
    # One batch an epoch has no order: Keras' own fit must come to the same weights.
    whole = declaration(3, TEXT.replace("batch_size: 50", "batch_size: 800"))
    (ours,) = engine.train([whole], moons)
    theirs = engine.prepare(whole, moons)
    theirs.network.compile(theirs.parts.optimizer, theirs.parts.loss)
    x, y = arrays(whole, moons.train)
    history = theirs.network.fit(x, y, batch_size=800, epochs=20, verbose=0).history["loss"]
    np.testing.assert_allclose(ours.history["loss"], history, atol=1e-5)
    for a, b in zip(ours.network.get_weights(), theirs.network.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)


def test_each_stops_early_by_itself(moons):
    subjects = engine.train([declaration(seed, EARLY) for seed in (1, 2, 3)], moons)
    for one in subjects:
        losses = one.history["validation_loss"]
        assert len(losses) == int(np.argmin(losses)) + 3 < 200
        assert abs(one.loss_and_accuracy(moons.validation)[0] - min(losses)) < 1e-5
