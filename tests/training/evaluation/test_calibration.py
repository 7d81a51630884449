"""Temperature and limit, fitted to answers of which it is known how far they can be trusted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardrobe.training.evaluation.calibration import (
    COLDEST,
    Calibration,
    apply_temperature,
    fit_limit,
    fit_temperature,
)
from wardrobe.training.evaluation.metrics import calibration_error, negative_log_likelihood


def softmax(logits):
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)


def drawn(temperature: float, count: int = 100_000, seed: int = 1):
    """Outputs of a network whose logits are `temperature` times what is true, and the classes."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(0, 2, (count, 5))
    true = softmax(logits)
    classes = (true.cumsum(axis=1) < generator.random((count, 1))).sum(axis=1).clip(0, 4)
    return softmax(temperature * logits), classes


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_the_temperature_undoes_what_the_network_is_too_sure_of(temperature):
    probabilities, classes = drawn(temperature)
    assert fit_temperature(probabilities, classes) == pytest.approx(temperature, rel=0.03)
    fitted = Calibration.fit(probabilities, classes)
    assert calibration_error(fitted.apply(probabilities), classes) < 0.01


def test_no_other_temperature_is_better():
    probabilities, classes = drawn(1.7, count=500)
    best = fit_temperature(probabilities, classes)
    loss = negative_log_likelihood(np.asarray(apply_temperature(probabilities, best)), classes)
    for other in (0.97 * best, 1.03 * best):
        others = np.asarray(apply_temperature(probabilities, other))
        assert negative_log_likelihood(others, classes) > loss


def test_answers_that_are_all_right_do_not_become_certain():
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8]], np.float32)
    assert fit_temperature(probabilities, np.array([0, 1])) == pytest.approx(COLDEST)


@given(st.integers(2, 5), st.floats(0.2, 5), st.integers(0, 2**32 - 1))
def test_logits_are_divided_by_the_temperature(classes, temperature, seed):
    logits = np.random.default_rng(seed).normal(0, 3, (20, classes))
    answers = np.asarray(apply_temperature(softmax(logits), temperature))
    assert np.abs(answers - softmax(logits / temperature)).max() < 1e-5
    assert (answers.argmax(axis=1) == logits.argmax(axis=1)).all()


def test_an_impossible_class_stays_impossible():
    answers = np.asarray(apply_temperature(np.array([[1.0, 0.0]], np.float32), 2.0))
    assert answers[0] == pytest.approx([1, 0], abs=1e-6)


def confident(*confidences: float):
    """Outputs for the first of two classes with these probabilities."""
    return np.array([[value, 1 - value] for value in confidences], np.float32)


def test_the_limit_lies_below_the_last_answer_that_keeps_95_percent_right():
    answers = confident(*[0.9] * 19, 0.8, 0.7, 0.6)
    wrong_at_the_end = np.array([0] * 19 + [1, 1, 1])
    assert fit_limit(answers, wrong_at_the_end) == 0.75


def test_where_enough_are_right_nothing_is_uncertain():
    assert fit_limit(confident(0.9, 0.6), np.array([0, 0])) == 0


def test_where_nothing_can_be_trusted_everything_is_uncertain():
    assert fit_limit(confident(0.9, 0.6), np.array([1, 1])) == 1


def test_what_both_do_is_measured():
    answers = confident(*[0.9] * 19, 0.8, 0.7, 0.6)
    effect = Calibration(1.0, 0.75).effect(answers, np.array([0] * 19 + [1, 1, 0]))
    assert effect["coverage"] == pytest.approx(20 / 22)
    assert effect["accuracy_when_certain"] == 0.95
    assert effect["accuracy_when_uncertain"] == 0.5
    assert effect["calibration_error"] == pytest.approx(effect["calibration_error_before"])


def test_an_answer_of_the_unknown_is_uncertain_and_the_limit_is_that_of_the_others():
    known = np.array([[0.9, 0.1, 0.0]] * 18 + [[0.8, 0.2, 0.0]] * 2 + [[0.7, 0.3, 0.0]], np.float32)
    unknown = np.array([[0.0, 0.05, 0.95]] * 30, np.float32)
    answers = np.concatenate([known, unknown])
    targets = np.array([0] * 18 + [1, 0, 1] + [2] * 30)
    fitted = Calibration.fit(answers, targets, right_when_certain=0.92, unknown=2)
    assert fit_limit(fitted.apply(known), targets[:21], 0.92) == fitted.uncertain_below
    effect = fitted.effect(answers, targets)
    assert effect["coverage"] == pytest.approx(20 / 51)
    assert effect["accuracy_when_certain"] == pytest.approx(0.95)
    assert Calibration.fit(unknown, targets[21:], unknown=2).uncertain_below == 1
