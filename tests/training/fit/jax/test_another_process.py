"""The process that writes the SavedModel of a network that was trained on JAX."""

from __future__ import annotations

import keras

from wardrobe.training.export import another_process
from wardrobe.training.export.outputs import Outputs


def test_a_process_that_was_killed_while_it_waited_is_replaced(tmp_path):
    network = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="softmax")])
    with another_process.waiting() as process:
        process.kill()
        process.wait()
        another_process.write(process, network, Outputs("softmax"), tmp_path / "1", [])
    assert (tmp_path / "1" / "saved_model.pb").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_one_that_has_nothing_to_write_ends_with_the_training():
    with another_process.waiting() as process:
        assert process.poll() is None
    assert process.returncode is not None
