"""Splits are exact in size, fair to every class, and the same every time."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from wardrobe.training.data.dataset import Collection, DataError, Examples
from wardrobe.training.data.split import split, stratified

labels = arrays(np.int32, st.integers(1, 300), elements=st.integers(0, 6))


def collection(
    y: np.ndarray, test_size: int | None = None, *, regression: bool = False, divisible: bool = True
) -> Collection:
    names = None if regression else tuple("abcdefg")
    return Collection(Examples(np.zeros((len(y), 2)), y), test_size, names, {}, "test", divisible)


@given(labels, st.data(), st.integers(0, 2**32))
def test_a_draw_has_the_size_asked_for_and_of_every_class_its_share(y, data, seed):
    size = data.draw(st.integers(0, len(y)))
    drawn = stratified(y, size, seed)

    assert len(drawn) == size
    assert (np.diff(drawn) > 0).all()
    for class_ in np.unique(y):
        share = size * np.mean(y == class_)
        assert abs(np.sum(y[drawn] == class_) - share) < 1


@given(labels.filter(lambda y: len(y) >= 25), st.integers(0, 2**32) | st.none())
def test_every_example_is_in_exactly_one_part(y, resplit):
    train, validation, test = split(collection(y), None, resplit)
    assert sorted(np.concatenate([train, validation, test])) == list(range(len(y)))
    assert len(test) == len(y) // 5


def test_the_official_test_set_is_the_end_of_the_collection():
    _, _, test = split(collection(np.arange(100) % 7, test_size=30), None, None)
    assert test.tolist() == list(range(70, 100))


@pytest.mark.parametrize(
    ("validation", "size"), [(None, 16), (0, 0), (1, 1), (13, 13), (79, 79), (0.25, 20), (0.5, 40)]
)
def test_validation_is_a_number_of_examples_or_a_share(validation, size):
    train, chosen, _ = split(collection(np.zeros(100, np.int32), 20), validation, None)
    assert (len(chosen), len(train)) == (size, 80 - size)


def test_at_most_5000_are_held_out_by_default():
    _, validation, _ = split(collection(np.zeros(70_000, np.int32), 10_000), None, None)
    assert len(validation) == 5_000


@pytest.mark.parametrize("validation", [-1, 80, 10**9, 0.001, 0.999, 1.0, 1.5, -0.1, float("nan")])
def test_a_validation_part_that_cannot_be_is_refused(validation):
    with pytest.raises(DataError, match="validation: "):
        split(collection(np.zeros(100, np.int32), 20), validation, None)


def test_too_few_examples_to_split_are_refused():
    with pytest.raises(DataError, match="more examples"):
        split(collection(np.zeros(4, np.int32)), None, None)


def test_resplitting_draws_another_test_set_of_the_official_size():
    y = (np.arange(700) % 7).astype(np.int32)
    tests = [split(collection(y, 140), None, seed)[2] for seed in (None, 1, 2, 1)]

    assert [len(test) for test in tests] == [140] * 4
    assert [np.bincount(y[test]).tolist() for test in tests] == [[20] * 7] * 4
    assert tests[1].tolist() == tests[3].tolist() != tests[2].tolist() != tests[0].tolist()


def test_a_negative_seed_is_refused():
    with pytest.raises(DataError, match="resplit: -1"):
        split(collection(np.zeros(100, np.int32), 20), None, -1)


def test_regression_targets_are_one_stratum():
    y = np.linspace(0, 1, 50, dtype=np.float32)[:, None]
    train, validation, test = split(collection(y, 10, regression=True), 8, None)
    assert (len(train), len(validation), len(test)) == (32, 8, 10)


def test_an_indivisible_set_is_used_whole_three_times():
    whole = collection(np.arange(7), divisible=False)
    assert [part.tolist() for part in split(whole, None, None)] == [list(range(7))] * 3
    with pytest.raises(DataError, match="resplit"):
        split(whole, None, 1)
