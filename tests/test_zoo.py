"""The contract that every network of the zoo must pass."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import keras_and_temperature, needs_fashion_mnist
from wardrobe.api import PRETRAINED
from wardrobe.models import DataFacts, check, find, read, resolve, zoo
from wardrobe.serving.inference import artifacts
from wardrobe.serving.inference import model as saved_model
from wardrobe.training.data import load
from wardrobe.training.data.declarations import load_declaration
from wardrobe.training.evaluation.metrics import evaluate
from wardrobe.training.results import figure, records, table
from wardrobe.training.train import train

SVG = "{http://www.w3.org/2000/svg}"
PICTURES = DataFacts(input_shape=(28, 28), classes=10)
NETWORKS = [name for name in zoo.names() if read(name).get("model", "layers")]
FOR_FASHION_MNIST = [name for name in NETWORKS if read(name).get("data", "sets") is None]
SHIPPED = sorted(path.parent for path in PRETRAINED.glob("*/1/saved_model.pb"))

every_network = pytest.mark.parametrize("name", NETWORKS)
every_network_for_fashion_mnist = pytest.mark.parametrize("name", FOR_FASHION_MNIST)
every_shipped = pytest.mark.parametrize("folder", SHIPPED, ids=lambda path: path.parent.name)
every_shipped_for_fashion_mnist = pytest.mark.parametrize(
    "folder",
    [folder for folder in SHIPPED if folder.parent.name in FOR_FASHION_MNIST],
    ids=lambda path: path.parent.name,
)


def declared(name):
    """The declaration of a network, also where its data are not at hand."""
    return load_declaration(name)


@every_network
def test_its_declaration_is_sound_and_says_what_it_shows(name):
    assert check(read(name), declared(name).data_facts) == []
    declaration = declared(name)
    assert declaration.name == find(name).stem == name
    assert declaration.about


@every_network
def test_its_results_are_those_of_its_present_declaration(name):
    found = records.records()[name]
    assert len({record.seed for record in found}) >= (1 if zoo.is_teacher(name) else 3)
    for record in found:
        assert record.declaration == declared(name).digest
        assert record.data.name == declared(name).data.name
        assert record.git["dirty"] is False


@every_network_for_fashion_mnist
def test_its_calibration_error_is_at_most_a_hundredth(name):
    assert records.summarize(records.records()[name]).calibration_error <= 0.01


@pytest.mark.parametrize("name", sorted(records.records(resplit=True)))
def test_on_a_test_set_drawn_anew_it_loses_at_most_0_7_points(name):
    official, anew = (records.records(resplit)[name] for resplit in (False, True))
    for record in anew:
        drawn = f"data.resplit={record.data.resplit}"
        assert record.declaration == resolve(read(name, [drawn]), PICTURES).digest
    lost = (records.summarize(of).accuracy for of in (official, anew))
    assert next(lost) - next(lost) <= 0.007


@pytest.mark.parametrize(("most", "aim"), [(250_000, 0.905), (1_000_000, 0.912), (10**12, 0.920)])
def test_there_is_a_network_for_every_size(most, aim):
    summaries = [
        records.summarize(runs)
        for name, runs in records.records().items()
        if not zoo.is_teacher(name) and records.is_of_fashion_mnist(runs)
    ]
    assert max(of.accuracy for of in summaries if of.parameters <= most) >= aim


def test_the_layers_of_the_benchmark_table_reach_more_than_they_do_there():
    assert records.summarize(records.records()["mlp-256-128-100"]).accuracy >= 0.890


def test_table_and_figure_are_those_that_the_records_give(tmp_path, monkeypatch):
    shipped = records.FOLDER
    (tmp_path / "records").symlink_to(shipped / "records")
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    assert table.write().read_text() == (shipped / "README.md").read_text()
    drawn, shown = (file.read_text() for file in (figure.write(), shipped / "accuracy.svg"))
    assert set(texts(drawn)) == set(texts(shown))


def texts(drawing):
    """The words and numbers in an SVG."""
    return [element.text for element in ElementTree.fromstring(drawing).iter(f"{SVG}text")]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Where the short trainings find the teacher of the first one."""
    return tmp_path_factory.mktemp("runs")


