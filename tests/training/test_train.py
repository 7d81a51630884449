"""One training, from a declaration to a run folder and an artifact."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tests.conftest import keras_and_temperature
from tests.training.conftest import (
    SMALL,
    a_record,
    declared,
    three_garments,
    trained_on,
    write_mnist_format,
)
from wardrobe.models import DataFacts
from wardrobe.training.data import load
from wardrobe.training.errors import TrainingError
from wardrobe.training.evaluation.metrics import calibration_error
from wardrobe.training.export.model_card import model_card
from wardrobe.training.export.outputs import Outputs
from wardrobe.training.run import Run, new_folder
from wardrobe.training.train import TrainedRun

PICTURES = DataFacts(input_shape=(28, 28), classes=10)

TEXT_FILES = (
    "labels.json", "input.json", "declaration.yaml", "metrics.json", "card.md",
    "calibration.json", "uncertainty.json", "run.json",
)  # fmt: skip


def served(artifact: Path, examples):
    """What a plain SavedModel of TensorFlow answers."""
    signature = tf.saved_model.load(str(artifact)).signatures["serving_default"]
    return next(iter(signature(tf.constant(examples)).values())).numpy()


def test_a_run_says_everything_about_itself(trained, few_silhouettes):
    record = json.loads((trained.folder / "run.json").read_text())
    assert record["status"] == "finished"
    assert record["seed"] == 5
    assert record["command"] == "wardrobe train declared.yaml"
    assert record["data"]["split"] == few_silhouettes.split_hash
    assert record["data"]["files"] == few_silhouettes.hashes
    assert set(record["versions"]) == {
        "python", "backend", "keras", "numpy", "tensorflow", "wardrobe"
    }  # fmt: skip
    assert record["devices"]
    assert set(record["git"]) == {"commit", "dirty"}
    assert record["seconds"] > 0
    assert 0 < record["metrics"]["test"]["accuracy"] <= 1
    assert record["artifact"] == str(trained.artifact)


def test_the_folder_holds_what_the_record_does_not(trained):
    assert (trained.folder / "declared" / "declared.yaml").read_text().startswith("name: small")
    assert "precision: float32" in (trained.folder / "declaration.yaml").read_text()
    assert list((trained.folder / "tensorboard").rglob("events.out.tfevents*"))
    with (trained.folder / "history.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"} < set(
        rows[0]
    )


def test_the_artifact_carries_what_serving_must_know(trained):
    artifact = trained.artifact
    assert artifact.name == "1"
    extra = artifact / "assets.extra"
    assert {file.name for file in extra.iterdir()} == set(TEXT_FILES)
    assert json.loads((extra / "labels.json").read_text())[9] == "Ankle boot"
    assert json.loads((extra / "input.json").read_text()) == {
        "kind": "image",
        "shape": [28, 28],
        "range": [0, 255],
        "ground": "dark",
        "channels": 1,
        "prepare": "garment",
    }
    card = (extra / "card.md").read_text()
    assert "9,600" not in card
    assert "1,000 examples of silhouettes" in card
    assert "| Ankle boot |" in card


def test_the_card_tells_of_test_pictures_that_were_trained_on(trained, few_silhouettes, tmp_path):
    declaration, _ = declared(tmp_path, PICTURES, SMALL)
    told = "12 of its 1,000 test pictures are, pixel for pixel, also among those"
    for repeated in (0, 12):
        data = replace(few_silhouettes, repeated=repeated)
        assert (told in model_card(declaration, data, trained.record)) is bool(repeated)


def test_savedmodel_and_keras_agree(trained, few_silhouettes):
    pixels = few_silhouettes.test.x[:300].astype("float32")
    by_keras = keras_and_temperature(trained.folder, pixels)
    assert np.abs(served(trained.artifact, pixels) - by_keras).max() < 1e-6
    for count in (1, 7, 64):
        assert served(trained.artifact, pixels[:count]).shape == (count, 10)


def test_the_artifact_is_calibrated_and_says_from_when_it_is_uncertain(trained, few_silhouettes):
    extra = trained.artifact / "assets.extra"
    calibration = json.loads((extra / "calibration.json").read_text())
    assert calibration == trained.record.calibration
    assert calibration["temperature"] != 1
    validation = calibration["validation"]
    assert validation["negative_log_likelihood"] < validation["negative_log_likelihood_before"]
    limit = json.loads((extra / "uncertainty.json").read_text())
    assert limit == {"below": calibration["uncertain_below"]}
    answers = served(trained.artifact, few_silhouettes.test.x.astype("float32"))
    measured = calibration_error(answers, few_silhouettes.test.y)
    assert measured == pytest.approx(calibration["test"]["calibration_error"], abs=1e-3)
    assert measured == pytest.approx(trained.record.metrics["test"]["calibration_error"], 1e-2)
    certain = answers.max(axis=1) >= limit["below"]
    assert certain.mean() == pytest.approx(calibration["test"]["coverage"], abs=5e-3)
    assert "## Calibration" in (extra / "card.md").read_text()


def test_without_validation_examples_nothing_is_calibrated(run, few_silhouettes):
    without = replace(few_silhouettes, validation=few_silhouettes.validation[np.arange(0)])
    trained = run(without, SMALL)
    assert not trained.record.calibration
    assert not (trained.artifact / "assets.extra" / "uncertainty.json").exists()
    pixels = few_silhouettes.test.x[:50].astype("float32")
    by_keras = keras.models.load_model(trained.folder / "model.keras").predict(pixels, verbose=0)
    assert np.abs(served(trained.artifact, pixels) - by_keras).max() < 1e-6


def test_both_load_without_the_code_of_this_project(trained, tmp_path):
    code = f"""
