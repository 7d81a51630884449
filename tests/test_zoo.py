"""The contract that every network of the zoo must pass."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from models import DataFacts, chain, check, find, read, resolve, zoo
from serving import artifacts, saved_model
from tests.conftest import keras_and_temperature, needs_fashion_mnist
from training import results
from training.data import load
from training.evaluation import evaluate
from training.train import train
from wardrobe import PRETRAINED

PICTURES = DataFacts(input_shape=(28, 28), classes=10)
NETWORKS = [name for name in zoo.names() if read(name).get("model", "layers")]
SHIPPED = sorted(path.parent for path in PRETRAINED.glob("*/1/saved_model.pb"))

every_network = pytest.mark.parametrize("name", NETWORKS)
every_shipped = pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.parent.name)


@every_network
def test_its_declaration_is_sound_and_says_what_it_shows(name):
    assert check(read(name), PICTURES) == []
    declaration = resolve(read(name), PICTURES)
    assert declaration.name == find(name).stem == name
    assert declaration.about


@every_network
def test_its_results_are_those_of_its_present_declaration(name):
    found = results.records()[name]
    assert len({record["seed"] for record in found}) >= 3
    for record in found:
        assert record["declaration"] == resolve(read(name), PICTURES).digest
        assert record["data"]["name"] == "fashion-mnist"
        assert record["git"]["dirty"] is False


def test_the_table_is_the_one_that_the_records_give(tmp_path, monkeypatch):
    shipped = results.FOLDER
    (tmp_path / "records").symlink_to(shipped / "records")
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    written = results.write_table(
        {name: resolve(read(name), PICTURES).architecture for name in NETWORKS}
    )
    assert written.read_text() == (shipped / "README.md").read_text()


def test_the_benchmark_network_reaches_the_score_of_the_benchmark_table():
    accuracies = [
        record["metrics"]["test"]["accuracy"] for record in results.records()["mlp-256-128-100"]
    ]
    assert min(accuracies) >= 0.8833


@every_network
def test_a_short_training_gives_an_artifact_that_answers(name, few_silhouettes, tmp_path):
    declaration = resolve(
        read(name, ["data=silhouettes", "training.epochs=1", "training.validation=0.1"]), PICTURES
    )
    trained = train(
        declaration, few_silhouettes, written=chain(find(name)),
        runs=tmp_path / "runs", artifacts=tmp_path / "artifacts", command=f"wardrobe train {name}",
    )  # fmt: skip
    pixels = few_silhouettes.test.x[:100].astype("float32")
    signature = tf.saved_model.load(str(trained.artifact)).signatures["serving_default"]
    probabilities = signature(images=tf.constant(pixels))["probabilities"].numpy()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    by_keras = keras_and_temperature(trained.run, pixels)
    assert np.abs(probabilities - by_keras).max() < 1e-6


def test_what_ships_is_small():
    assert len(SHIPPED) >= 2
    files = [file for file in Path(PRETRAINED).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 5_000_000


@every_shipped
def test_what_ships_was_trained_on_fashion_mnist(folder):
    extra = folder / "assets.extra"
    assert "examples of fashion-mnist" in (extra / "card.md").read_text()
    assert json.loads((extra / "labels.json").read_text())[9] == "Ankle boot"


@needs_fashion_mnist
@every_shipped
def test_what_ships_scores_what_its_card_says(folder):
    data = load("fashion-mnist")
    outputs = saved_model.load(artifacts.at(folder)).predict(data.test.x.astype("float32"))
    measured = evaluate(outputs, data.test.y, data.class_names)
    said = json.loads((folder / "assets.extra" / "metrics.json").read_text())["test"]
    assert measured["accuracy"] == pytest.approx(said["accuracy"], abs=2e-4)
    assert measured["negative_log_likelihood"] == pytest.approx(
        said["negative_log_likelihood"], abs=1e-4
    )
