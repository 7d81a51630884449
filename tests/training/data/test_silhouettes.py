"""The drawn stand-in: ten classes, always the same, learnable and not trivially so."""

import time

import numpy as np
import pytest

from wardrobe.models import DataFacts
from wardrobe.training.data import describe, fashion_mnist, load
from wardrobe.training.data.dataset import DataSet
from wardrobe.training.data.silhouettes import draw


@pytest.fixture(scope="module")
def silhouettes() -> DataSet:
    begin = time.process_time()
    data = load("silhouettes")
    assert time.process_time() - begin < 10
    return data


def test_it_is_shaped_like_fashion_mnist_but_never_called_so(silhouettes):
    assert describe("silhouettes") == DataFacts((28, 28), 10) == describe("fashion-mnist")
    assert silhouettes.name == "silhouettes"
    assert "fashion" not in silhouettes.source.lower()
    assert silhouettes.class_names == fashion_mnist.CLASS_NAMES
    assert silhouettes.polarity == "dark"
    assert silhouettes.train.x.dtype == np.uint8
    assert len(silhouettes.train) + len(silhouettes.validation) == 12_000
    assert np.bincount(silhouettes.test.y).tolist() == [200] * 10


def test_it_is_the_same_on_every_machine(silhouettes):
    assert silhouettes.hashes == {
        "x": "a337b7c68c1b6136e71509a16ff42168204caeb90ce272954910251a34c529ba",
        "y": "28b4d93938ee1d927097c37bd40e2b5330b909da701ec21228818009462ed537",
    }


def test_every_picture_differs_and_shows_something(silhouettes):
    x = silhouettes.train.x
    assert len(np.unique(x.reshape(len(x), -1), axis=0)) == len(x)
    assert x.reshape(len(x), -1).max(axis=1).min() > 40
    assert (x > 0).mean(axis=(1, 2)).min() > 0.02


def test_another_seed_draws_other_pieces():
    first, again, other = draw(20, 1), draw(20, 1), draw(20, 2)
    np.testing.assert_array_equal(first.x, again.x)
    assert not np.array_equal(first.x, other.x)


def test_a_linear_classifier_learns_it_but_not_to_perfection(silhouettes):
    assert 0.6 < least_squares_accuracy(silhouettes) < 0.9


def least_squares_accuracy(data: DataSet) -> float:
    def features(x: np.ndarray) -> np.ndarray:
        return np.column_stack([x.reshape(len(x), -1) / 255, np.ones(len(x))])

    a, one_hot = features(data.train.x), np.eye(10)[data.train.y]
    weights = np.linalg.solve(a.T @ a + np.eye(785), a.T @ one_hot)
    return float(np.mean((features(data.test.x) @ weights).argmax(axis=1) == data.test.y))
