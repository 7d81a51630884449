"""The tests of the JAX backend, and both backends side by side."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import keras_and_temperature, needs_fashion_mnist
from tests.training.conftest import SMALL
from tests.training.fit import from_weights
from wardrobe.training.fit.compilation_cache import keep_programs

ON_JAX = [
    Path(__file__).parent / name
    for name in (
        "jax",
        "test_loop.py",
        "test_keras_private.py",
        "test_class_weights.py",
        "../test_transfer.py",
    )
]


@pytest.mark.slow
def test_the_tests_of_the_jax_backend_pass_on_jax():
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    keep_programs(environment)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "-m",
            "",
            *map(str, ON_JAX),
        ],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.slow
def test_a_program_that_was_kept_computes_the_same_bits(wardrobe, tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    caches = tmp_path / "caches"

    def trained(**environment: str) -> tuple[list[np.ndarray], int]:
        options = ("--epochs", "1", "--backend", "jax", "--json")
        done = wardrobe("train", "small.yaml", *options, XDG_CACHE_HOME=str(caches), **environment)
        assert done.returncode == 0, done.stderr
        assert not done.stderr
        run = tmp_path / json.loads(done.stdout)["run"]
        weights = keras.models.load_model(run / "model.keras").get_weights()
        return weights, len(list(caches.rglob("*-cache")))

    compiled, none = trained(JAX_ENABLE_COMPILATION_CACHE="false")
    written, some = trained()
    read, no_more = trained()
    assert (none, no_more) == (0, some)
    for others in (written, read):
        assert all((a == b).all() for a, b in zip(compiled, others, strict=True))


def test_both_backends_compute_the_same_from_the_same_weights(tmp_path):
    here = from_weights.fit(tmp_path)
    np.savez(tmp_path / "weights.npz", *here.network.get_weights())
    environment = os.environ | {"KERAS_BACKEND": "jax"}
    keep_programs(environment)
    files = [str(tmp_path / name) for name in ("weights.npz", "result.npz")]
    command = [sys.executable, "-X", "importtime", "-m", from_weights.__name__, *files]
    root = Path(__file__).parents[3]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "jax" in imported
    assert "tensorflow" not in imported  # it takes seconds
    with np.load(files[1]) as archive:
        on_jax = list(archive.values())
    for mine, other in zip(from_weights.result(here), on_jax, strict=True):
        assert np.abs(mine - other).max() < 2e-3


def test_the_user_says_where_programs_are_kept():
    environment = {"XDG_CACHE_HOME": "/caches"}
    keep_programs(environment)
    assert environment["JAX_COMPILATION_CACHE_DIR"] == "/caches/wardrobe/jax"
    environment = {"JAX_COMPILATION_CACHE_DIR": "/mine"}
    keep_programs(environment)
    assert environment["JAX_COMPILATION_CACHE_DIR"] == "/mine"


@pytest.mark.usefixtures("compiling_quickly")
def test_a_network_trained_on_jax_becomes_the_same_kind_of_artifact(
    wardrobe, tmp_path, few_silhouettes
):
    (tmp_path / "small.yaml").write_text(SMALL)
    done = wardrobe("train", "small.yaml", "--backend", "jax", "--json")
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["versions"]["backend"] == "jax"

    artifact = tmp_path / record["artifact"]
    pixels = few_silhouettes.test.x[:300].astype("float32")
    saved = tf.saved_model.load(str(artifact)).signatures["serving_default"]
    probabilities = saved(images=tf.constant(pixels))["probabilities"].numpy()
    by_keras = keras_and_temperature(tmp_path / record["run"], pixels)
    assert np.abs(probabilities - by_keras).max() < 1e-6
    accuracy = (probabilities.argmax(axis=1) == few_silhouettes.test.y[:300]).mean()
    assert accuracy == pytest.approx(record["metrics"]["test"]["accuracy"], abs=0.1)

    explained = tf.saved_model.load(str(artifact)).signatures["explain"](images=tf.constant(pixels))
    assert explained["evidence"].shape == (300, 28, 28)
    np.testing.assert_allclose(explained["probabilities"], probabilities, atol=1e-6)

    operations = {node.op for node in saved.graph.as_graph_def().node} | {
        node.op
        for function in saved.graph.as_graph_def().library.function
        for node in function.node_def
    }
    assert "XlaCallModule" not in operations
    stored = sum(f.stat().st_size for f in (artifact / "variables").glob("*.data-*"))
    assert stored < record["parameters"] * 4 * 1.1 + 4096
    assert [entry.name for entry in artifact.parent.iterdir()] == ["1"]


@needs_fashion_mnist
@pytest.mark.slow
def test_both_backends_give_the_same_within_the_spread_of_seeds(wardrobe):
    def accuracies(backend: str) -> np.ndarray:
        return np.array([trained(backend, seed) for seed in ("1", "2", "3", "4")])

    def trained(backend: str, seed: str) -> float:
        options = ("--epochs", "4", "--seed", seed, "--backend", backend, "--json")
        record = json.loads(wardrobe("train", "mlp-256-128-100", *options).stdout)
        return float(record["metrics"]["test"]["accuracy"])

    on_jax, on_tensorflow = accuracies("jax"), accuracies("tensorflow")
    spread = np.sqrt((on_jax.var(ddof=1) + on_tensorflow.var(ddof=1)) / 4)
    assert abs(on_jax.mean() - on_tensorflow.mean()) < 4 * spread + 0.002
    assert min(on_jax.min(), on_tensorflow.min()) > 0.85
