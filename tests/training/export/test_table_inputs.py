"""The layers of a table's artifact do to raw columns what was done to the training rows."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from wardrobe.training.data.columns import Encoding, RawColumn, Target, as_written
from wardrobe.training.export.outputs import Outputs
from wardrobe.training.export.saved_model import write
from wardrobe.training.export.table_inputs import TableInputs

numbers = st.floats(width=32, allow_infinity=False) | st.sampled_from([0.0, 1.0, 1e-30, 3e38])
words = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
CLASS = Target("y", "category")


@st.composite
def tables(draw):
    """Columns and their values, float32 [N, columns]: some training rows, then others."""
    rows = draw(st.integers(2, 12))
    columns, values = [], []
    for index in range(draw(st.integers(1, 4))):
        if draw(st.booleans()):
            columns.append(RawColumn(f"number {index}"))
            values.append(draw(st.lists(numbers, min_size=rows, max_size=rows)))
        else:
            categories = tuple(draw(st.lists(words, min_size=1, max_size=6, unique=True)))
            columns.append(RawColumn(f"word {index}", categories))
            place = st.integers(0, len(categories) - 1)
            values.append(draw(st.lists(place, min_size=rows, max_size=rows)))
    return tuple(columns), np.array(values, np.float32).T, draw(st.integers(1, rows))


@settings(max_examples=60)
@given(tables())
def test_they_give_what_the_network_was_trained_on(table):
    raw, x, training = table
    with np.errstate(over="ignore", invalid="ignore"):
        encoding = Encoding.fit(raw, CLASS, x[:training], np.zeros(training))
        expected = encoding.encode(raw, x)
    rows = {
        name: tf.constant([value.encode() for value in values])
        if values.dtype == object
        else tf.constant(values)
        for name, values in as_written(raw, x).items()
    }
    encoded = TableInputs(encoding.columns)(rows)
    assert expected.shape == (len(x), sum(column.width for column in encoding.columns))
    np.testing.assert_allclose(encoded, expected, rtol=1e-6, atol=1e-37)  # denormal numbers


NAMES = ("age", "Age", "hours per week", "Größe (m²)", "self", "1st", "a/b", "inputs", "名前")


@pytest.mark.parametrize("words", [False, True])
def test_a_column_may_have_any_name(tmp_path, words):
    raw = [RawColumn(name, ("x", "y") if words else None) for name in NAMES]
    x = np.arange(2 * len(NAMES), dtype=np.float32).reshape(2, -1) % 2
    encoding = Encoding.fit(raw, CLASS, x, np.zeros(2))
    inputs = sum(column.width for column in encoding.columns)
    network = keras.Sequential([keras.Input((inputs,)), keras.layers.Dense(1)])
    write(network, Outputs("linear"), tmp_path / "1", encoding.columns)

    from wardrobe.serving.inference.graph import Network

    loaded = Network(tmp_path / "1")
    assert set(loaded.signatures["serving_default"].inputs) == set(NAMES)
    rows = {
        name: np.array([value.encode() for value in values], object) if words else values
        for name, values in as_written(raw, x).items()
    }
    served = loaded.call("serving_default", rows)["values"]
    np.testing.assert_allclose(served, network(encoding.encode(raw, x)), rtol=1e-5)


def test_weights_are_stored_once(tmp_path):
    encoding = Encoding.fit([RawColumn("a", ("x", "y"))], CLASS, np.eye(2, 1, dtype="f4"), None)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(50_000)])
    write(network, Outputs("linear"), tmp_path / "1", encoding.columns)
    size = sum(file.stat().st_size for file in (tmp_path / "1").rglob("*") if file.is_file())
    assert size < 1.2 * 4 * network.count_params()