@every_network
def test_a_short_training_gives_an_artifact_that_answers(name, few_silhouettes, runs, tmp_path):
    short = ["data=silhouettes", "training.epochs=1", "training.validation=0.1"]
    if read(name).get("distillation"):  # by a teacher that is trained in seconds
        short += ["distillation.teacher=softmax-regression", "augmentation.copies=2"]
    declaration = resolve(read(name, short), PICTURES)
    fewer = replace(
        few_silhouettes,
        **{
            part: getattr(few_silhouettes, part)[np.arange(200)]
            for part in ("train", "validation", "test")
        },
    )
    trained = train(
        declaration, fewer,
        runs=runs, artifacts=tmp_path / "artifacts", command=f"wardrobe train {name}",
    )  # fmt: skip
    pixels = few_silhouettes.test.x[:100].astype("float32")
    signature = tf.saved_model.load(str(trained.artifact)).signatures["serving_default"]
    probabilities = signature(images=tf.constant(pixels))["probabilities"].numpy()
    assert np.allclose(probabilities.sum(axis=1), 1, atol=1e-5)
    by_keras = keras_and_temperature(trained.folder, pixels)
    # Rounding in the logits grows as they are divided by a temperature below 1.
    tolerance = 1e-6 / min(1, trained.record.calibration["temperature"])
    assert np.abs(probabilities - by_keras).max() < tolerance


def test_only_teachers_are_not_fully_connected():
    for name in NETWORKS:
        layers = {layer.name for layer in declared(name).layers("model", "layers")}
        plain = layers <= {"Dense", "BatchNormalization", "Activation", "Dropout"}
        assert plain or zoo.is_teacher(name)


def test_what_ships_is_small():
    assert len(SHIPPED) >= 2
    files = [file for file in Path(PRETRAINED).rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 10_000_000


@every_shipped
def test_what_ships_was_trained_on_fashion_mnist(folder):
    extra = folder / "assets.extra"
    assert "examples of fashion-mnist" in (extra / "card.md").read_text()
    assert len(runs_of(folder)) == 1
    assert json.loads((extra / "labels.json").read_text())[9] == "Ankle boot"


@pytest.fixture(scope="module")
def official():
    return load("fashion-mnist")


@needs_fashion_mnist
@every_shipped_for_fashion_mnist
def test_what_ships_scores_what_its_card_says(folder, official):
    test = official.test
    outputs = saved_model.load(artifacts.at(folder)).predict(test.x.astype("float32"))
    measured = evaluate(outputs, test.y, official.class_names)
    (record,) = runs_of(folder)
    said = record.metrics["test"]
    assert measured["accuracy"] == pytest.approx(said["accuracy"], abs=2e-4)
    for measure in ("negative_log_likelihood", "calibration_error"):
        assert measured[measure] == pytest.approx(said[measure], abs=1e-3)
    spread = records.summarize(records.records()[record.name])
    assert abs(measured["accuracy"] - spread.accuracy) < 0.005


def runs_of(folder):
    """The records of the table that are of the very run that left a shipped artifact."""
    metrics = json.loads((folder / "assets.extra" / "metrics.json").read_text())
    runs = records.records()[folder.parent.name]
    return [record for record in runs if record.metrics == metrics]


def test_the_best_network_of_each_budget_ships_where_it_is_small():
    shipped = {folder.parent.name for folder in SHIPPED}
    best = dict(table.best_of_each_size(records.summarize_all()))
    assert {best["at most 250,000"], best["at most 1,000,000"]} <= shipped


def test_the_network_for_photographs_keeps_its_aims():
    folder = PRETRAINED / "mlp-photos" / "1"
    extra = folder / "assets.extra"
    uncertainty = json.loads((extra / "uncertainty.json").read_text())
    labels = json.loads((extra / "labels.json").read_text())
    assert set(uncertainty) == {"below", "unknown"}
    assert labels == [*load_declaration("mlp-1m").data_facts.class_names, "other"]
    assert uncertainty["unknown"] == "other"
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) < 5_000_000
    assert "clothing-photos: CC0 1.0" in (extra / "card.md").read_text()
    (record,) = runs_of(folder)
    rows = {row["label"]: row for row in record.metrics["test"]["by_class"] if row["examples"]}
    right = {label: row["examples"] * row["recall"] for label, row in rows.items()}
    shoes = [label for label in ("Sandal", "Sneaker", "Ankle boot") if label in rows]
    known = [[label] for label in rows.keys() - {*shoes, "other"}] + [shoes]
    counts = [sum(rows[label]["examples"] for label in kind) for kind in known]
    found = [sum(right[label] for label in kind) for kind in known]
    assert sum(counts) == 290
    assert sum(found) >= 0.74 * 290
    assert min(part / of for part, of in zip(found, counts, strict=True)) >= 0.5
    assert record.calibration["test"]["coverage"] >= 0.55
    assert record.calibration["test"]["accuracy_when_certain"] >= 0.88
