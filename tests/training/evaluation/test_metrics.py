"""The measures, against hand-worked numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardrobe.training.data import DataError, load
from wardrobe.training.evaluation.metrics import (
    blind_spots,
    calibration_error,
    classification,
    evaluate_artifact,
    regression,
)

NAMES = ("cat", "dog", "owl")
PROBABILITIES = np.array(
    [[0.8, 0.1, 0.1], [0.3, 0.6, 0.1], [0.5, 0.4, 0.1], [0.1, 0.1, 0.8]], np.float32
)
TARGETS = np.array([0, 1, 1, 2])


def test_hand_worked_classification():
    measured = classification(PROBABILITIES, TARGETS, NAMES)
    assert measured["accuracy"] == 0.75
    assert measured["negative_log_likelihood"] == pytest.approx(
        -np.log([0.8, 0.6, 0.4, 0.8]).mean(), abs=1e-6
    )
    assert measured["confusion"] == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]
    dog = measured["by_class"][1]
    assert (dog["precision"], dog["recall"], dog["f1"]) == (1.0, 0.5, pytest.approx(2 / 3))
    assert sum(row["examples"] for row in measured["by_class"]) == measured["examples"] == 4


def test_hand_worked_calibration_error():
    # Two answers at 0.8, both right: 0.2 off; one at 0.6, right: 0.4; one at 0.5, wrong: 0.5.
    assert calibration_error(PROBABILITIES, TARGETS) == pytest.approx(
        (2 * 0.2 + 0.4 + 0.5) / 4, abs=1e-6
    )


def test_a_perfect_and_sure_classifier_is_calibrated():
    assert calibration_error(np.eye(3, dtype=np.float32), np.arange(3)) == 0


def test_a_class_that_never_occurs_has_no_recall():
    measured = classification(PROBABILITIES[:3], TARGETS[:3], NAMES)
    assert measured["by_class"][2]["recall"] is None


@pytest.mark.parametrize(("large", "is_unequal"), [(4, False), (5, True)])
def test_balanced_accuracy_where_classes_differ_in_size_by_more_than_four_times(large, is_unequal):
    targets = np.array([0] * large + [1])
    always_the_first = np.tile(np.array([[0.9, 0.1]], np.float32), (large + 1, 1))
    measured = classification(always_the_first, targets, ("a", "b"))
    assert measured.get("balanced_accuracy") == (0.5 if is_unequal else None)


def test_classes_that_are_never_named_or_have_no_test_example_are_told():
    measured = classification(PROBABILITIES[:2], np.array([0, 0]), NAMES)
    assert blind_spots(measured) == [
        "never predicted by the network: owl",
        "without a test example, so not measured: dog, owl",
    ]
    assert blind_spots(classification(PROBABILITIES, TARGETS, NAMES)) == []
    assert blind_spots(regression(PROBABILITIES[:, :1], PROBABILITIES[:, 1:2])) == []


def test_an_impossible_answer_costs_a_finite_likelihood():
    sure = np.array([[1.0, 0.0]], np.float32)
    assert np.isfinite(classification(sure, np.array([1]), ("a", "b"))["negative_log_likelihood"])


def test_regression():
    targets = np.array([[0.0], [2.0], [4.0]])
    assert regression(targets.astype(np.float32), targets)["r_squared"] == 1
    measured = regression(np.full((3, 1), 2, np.float32), targets)
    assert measured["mean_squared_error"] == pytest.approx(8 / 3)
    assert measured["mean_absolute_error"] == pytest.approx(4 / 3)
    assert measured["r_squared"] == 0


@given(st.integers(2, 6), st.integers(1, 200), st.integers(0, 2**32 - 1))
def test_calibration_error_lies_between_0_and_1(classes, count, seed):
    generator = np.random.default_rng(seed)
    probabilities = generator.dirichlet(np.ones(classes), count).astype(np.float32)
    targets = generator.integers(0, classes, count)
    assert 0 <= calibration_error(probabilities, targets) <= 1


class Second:
    """An artifact that gives its second label for every example."""

    input_shape = (2,)

    def __init__(self, *labels):
        self.labels = labels

    def predict(self, examples):
        return np.eye(len(self.labels), dtype=np.float32)[np.ones(len(examples), int)]


class TestOfAnotherDataSet:
    def test_classes_are_found_by_name(self):
        moons = load("moons")  # upper, lower
        measured = evaluate_artifact(Second("lower", "upper", "else"), moons)
        assert measured["by_class"][1]["recall"] == 1
        assert measured["by_class"][2]["examples"] == 0
        assert measured["accuracy"] == pytest.approx((moons.test.y == 0).mean())

    def test_labels_that_are_numbers_are_in_its_order(self):
        moons = load("moons")
        measured = evaluate_artifact(Second("0", "1"), moons)
        assert measured["accuracy"] == pytest.approx((moons.test.y == 1).mean())

    def test_a_class_that_the_artifact_lacks_is_named(self):
        with pytest.raises(DataError, match="moons has the class 'lower', which the artifact la"):
            evaluate_artifact(Second("upper", "down"), load("moons"))
