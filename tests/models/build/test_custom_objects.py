"""The initializer that wardrobe adds to Keras: filters of neighbouring pixels."""

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wardrobe.models.build.custom_objects import LocalNormal


def windows(weights):
    """The rows and columns at which each unit has weights other than 0."""
    width = int(np.sqrt(len(weights)))
    for filter_ in weights.T.reshape(-1, width, width):
        rows, columns = np.nonzero(filter_)
        yield sorted(set(rows)), sorted(set(columns))


def drawn(initializer, *shape):
    return keras.ops.convert_to_numpy(initializer(shape))


@settings(max_examples=20)
@given(width=st.integers(1, 12), smallest=st.integers(1, 9), more=st.integers(0, 9))
def test_a_unit_begins_as_a_filter_of_neighbouring_pixels(width, smallest, more):
    largest = smallest + more
    weights = drawn(LocalNormal(smallest, largest, seed=5), width * width, 40)
    assert weights.shape == (width * width, 40)
    for sides in windows(weights):
        for side in sides:
            assert side == list(range(side[0], side[-1] + 1))
            assert len(side) <= largest
            touches_the_border = side[0] == 0 or side[-1] == width - 1
            assert touches_the_border or len(side) >= smallest


def test_every_size_of_window_and_every_place_occurs():
    found = list(windows(drawn(LocalNormal(3, 9, seed=5), 784, 2_000)))
    assert {max(map(len, sides)) for sides in found} >= set(range(3, 10))
    for rows_or_columns in (0, 1):
        assert set(range(28)) == {place for sides in found for place in sides[rows_or_columns]}


def test_the_variance_is_that_of_he_for_the_pixels_in_the_window():
    weights = drawn(LocalNormal(5, 5, seed=5), 784, 4_000)
    whole = (weights != 0).sum(axis=0) == 25
    assert whole.sum() > 1_000
    sums = (weights[:, whole] ** 2).sum(axis=0)
    assert sums.mean() == pytest.approx(2, rel=0.03)


def test_the_seed_decides():
    first, again, other = (drawn(LocalNormal(seed=seed), 784, 30) for seed in (1, 1, 2))
    assert (first == again).all()
    assert (first != other).any()


def test_without_a_seed_the_run_decides():
    keras.utils.set_random_seed(3)
    first = drawn(LocalNormal(), 784, 30)
    more = drawn(LocalNormal(), 784, 30)
    keras.utils.set_random_seed(3)
    assert (drawn(LocalNormal(), 784, 30) == first).all()
    assert (more != first).any()


def test_inputs_that_are_not_a_square_image_have_filters_too():
    weights = drawn(LocalNormal(3, 9, seed=5), 600, 50)
    pixels = (weights != 0).sum(axis=0)
    assert pixels.max() <= 81
    assert (pixels > 0).mean() > 0.9


def test_a_saved_network_keeps_it(tmp_path):
    network = keras.Sequential(
        [keras.Input((16,)), keras.layers.Dense(4, kernel_initializer=LocalNormal(1, 2, seed=5))]
    )
    network.save(tmp_path / "network.keras")
    again = keras.models.load_model(tmp_path / "network.keras").layers[0].kernel_initializer
    assert again.get_config() == {"smallest": 1, "largest": 2, "seed": 5}


@pytest.mark.parametrize(("smallest", "largest"), [(0, 3), (5, 4), (-1, -1), (2.5, 9), (3, 1e9)])
def test_a_window_without_whole_pixels_is_rejected(smallest, largest):
    with pytest.raises(ValueError, match="give whole numbers"):
        LocalNormal(smallest, largest)


def test_the_weights_of_a_convolution_are_rejected():
    with pytest.raises(ValueError, match="kernel of a Dense layer"):
        LocalNormal()((3, 3, 1, 8))
