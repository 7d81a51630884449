"""What the tests of all rooms share: the command line, run as a user runs it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hypothesis
import keras
import numpy as np
import pytest

from wardrobe.training.data import DataSet, Examples, fashion_mnist, load, silhouettes

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# A machine that does other work too may take long over an example; that is no mistake.
hypothesis.settings.register_profile("whatever it takes", deadline=None)
hypothesis.settings.load_profile("whatever it takes")

needs_fashion_mnist = pytest.mark.skipif(
    fashion_mnist.find() is None,
    reason="Fashion-MNIST is neither in $WARDROBE_DATA nor in Keras' cache",
)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test finds or leaves data sets in the user's cache."""
    os.environ["WARDROBE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def wardrobe_program() -> str:
    """The installed command."""
    return str(Path(sys.executable).with_name("wardrobe"))


def heed_ctrl_c() -> None:
    """A `preexec_fn`: a shell lets its background jobs, such as these tests, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def wardrobe(wardrobe_program: str, tmp_path: Path) -> Run:
    """Runs `wardrobe …` in an empty folder and returns what came of it."""

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [wardrobe_program, *map(str, arguments)],
            cwd=tmp_path,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def few_silhouettes() -> DataSet:
    """Silhouettes, the first 1,000 of each part: enough to learn from, quick to train on."""
    full = load(silhouettes.NAME)
    parts = {
        part: Examples(getattr(full, part).x[:1000], getattr(full, part).y[:1000])
        for part in ("train", "validation", "test")
    }
    return DataSet(**(vars(full) | parts))


def keras_and_temperature(run: Path, examples: Any) -> Any:
    """What a run's model.keras gives, its logits divided by the temperature in the record."""
    probabilities = keras.models.load_model(run / "model.keras").predict(examples, verbose=0)
    temperature = json.loads((run / "run.json").read_text())["calibration"]["temperature"]
    logits = np.log(probabilities) / temperature
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
