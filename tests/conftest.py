"""What all tests share: the command line, run as a user runs it."""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import hypothesis
import numpy as np
import pytest
from click.testing import CliRunner

from wardrobe import cli
from wardrobe.serving.inference.tensorflow import load_tensorflow
from wardrobe.training.data import DataSet, Examples, fashion_mnist, load, silhouettes

Run = Callable[..., "subprocess.CompletedProcess[str]"]

# A machine that does other work too may take long over an example; that is no mistake.
hypothesis.settings.register_profile("whatever it takes", deadline=None)
hypothesis.settings.load_profile("whatever it takes")

needs_fashion_mnist = pytest.mark.skipif(
    fashion_mnist.find() is None,
    reason="Fashion-MNIST is neither in $WARDROBE_DATA nor in Keras' cache",
)

# What takes longest, first: the processes of `make test` take the files in this order, and the last
# ones are short, so that none waits long for the others.
LONGEST = (
    "training/studies/test_lecture.py",
    "training/callbacks/test_checkpoint.py",
    "test_command_line.py",
    "training/test_train.py",
    "test_zoo.py",
    "training/test_more_epochs.py",
    "training/test_own_tables.py",
    "training/fit/test_on_jax.py",
    "training/studies/test_executor.py",
)


def pytest_configure(config: pytest.Config) -> None:
    """Programs that JAX compiled are kept for other processes and for the next run of the tests."""
    gc.disable()  # a million permanent objects are made by what the tests import
    os.environ.setdefault("XLA_FLAGS", SIMPLE_CODE)
    if hasattr(config, "workerinput"):  # a process of `make test`, which needs it in any case
        load_tensorflow(keras=True)
    if getattr(config, "cache", None):
        os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(config.cache.mkdir("jax")))
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    ranks = {Path(__file__).parent / name: at for at, name in enumerate(LONGEST)}
    items.sort(key=lambda item: ranks.get(item.path, len(ranks)))


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


# Small trainings mostly compile, and XLA does that in two thirds of the time if it emits each
# fusion without MLIR and does not split a program for threads that have other things to do.
SIMPLE_CODE = "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"

# On JAX, optimising their programs does not pay either.
COMPILING_QUICKLY = {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}


@pytest.fixture
def compiling_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the processes that a test starts."""
    for name, value in COMPILING_QUICKLY.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> None:
    """No test finds or leaves data sets in the user's cache."""
    os.environ["WARDROBE_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session")
def wardrobe_program() -> str:
    """The installed command."""
    return str(Path(sys.executable).with_name("wardrobe"))


def free_port() -> int:
    """One on which nothing listens yet."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def heed_ctrl_c() -> None:
    """A `preexec_fn`: a shell lets its background jobs, such as these tests, ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def wardrobe(wardrobe_program: str, tmp_path: Path) -> Run:
    """Runs `wardrobe …` as a process in an empty folder and returns what came of it."""

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


@pytest.fixture
def invoke(tmp_path: Path) -> Run:
    """The same without a process: this one has imported TensorFlow, which takes seconds."""
    import keras  # noqa: F401 - before `check` chooses NumPy's backend for the whole process

    def run(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
        words = list(map(str, arguments))
        before = signal.getsignal(signal.SIGTERM)
        try:
            with (
                contextlib.chdir(tmp_path),
                mock.patch.dict(os.environ, environment),
                mock.patch.object(sys, "argv", ["wardrobe", *words]),
            ):
                done = CliRunner(catch_exceptions=False).invoke(
                    cli.main, prog_name="wardrobe", args=words
                )
        finally:
            signal.signal(signal.SIGTERM, before)
        return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)

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
    import keras  # not above: the process that only distributes the tests needs none

    probabilities = keras.models.load_model(run / "model.keras").predict(examples, verbose=0)
    temperature = json.loads((run / "run.json").read_text())["calibration"]["temperature"]
    logits = np.log(probabilities) / temperature
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
