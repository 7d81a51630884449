"""Classes are weighted as Keras weights them, on either backend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.training.conftest import a_record, declared
from wardrobe.models import DataFacts, DeclarationError
from wardrobe.training.fit.class_weights import class_weights
from wardrobe.training.fit.fit import Fit, arrays

# One batch holds all examples, so that Keras' `train_on_batch` makes the same step.
TEXT = """\
name: weighted
data: silhouettes
model: {layers: [{Dense: {units: 8, activation: relu}}]}
training: {epochs: 1, batch_size: 1000, validation: 0}
"""


def fit_of(data, folder, *overrides) -> Fit:
    facts = DataFacts(data.input_shape, data.classes)
    return Fit(declared(folder, facts, TEXT, *overrides)[0], data, folder)


@pytest.fixture
def unequal(few_silhouettes):
    """Only every tenth example of the first class, and none of the last."""
    train = few_silhouettes.train
    kept = (train.y != 9) & ((train.y != 0) | (np.arange(len(train)) % 10 == 0))
    validation = few_silhouettes.validation[np.arange(0)]
    return replace(few_silhouettes, train=train[kept], validation=validation)


@pytest.mark.parametrize("weight", ["balanced", "{Bag: 3, Coat: 0.5}"])
@pytest.mark.parametrize("loss", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_a_step_is_that_of_keras_with_the_same_class_weights(unequal, tmp_path, weight, loss):
    overrides = (f"training.class_weight={weight}", f"loss={loss}")
    by_wardrobe, by_keras = (fit_of(unequal, tmp_path, *overrides) for _ in range(2))
    weights = class_weights(by_keras.declaration, unequal)
    by_keras.network.train_on_batch(
        *arrays(by_keras.declaration, unequal.train),
        class_weight=dict(enumerate(weights.values())),
    )
    trained = by_wardrobe.run().network
    for mine, other in zip(trained.get_weights(), by_keras.network.get_weights(), strict=True):
        assert np.allclose(mine, other, atol=1e-5)


def test_balanced_classes_count_the_same_and_an_example_1_on_average(unequal, tmp_path):
    declaration = fit_of(unequal, tmp_path, "training.class_weight=balanced").declaration
    weights = np.array([*class_weights(declaration, unequal).values()])
    counts = np.bincount(unequal.train.y, minlength=10)
    in_all = (weights * counts)[:9]
    assert np.allclose(in_all, in_all[0])
    assert in_all.sum() == pytest.approx(len(unequal.train))
    assert a_record(declaration, unequal).class_weights["Bag"] == pytest.approx(weights[8])


def test_a_class_that_the_data_lack_is_told_with_its_line(few_silhouettes, tmp_path):
    with pytest.raises(DeclarationError, match="no class 'Coatt'; did you mean 'Coat'"):
        fit_of(few_silhouettes, tmp_path, "training.class_weight={Coatt: 2}")


def test_augmented_copies_have_the_weights_of_their_originals(few_silhouettes, tmp_path):
    flip = "augmentation={copies: 3, layers: [{RandomFlip: {mode: horizontal}}]}"
    fit = fit_of(few_silhouettes, tmp_path, "training.class_weight={Bag: 5}", flip)
    x, y, weights = fit.training_arrays()
    assert len(x) == len(y) == len(weights)
    assert np.array_equal(weights, np.where(y == 8, 5, 1))
