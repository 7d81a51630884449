"""The signature `explain`: how much each pixel contributed to the likeliest class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from wardrobe.models.build.custom_objects import step
from wardrobe.training.export import saved_model
from wardrobe.training.export.attribution import integrated_gradients
from wardrobe.training.export.outputs import Outputs


def explain(artifact: Path, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities and attribution, from the SavedModel loaded by TensorFlow alone."""
    signature = tf.saved_model.load(str(artifact)).signatures["explain"]
    answer = signature(images=tf.constant(images))
    return answer["probabilities"].numpy(), answer["evidence"].numpy()


def ten_pixels(kernel: np.ndarray, activation: str | Callable[..., object]) -> keras.Sequential:
    """A network of one layer for pictures `[1, 10]`, 0–255."""
    dense = keras.layers.Dense(kernel.shape[1], activation=activation, use_bias=False)
    scaling = keras.layers.Rescaling(1 / 255)
    network = keras.Sequential([keras.Input((1, 10)), scaling, keras.layers.Flatten(), dense])
    dense.set_weights([kernel])
    return network


@pytest.fixture
def kernel() -> np.ndarray:
    return np.random.default_rng(3).normal(0, 2, (10, 4)).astype(np.float32)


@pytest.mark.parametrize("empty", [0, 255])
def test_a_linear_network_is_explained_by_its_weights(kernel, empty):
    """The log-odds of two classes are linear, so each pixel's contribution is known exactly."""
    images = np.random.default_rng(4).uniform(0, 255, (5, 1, 10)).astype(np.float32)
    weights = kernel[:, 0] - kernel[:, 1]

    def odds(pictures):
        """Not probabilities, but their logarithm is linear."""
        flat = tf.reshape(pictures, (-1, 10)) / 255
        return tf.exp(tf.linalg.matvec(flat, weights))[:, tf.newaxis]

    attributed = integrated_gradients(tf.constant(images), float(empty), odds).numpy()
    np.testing.assert_allclose(attributed, (images - empty) / 255 * weights, rtol=1e-4, atol=1e-5)


def test_attributions_add_up_to_the_change_from_an_empty_picture(trained, few_silhouettes):
    images = few_silhouettes.test.x[:200].astype("float32")
    probabilities, attributed = explain(trained.artifact, images)
    empty, _ = explain(trained.artifact, np.zeros((1, 28, 28), "float32"))
    likeliest = probabilities.argmax(axis=1)
    changed = np.log(probabilities.max(axis=1)) - np.log(empty[0, likeliest])
    off = np.abs(attributed.sum(axis=(1, 2)) - changed)
    assert off.mean() < 0.03 * np.abs(changed).mean()
    assert off.max() < 0.2 * np.abs(changed).mean()


def test_pixels_as_in_an_empty_picture_contribute_nothing(trained, few_silhouettes):
    images = few_silhouettes.test.x[:50].astype("float32")
    _, attributed = explain(trained.artifact, images)
    assert (attributed[images == 0] == 0).all()
    assert np.abs(attributed[images > 0]).mean() > 0.001


def test_removing_the_pixels_with_the_largest_attribution_matters_most(trained, few_silhouettes):
    """The class becomes less likely than after removing 50 random pixels of the garment."""
    images = few_silhouettes.test.x[:200].astype("float32").reshape(200, -1)
    probabilities, attributed = explain(trained.artifact, images.reshape(-1, 28, 28))
    likeliest = probabilities.argmax(axis=1)
    chance = np.random.default_rng(1).random(images.shape)

    def without_the_first(importance) -> float:
        darkened = images.copy()
        first = importance.argsort(axis=1)[:, -50:]
        np.put_along_axis(darkened, first, 0, axis=1)
        left, _ = explain(trained.artifact, darkened.reshape(-1, 28, 28))
        return float(np.log(left[np.arange(200), likeliest]).mean())

    attributed = attributed.reshape(200, -1)
    assert without_the_first(attributed) < without_the_first(chance * (images > 0)) - 0.5


def test_both_signatures_give_the_same_probabilities(trained, few_silhouettes):
    images = few_silhouettes.test.x[:20].astype("float32")
    probabilities, attributed = explain(trained.artifact, images)
    assert (attributed.shape, attributed.dtype) == ((20, 28, 28), np.float32)
    served = tf.saved_model.load(str(trained.artifact)).signatures["serving_default"]
    np.testing.assert_allclose(probabilities, served(images=tf.constant(images))["probabilities"])


def test_a_sigmoid_head_is_explained_for_the_predicted_class(tmp_path, kernel):
    network = ten_pixels(kernel[:, :1], "sigmoid")
    saved_model.write(network, Outputs("sigmoid"), tmp_path / "1")
    images = np.zeros((2, 1, 10), np.float32)
    images[0, 0, kernel[:, 0] > 0] = 255
    images[1, 0, kernel[:, 0] < 0] = 255
    probabilities, attributed = explain(tmp_path / "1", images)
    assert probabilities.argmax(axis=1).tolist() == [1, 0]
    assert (attributed >= 0).all()


@pytest.mark.parametrize(("head", "explained"), [("softmax", True), ("step", False)])
def test_only_heads_with_gradients_are_explained(tmp_path, kernel, head, explained):
    network = ten_pixels(kernel, "softmax") if explained else ten_pixels(kernel[:, :1], step)
    saved_model.write(network, Outputs(head), tmp_path / "1")
    assert ("explain" in tf.saved_model.load(str(tmp_path / "1")).signatures) is explained
