"""The private names of Keras are still what training takes them for."""

from __future__ import annotations

import sys

import keras
import numpy as np
import pytest

from wardrobe.training.callbacks import checkpoint
from wardrobe.training.fit.keras_private import (
    TracedRate,
    build_metrics,
    drawing_by_philox,
    event_writers,
    learning_rate_schedule,
    profiles_batches,
    save,
)


def test_the_metrics_of_a_compiled_network_are_built():
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    network.compile("sgd", "mse", metrics=["mae"])
    before = len(network.metrics_variables)
    build_metrics(network, (np.zeros((1, 3), np.float32), np.zeros((1, 2), np.float32)))
    assert len(network.metrics_variables) > before
    assert set(network.get_metrics_result()) == {"loss", "mae"}


def test_the_schedule_of_an_optimizer_is_the_one_it_was_given():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    assert learning_rate_schedule(keras.optimizers.SGD(schedule)) is schedule


def test_tensorboard_tells_its_writers_and_whether_it_profiles(tmp_path):
    callback = keras.callbacks.TensorBoard(str(tmp_path), write_graph=False)
    callback.set_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    assert not profiles_batches(callback)
    assert event_writers(callback) == []
    assert callback._train_writer in event_writers(callback)
    callback.on_train_end()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="TensorFlow is loaded anyway")
def test_a_network_is_saved_without_loading_tensorflow(tmp_path, monkeypatch):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with monkeypatch.context() as patch:
        patch.delitem(sys.modules, "tensorflow", raising=False)
        save(network, tmp_path / "small.keras")
        assert "tensorflow" not in sys.modules
    saved = keras.models.load_model(tmp_path / "small.keras")
    assert (saved.get_weights()[0] == network.get_weights()[0]).all()
    assert saved.to_json() == network.to_json()


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="networks train together on JAX only")
def test_dropout_takes_a_rate_that_is_traced():
    value = 0.3
    layer = keras.layers.Dropout(0.5, seed=1)
    layer.rate = TracedRate(keras.ops.convert_to_tensor(value))
    dropped = keras.ops.convert_to_numpy(layer(np.ones((100, 100), np.float32), training=True))
    assert (dropped == 0).mean() == pytest.approx(value, abs=0.02)
    assert dropped.max() == pytest.approx(1 / (1 - value))


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="how TensorFlow draws")
@pytest.mark.parametrize(
    "draw",
    [
        lambda seed: keras.random.dropout(np.ones((2, 3), np.float32), 0.5, seed=seed),
        lambda seed: keras.random.normal((2, 3), seed=seed),
        lambda seed: keras.random.truncated_normal((2, 3), seed=seed),
        lambda seed: keras.random.uniform((2, 3), seed=seed),
    ],
    ids=["dropout", "normal", "truncated normal", "uniform"],
)
def test_the_algorithm_of_random_numbers_is_named_and_the_one_tensorflow_takes(draw):
    import tensorflow as tf

    function = tf.function(lambda: draw(7))
    with drawing_by_philox():
        graph = function.get_concrete_function().graph
    operations = {operation.type for operation in graph.get_operations()}
    assert "StatelessRandomGetKeyCounter" not in operations  # where TensorFlow chooses
    np.testing.assert_array_equal(function(), draw(7))


NEEDS = {
    keras.callbacks.EarlyStopping: (),
    keras.callbacks.ReduceLROnPlateau: (),
    keras.callbacks.ModelCheckpoint: ("best.keras",),
    keras.callbacks.SwapEMAWeights: (),
    keras.callbacks.TensorBoard: (),
}


@pytest.mark.parametrize("kind", NEEDS)
def test_callbacks_remember_what_a_checkpoint_saves(kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where TensorBoard opens its files
    callback = kind(*NEEDS[kind])
    callback.set_model(keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)]))
    if kind is keras.callbacks.EarlyStopping:
        callback.on_train_begin()
    assert all(hasattr(callback, name) for name in checkpoint._MEMORY[kind])
