"""The lecture's small data sets."""

import numpy as np
import pytest

from wardrobe.training.data import DataError, DataFacts, describe, load
from wardrobe.training.data.lecture_tables import TABLES

PLANE = ["xor", "rings", "moons", "spirals", "checkerboard"]


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_float32_and_always_the_same(name):
    data = load(name)
    assert data.train.x.dtype == np.float32
    assert data.polarity is None
    assert (data.split_hash, data.hashes) == (load(name).split_hash, load(name).hashes)
    assert describe(name) == DataFacts(data.input_shape, data.classes)


@pytest.mark.parametrize("name", PLANE)
def test_two_classes_of_points_in_the_plane(name):
    data = load(name, validation=300)
    assert (data.train.x.shape, data.validation.x.shape, data.test.x.shape) == (
        (700, 2),
        (300, 2),
        (1_000, 2),
    )
    assert data.train.y.dtype == np.int32
    assert data.classes == 2
    assert 0.4 < data.train.y.mean() < 0.6
    assert np.abs(data.train.x).max() < 3


@pytest.mark.parametrize("name", PLANE)
def test_no_line_separates_them(name):
    train = load(name).train
    a = np.column_stack([train.x, np.ones(len(train))])
    weights = np.linalg.lstsq(a, 2 * train.y - 1, rcond=None)[0]
    assert np.mean((a @ weights > 0) == train.y) < 0.93


@pytest.mark.parametrize("name", PLANE)
def test_their_neighbours_tell_the_class(name):
    data = load(name)
    distances = np.linalg.norm(data.test.x[:, None] - data.train.x[None], axis=2)
    assert np.mean(data.train.y[distances.argmin(axis=1)] == data.test.y) > 0.98


def test_the_curve_is_for_regression():
    data = load("curve")
    assert data.classes is None
    assert data.class_names is None
    assert (data.train.x.shape, data.train.y.shape) == ((800, 1), (800, 1))
    assert data.train.y.dtype == np.float32


def test_flu_is_the_whole_table_three_times():
    data = load("flu")
    for part in (data.train, data.validation, data.test):
        assert part.x.shape == (8, 3)
        assert len(np.unique(part.x, axis=0)) == 8
        # rash, fever, cough: −1 + 3 + 3 = 5 does not exceed 5, 3 + 3 = 6 does.
        assert part.x[part.y == 1].tolist() == [[0, 1, 1]]
    with pytest.raises(DataError, match="resplit"):
        load("flu", resplit=1)


def test_the_xor_table_is_four_corners():
    data = load("xor-table")
    assert data.train.x[data.train.y == 1].tolist() == [[0, 1], [1, 0]]
    assert len(data.train) == len(data.test) == 4
