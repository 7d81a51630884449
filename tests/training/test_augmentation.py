"""Disturbed copies of the training pictures."""

import numpy as np

from tests.training.conftest import declared
from wardrobe.models import DataFacts
from wardrobe.models.build import build
from wardrobe.training.fit.augmentation import copies
from wardrobe.training.fit.samplers import Order

FLIPPED = """\
name: flipped
data: silhouettes
model: {layers: []}
augmentation: {copies: 3, layers: [{RandomFlip: {mode: horizontal}}]}
"""


def flipped(tmp_path, pictures, *overrides):
    facts = DataFacts(pictures.shape[1:], 10)
    declaration, _ = declared(tmp_path, facts, FLIPPED, *overrides)
    return copies(build(declaration).augmentation, 3, pictures)


def test_each_copy_is_the_picture_disturbed_as_declared(few_silhouettes, tmp_path):
    pictures = few_silhouettes.train.x[:200]
    made = flipped(tmp_path, pictures)
    assert made.dtype == np.uint8
    assert made.shape == (600, 28, 28)
    mirrored = pictures[:, :, ::-1]
    for copy in made.reshape(3, 200, 28, 28):
        is_same = (copy == pictures).all(axis=(1, 2))
        is_mirrored = (copy == mirrored).all(axis=(1, 2))
        assert (is_same | is_mirrored).all()
        assert is_mirrored.sum() > 50 < is_same.sum()
    assert (made[:200] != made[200:400]).any()


def test_the_copies_are_the_same_for_every_run(few_silhouettes, tmp_path):
    pictures = few_silhouettes.train.x[:50]
    first = flipped(tmp_path, pictures, "seed=1")
    assert (first == flipped(tmp_path, pictures, "seed=2")).all()


def test_without_augmentation_there_are_the_pictures(few_silhouettes, tmp_path):
    pictures = few_silhouettes.train.x
    assert flipped(tmp_path, pictures, "augmentation=null") is pictures


def test_an_epoch_goes_through_one_copy():
    order = Order(5, seed=1, copies=3)
    for epoch in range(7):
        order.on_epoch_begin(epoch)
        first = epoch % 3 * 5
        assert sorted(order.indices) == list(range(first, first + 5))
        assert order.indices.dtype == np.int32
