"""Members trained together are what each would be alone, and what Keras would make of it.

In processes of their own: Keras computes with JAX there.
"""

from __future__ import annotations

import subprocess
import sys

import pytest

_BEGIN = """
from training.studies import running
running.use_jax()
import numpy as np
import keras
from models import complete, overridden, resolve
from models.yaml_reader import read_text
from pathlib import Path
from training import data
from training.fit import arrays
from training.studies import engine

TEXT = '''
name: small
data: moons
model: {layers: [{Dense: {units: 6, activation: tanh}}], head: {activation: sigmoid}}
optimizer: {SGD: {learning_rate: 0.2, momentum: 0.9}}
training: {epochs: 20, batch_size: 50, validation: 200}
'''

def declaration(seed, text=TEXT):
    tree = overridden(complete(read_text(text, "small"), Path()), "seed", read_text(str(seed), ""))
    return resolve(tree, data.describe("moons"))

moons = data.load("moons", validation=200)
"""


def _python(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _BEGIN + code], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "code",
    [
        pytest.param(
            """
alone = engine.train([declaration(2)], moons)[0]
together = engine.train([declaration(1), declaration(2)], moons)
for a, b in zip(alone.network.get_weights(), together[1].network.get_weights()):
    assert np.allclose(a, b, atol=1e-4)
assert not np.allclose(*(one.network.get_weights()[0] for one in together))
""",
            id="together as alone",
        ),
        pytest.param(
            """
# One batch an epoch has no order: Keras' own fit must come to the same weights.
whole = TEXT.replace("batch_size: 50", "batch_size: 800")
(ours,) = engine.train([declaration(3, whole)], moons)
theirs = engine.prepare(declaration(3, whole), moons)
theirs.network.compile(theirs.parts.optimizer, theirs.parts.loss)
x, y = arrays(theirs.declaration, moons.train)
history = theirs.network.fit(x, y, batch_size=800, epochs=20, verbose=0).history["loss"]
assert np.allclose(history, ours.history["loss"], atol=1e-5)
for a, b in zip(ours.network.get_weights(), theirs.network.get_weights()):
    assert np.allclose(a, b, atol=1e-4)
""",
            id="as Keras",
        ),
        pytest.param(
            """
early = TEXT + "callbacks: [{EarlyStopping: {patience: 2, restore_best_weights: true}}]"
early = early.replace("0.2, momentum", "2.5, momentum").replace("epochs: 20", "epochs: 200")
subjects = engine.train([declaration(seed, early) for seed in (1, 2, 3)], moons)
for one in subjects:
    losses = one.history["validation_loss"]
    assert len(losses) == int(np.argmin(losses)) + 3 < 200
    assert abs(one.loss_and_accuracy(moons.validation)[0] - min(losses)) < 1e-5
""",
            id="early stopping of each by itself",
        ),
        pytest.param(
            """
import sys
engine.train([declaration(1)], moons)
assert "tensorflow" not in sys.modules
""",
            id="without TensorFlow",
        ),
    ],
)
def test_training(code):
    _python(code)
