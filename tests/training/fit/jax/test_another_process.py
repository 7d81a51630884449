"""The process that writes the SavedModel of a network that was trained on JAX."""

from __future__ import annotations

import keras

from wardrobe.training.export import saved_model
from wardrobe.training.export.outputs import Outputs


def test_a_process_that_was_killed_while_it_waited_is_replaced(tmp_path):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    with saved_model.writing() as write:
        (process,) = write.args
        process.kill()
        process.wait()
        write(network, Outputs("softmax"), tmp_path / "1", [])
    assert (tmp_path / "1" / "saved_model.pb").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_one_that_has_nothing_to_write_ends_with_the_training():
    with saved_model.writing() as write:
        (process,) = write.args
        assert process.poll() is None
    assert process.returncode is not None
