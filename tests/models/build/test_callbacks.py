"""What callbacks watch is measured, has a direction, and fills in the names of files."""

import keras
import pytest

BASE = """\
name: small
model: {layers: [{Dense: {units: 8}}]}
metrics: [accuracy, AUC, mean_squared_error, FalseNegatives]
"""


@pytest.mark.parametrize(
    ("callback", "reason"),
    [
        ("EarlyStopping: {monitor: val_acc}", "there is no metric 'val_acc'; did you mean"),
        ("EarlyStopping: {monitor: val_mse}", "there is no metric 'val_mse'"),
        ("ReduceLROnPlateau: {monitor: false_negatives}", "'mode: max' or 'mode: min'"),
        ("EarlyStopping: {monitor: val_auc, mode: maximum}", "did you mean 'max'?"),
        ("EarlyStopping: {patience: 2.5}", "patience takes a whole number"),
        ("ModelCheckpoint: {filepath: w.keras, monitor: val_x, save_best_only: true}", "'val_x'"),
        ("ModelCheckpoint: {filepath: 'w-{val_acc:.2f}.keras'}", "did you mean 'val_auc'?"),
        ("ModelCheckpoint: {filepath: 'w-{batch}.keras'}", "nothing fills in '{batch}'"),
        ("ModelCheckpoint: {filepath: 'w-{}.keras'}", "nothing fills in '{}'"),
        ("ModelCheckpoint: {filepath: 'w-{epoch.real}.keras'}", "nothing fills in '{epoch.real}'"),
        ("ModelCheckpoint: {filepath: 'w-{epoch:02z}.keras'}", "cannot be filled in"),
        ("ModelCheckpoint: {filepath: 'w-{epoch.keras'}", "cannot be filled in"),
    ],
)
def test_refused(errors, callback, reason):
    found = errors(f"{BASE}callbacks:\n  - {callback}\n")
    assert any(error.startswith("5: ") and reason in error for error in found), found


@pytest.mark.parametrize(
    "callback",
    [
        "EarlyStopping: {monitor: val_auc}",
        "EarlyStopping: {monitor: val_mean_squared_error, mode: min}",
        "ReduceLROnPlateau: {monitor: loss}",
        "ModelCheckpoint: {filepath: 'w-{epoch:02d}-{val_auc:.3f}-{loss}.keras'}",
        "ModelCheckpoint: {filepath: 'w-{epoch}-{batch}.keras', save_epochs: 0.5}",
        "ModelCheckpoint: {filepath: w.keras}",
    ],
)
def test_accepted(errors, callback):
    assert errors(f"{BASE}callbacks:\n  - {callback}\n") == []


def test_the_second_metric_of_a_name_has_a_number(errors):
    early = "callbacks=[{EarlyStopping: {monitor: val_auc_1, mode: max}}]"
    assert errors(BASE, "metrics=[AUC, AUC]", early) == []


def test_keras_knows_no_other_direction():
    """Pinned: where Keras reads the direction of a metric."""
    assert keras.metrics.AUC()._direction == "up"
    assert keras.metrics.MeanSquaredError()._direction == "down"
    assert not hasattr(keras.metrics.FalseNegatives(), "_direction")
