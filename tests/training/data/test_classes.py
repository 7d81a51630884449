"""`data.classes` renames, joins and leaves out classes of any data set."""

import numpy as np
import pytest

from wardrobe.models import DataFacts
from wardrobe.models.schema.declaration import Data
from wardrobe.models.schema.errors import DeclarationError
from wardrobe.training.data import describe, load
from wardrobe.training.data.dataset import DataError

CLASSES = {"shoes": ["Sandal", "Sneaker", "Ankle boot"], "trousers": "Trouser"}


def test_classes_of_a_built_in_set_are_joined():
    data = load("silhouettes", classes=CLASSES, validation=0.1)
    assert data.class_names == ("shoes", "trousers")
    assert np.bincount(data.test.y).tolist() == [600, 200]
    assert len(data.train) + len(data.validation) == 4 * 1200
    assert describe(Data(name="silhouettes", classes=CLASSES)) == DataFacts((28, 28), 2)


def test_numbers_name_the_classes_of_mnist_files(write_idx_folder):
    data = load(str(write_idx_folder()), classes={"low": [0, 1, 2], "high": [3, 4]})
    assert data.class_names == ("high", "low")
    assert np.bincount(data.test.y).tolist() == [8, 12]


def test_a_list_says_which_to_keep(picture_folder):
    assert load(str(picture_folder), classes=["cup", "bowl"]).class_names == ("bowl", "cup")
    with pytest.raises(DeclarationError, match=r"data\.classes: must be a list of classes, as \["):
        load(str(picture_folder), classes="cup")


def test_a_regression_has_no_classes():
    with pytest.raises(DataError, match="has no classes; leave it out"):
        load("curve", classes={"a": ["b"]})


def test_no_class_at_all_is_refused(picture_folder):
    for name in (str(picture_folder), "silhouettes"):
        with pytest.raises(DataError, match=r"data\.classes: names no class; leave it out"):
            load(name, classes={})
