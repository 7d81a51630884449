"""Metrics get the labels that they need, or are refused."""

import keras
import numpy as np
import pytest

from wardrobe.models import DataFacts
from wardrobe.models.build import build
from wardrobe.models.build.keras_objects import KerasFactory, known_names
from wardrobe.models.build.metrics import OneHotLabels, build_metrics, try_out

BASE = "name: small\nmodel: {layers: [{Dense: {units: 8}}]}\n"

LABELS = np.array([0, 3, 9, 3, 1], np.int32)
OUTPUTS = np.random.default_rng(1).dirichlet(np.ones(10), 5).astype(np.float32)

OF_ROWS = [
    "AUC",
    "{AUC: {multi_label: true}}",
    "Precision",
    "{Recall: {top_k: 2}}",
    "{F1Score: {average: macro}}",
    "{FBetaScore: {average: micro, beta: 2.0}}",
    "categorical_accuracy",
    "CategoricalAccuracy",
    "{TopKCategoricalAccuracy: {k: 3}}",
    "CategoricalCrossentropy",
    "{PrecisionAtRecall: {recall: 0.5}}",
    "{OneHotMeanIoU: {num_classes: 10}}",
    "FalseNegatives",
    "mean_squared_error",
    "KLDivergence",
]


@pytest.mark.parametrize("metric", OF_ROWS)
def test_class_indices_measure_what_one_hot_rows_do(declare, metric):
    of_indices, of_rows = (
        build(declare(BASE, f"loss={loss}", f"metrics=[{metric}]")).metrics[0]
        for loss in ("sparse_categorical_crossentropy", "categorical_crossentropy")
    )
    assert isinstance(of_indices, OneHotLabels)
    if not isinstance(of_rows, keras.metrics.Metric):
        of_rows = keras.metrics.MeanMetricWrapper(of_rows)
    measured = of_indices(LABELS, OUTPUTS)
    assert float(measured) == float(of_rows(np.eye(10, dtype=np.float32)[LABELS], OUTPUTS))
    of_indices.reset_state()
    assert float(of_indices(LABELS, OUTPUTS)) == float(measured)


@pytest.mark.parametrize("metric", ["accuracy", "sparse_categorical_accuracy"])
def test_metrics_of_indices_stay_as_they_are(declare, metric):
    assert not isinstance(build(declare(BASE, f"metrics=[{metric}]")).metrics[0], OneHotLabels)


def test_a_saved_network_has_its_metrics(declare, tmp_path):
    parts = build(declare(BASE, "metrics=[{AUC: {num_thresholds: 50}}]"))
    parts.network.compile(parts.optimizer, parts.loss, metrics=parts.metrics)
    pixels = np.zeros((5, 28, 28), np.float32)
    before = parts.network.evaluate(pixels, LABELS, verbose=0, return_dict=True)
    parts.network.save(tmp_path / "small.keras")
    loaded = keras.models.load_model(tmp_path / "small.keras")
    assert loaded.evaluate(pixels, LABELS, verbose=0, return_dict=True) == before
    assert set(before) == {"loss", "auc"}


def test_names_do_not_depend_on_what_the_process_built_before(declare):
    names = [build(declare(BASE, "metrics=[AUC]")).metrics[0].name for _ in range(2)]
    assert names == ["auc", "auc"]


@pytest.mark.parametrize("name", sorted(known_names("metric")))
@pytest.mark.parametrize("head", ["softmax", "sigmoid", "linear"])
def test_whatever_keras_has_is_one_number_or_refused(declare, name, head):
    """No metric breaks the first step: it is computed here, or the declaration has an error."""
    facts = DataFacts((28, 28), {"softmax": 10, "sigmoid": 2, "linear": None}[head])
    overrides = [f"metrics=[{name}]", f"model.head.activation={head}"]
    declaration, factory = declare(BASE, *overrides, facts=facts), KerasFactory(1)
    made = build_metrics(declaration, factory)
    try_out(declaration, factory, None, made)
    if not factory.errors and name != "accuracy":  # which Keras makes itself
        outputs = OUTPUTS if head == "softmax" else OUTPUTS[:, :1]
        labels = LABELS if head == "softmax" else (LABELS > 3).astype(np.float32)[:, None]
        assert np.ndim(made[0](labels, outputs)) == 0


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (["metrics=[F1Score]"], "gives 10 numbers where one is needed: give it 'average: macro'"),
        (["metrics=[{Precision: {thresholds: [0.2, 0.5]}}]"], "gives 2 numbers"),
        (["metrics=[{Precision: {class_id: 11}}]"], "cannot be computed here"),
        (["metrics=[Mean]"], "does not compare outputs with labels"),
        (["metrics=[Accuracy]"], "write 'accuracy'"),
        (["metrics=[BinaryAccuracy]"], "is for a sigmoid head"),
        (["metrics=[{MeanIoU: {num_classes: 10}}]"], "give it 'sparse_y_pred: false'"),
        (
            [
                "metrics=[{MeanIoU: {num_classes: 10, sparse_y_pred: false}}]",
                "loss=categorical_crossentropy",
            ],
            "give it 'sparse_y_true: false'",
        ),
        (["metrics=[{OneHotMeanIoU: {num_classes: 3}}]"], "num_classes is 3"),
        (["loss=CTC"], "CTC cannot be computed here"),
        (["loss={CategoricalCrossentropy: {reduction: none}}"], "gives 2 numbers"),
    ],
)
def test_refused(errors, overrides, reason):
    found = errors(BASE, *overrides)
    assert any(reason in error for error in found), found


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        ("categorical_accuracy", "is for a softmax head"),
        ("F1Score", "needs a threshold"),
        ("TopKCategoricalAccuracy", "is for a softmax head"),
    ],
)
def test_refused_for_one_unit(errors, metric, reason):
    facts = DataFacts((28, 28), 2)
    found = errors(BASE, "model.head.activation=sigmoid", f"metrics=[{metric}]", facts=facts)
    assert any(reason in error for error in found), found


def test_accuracy_is_not_for_regression(errors):
    overrides = ["model.head.activation=linear", "metrics=[accuracy]"]
    (found,) = errors(BASE, *overrides, facts=DataFacts((3,), None))
    assert "accuracy is for classes, not for a linear head" in found