import sys, numpy as np, tensorflow as tf, keras
x = np.zeros((3, 28, 28), "float32")
saved = tf.saved_model.load({str(trained.artifact)!r}).signatures["serving_default"]
a = saved(images=tf.constant(x))["probabilities"].numpy()
b = keras.models.load_model({str(trained.folder / "model.keras")!r}).predict(x, verbose=0)
b = b ** (1 / {trained.record.calibration["temperature"]!r})
assert np.abs(a - b / b.sum(axis=1, keepdims=True)).max() < 1e-6
assert not [name for name in sys.modules if name.split(".")[0] == "wardrobe"]
"""
    subprocess.run([sys.executable, "-I", "-c", code], cwd=tmp_path, check=True)


def test_no_weight_is_stored_twice(trained):
    stored = sum(f.stat().st_size for f in (trained.artifact / "variables").glob("*.data-*"))
    assert stored < trained.record.parameters * 4 * 1.1 + 4096


def test_names_of_inputs_and_outputs(trained):
    signature = tf.saved_model.load(str(trained.artifact)).signatures["serving_default"]
    (inputs,) = signature.structured_input_signature[1:]
    assert {name: spec.shape.as_list() for name, spec in inputs.items()} == {
        "images": [None, 28, 28]
    }
    assert list(signature.structured_outputs) == ["probabilities"]


def test_versions_count_up(run, few_silhouettes, tmp_path):
    (tmp_path / "artifacts" / "small" / "7").mkdir(parents=True)
    (tmp_path / "artifacts" / "small" / "9.broken").mkdir()
    (tmp_path / "artifacts" / "small" / "7" / "assets.extra").mkdir()
    (tmp_path / "artifacts" / "small" / "7" / "assets.extra" / "run.json").write_text("[" * 9999)
    assert run(few_silhouettes, *["name: small\nmodel: {layers: []}\n"]).artifact.name == "8"


def test_the_version_is_above_every_one_that_the_same_service_shows(few_silhouettes, tmp_path):
    (tmp_path / "shipped" / "small" / "4").mkdir(parents=True)
    (tmp_path / "elsewhere" / "small" / "11").mkdir(parents=True)
    served_beside = [tmp_path / "shipped", tmp_path / "elsewhere", tmp_path / "missing"]
    text = "name: small\nmodel: {layers: []}\n"
    trained = trained_on(few_silhouettes, tmp_path, text, served_beside=served_beside)
    assert trained.artifact.name == "12"


def test_what_a_killed_export_left_is_removed(run, few_silhouettes, tmp_path):
    models = tmp_path / "artifacts" / "small"
    (models / ".partial-1" / "variables").mkdir(parents=True)
    os.utime(models / ".partial-1", (0, 0))
    (models / ".partial-2").mkdir()
    run(few_silhouettes, "name: small\nmodel: {layers: []}\ntraining: {epochs: 1}\n")
    assert sorted(entry.name for entry in models.iterdir()) == [".partial-2", "1"]


def test_the_same_seed_gives_bit_identical_weights(run, few_silhouettes):
    def weights(*overrides):
        trained = run(few_silhouettes, SMALL_TWICE, *overrides)
        return keras.models.load_model(trained.folder / "model.keras").get_weights()

    first, again, other = weights(), weights(), weights("seed=6")
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))


SMALL_TWICE = """\
name: twice
seed: 5
data: silhouettes
model:
  layers:
    - Dense: {units: 16, activation: relu}
    - Dropout: {rate: 0.3}
training: {epochs: 2, batch_size: 32}
"""


def test_a_loss_that_becomes_nan(run, few_silhouettes, tmp_path):
    huge = (
        "optimizer.SGD.learning_rate={PiecewiseConstantDecay: "
        "{boundary_epochs: [1.5], values: [0.05, 1e30]}}"
    )
    with pytest.raises(TrainingError, match=r"became NaN in epoch 2.*smaller learning_rate"):
        run(few_silhouettes, SMALL_TWICE, huge, "training.epochs=5")
    (record,) = (json.loads(file.read_text()) for file in tmp_path.rglob("run.json"))
    assert record["status"] == "failed"
    assert "epoch 2" in record["reason"]
    (kept,) = tmp_path.rglob("model.keras")
    best = keras.models.load_model(kept)
    assert all(np.isfinite(weight).all() for weight in best.get_weights())
    assert not list(tmp_path.glob("artifacts/*/[0-9]*"))


def test_folders_that_cannot_be_written(run, few_silhouettes, tmp_path):
    (tmp_path / "runs").write_text("a file, not a folder")
    with pytest.raises(TrainingError, match="cannot write"):
        run(few_silhouettes)
    (tmp_path / "runs").unlink()
    (tmp_path / "artifacts").write_text("a file, not a folder")
    with pytest.raises(TrainingError, match="cannot write the artifact"):
        run(few_silhouettes)
    assert not (tmp_path / "runs").exists(), "it is said before anything is trained"


def test_runs_of_one_second_have_folders_of_their_own(tmp_path, few_silhouettes):
    declaration, _ = declared(tmp_path, PICTURES, SMALL)
    began = datetime.now(UTC)
    for number in range(1, 4):
        folder = new_folder(tmp_path, declaration, began)
        Run.start(folder, a_record(declaration, few_silhouettes), declaration)
        assert len(list((tmp_path / "small").iterdir())) == number


def test_sigmoid_head(run):
    rings = load("rings")
    text = (
        "name: rings\ndata: rings\nmodel: {head: {activation: sigmoid}, "
        "layers: [{Dense: {units: 16, activation: tanh}}]}\n"
        "optimizer: {Adam: {learning_rate: 0.05}}\ntraining: {epochs: 30, batch_size: 32}\n"
    )
    trained = run(rings, text)
    probabilities = served(trained.artifact, rings.test.x)
    assert probabilities.shape == (len(rings.test), 2)
    assert np.allclose(probabilities.sum(axis=1), 1)
    assert trained.record.metrics["test"]["accuracy"] > 0.9
    assert np.abs(probabilities[:, 1] - sigmoid_calibrated(trained, rings.test.x)).max() < 1e-6


def sigmoid_calibrated(trained: TrainedRun, examples):
    """What model.keras gives for the second class, its logit divided by the temperature."""
    network = keras.models.load_model(trained.folder / "model.keras")
    probability = network.predict(examples, verbose=0)[:, 0].astype(np.float64)
    logit = np.log(probability / (1 - probability)) / trained.record.calibration["temperature"]
    return 1 / (1 + np.exp(-logit))


def test_linear_head(run):
    curve = load("curve")
    text = (
        "name: curve\ndata: curve\nmodel: {head: {activation: linear}, "
        "layers: [{Dense: {units: 32, activation: tanh}}]}\n"
        "optimizer: {Adam: {learning_rate: 0.02}}\ntraining: {epochs: 20, batch_size: 32}\n"
    )
    trained = run(curve, text)
    assert trained.record.metrics["test"]["r_squared"] > 0.5
    assert not trained.record.calibration
    signature = tf.saved_model.load(str(trained.artifact)).signatures["serving_default"]
    assert list(signature.structured_outputs) == ["values"]
    assert not (trained.artifact / "assets.extra" / "labels.json").exists()


@pytest.mark.parametrize(
    "override",
    [
        "loss={CategoricalCrossentropy: {label_smoothing: 0.1}}",
        "loss=mean_squared_error",
        "precision=mixed_bfloat16",
        "precision=mixed_float16",
        "callbacks=[{EarlyStopping: {patience: 1, restore_best_weights: true}}, TerminateOnNaN]",
        "callbacks=[{ModelCheckpoint: {filepath: 'best/{epoch}.keras', save_epochs: 1}}]",
        "callbacks=[{TensorBoard: {histogram_freq: 1}}]",
        "callbacks=[ReduceLROnPlateau]",
        "optimizer={AdamW: {use_ema: true}}",
        "training.validation=0",
    ],
)
def test_everything_that_may_be_declared_trains(run, few_silhouettes, override):
    assert run(few_silhouettes, SMALL_TWICE, override).record.status == "finished"


def test_a_folder_of_mnist_format_files(run, tmp_path):
    write_mnist_format(tmp_path, *three_garments())
    trained = run(load(str(tmp_path), validation=0.1), SMALL_TWICE, f"data={tmp_path}")
    pixels = three_garments()[0][:4].astype("float32")
    assert served(trained.artifact, pixels).shape == (4, 3)


def test_a_folder_of_pictures(run, tmp_path):
    x, y = three_garments()
    for number, (pixels, label) in enumerate(zip(x, y, strict=True)):
        folder = tmp_path / "pictures" / ("coat", "dress", "shirt")[label]
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    data = load(str(tmp_path / "pictures"), validation=0.1)
    trained = run(data, SMALL_TWICE, f"data={tmp_path / 'pictures'}")
    labels = (trained.artifact / "assets.extra" / "labels.json").read_text()
    assert json.loads(labels) == ["coat", "dress", "shirt"]


def test_files_of_callbacks_stay_in_the_run(run, few_silhouettes):
    checkpoint = "callbacks=[{ModelCheckpoint: {filepath: 'best-{epoch}.keras'}}]"
    trained = run(few_silhouettes, SMALL_TWICE, checkpoint)
    assert (trained.folder / "best-1.keras").is_file()


def test_answers_are_what_the_network_gives(trained, few_silhouettes):
    network = keras.models.load_model(trained.folder / "model.keras")
    pixels = few_silhouettes.test.x[:5].astype("float32")
    given = Outputs("softmax").of(network, pixels)
    assert np.allclose(given, network.predict(pixels, verbose=0), atol=1e-6)


class Counts(keras.callbacks.Callback):
    """A callback as a script may hang it into a run."""

    epochs = 0

    def on_epoch_end(self, epoch, logs=None):
        self.epochs += 1


def test_a_script_hangs_its_own_callback_into_a_run(few_silhouettes, tmp_path):
    counts = Counts()
    trained = trained_on(few_silhouettes, tmp_path, callbacks=[counts])
    assert counts.epochs == 2
    assert json.loads((trained.folder / "run.json").read_text())["callbacks"] == ["Counts"]


def test_a_script_gets_the_network_and_its_history(trained, few_silhouettes):
    history = trained.history
    assert history["epoch"] == [1, 2]
    assert {"loss", "accuracy", "val_loss", "learning_rate"} < set(history)
    assert trained.metrics == trained.record.metrics
    evaluated = trained.network.evaluate(
        few_silhouettes.validation.x, few_silhouettes.validation.y, verbose=0, return_dict=True
    )
    assert evaluated["accuracy"] == pytest.approx(history["val_accuracy"][-1], abs=1e-5)
