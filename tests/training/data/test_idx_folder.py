"""A folder of four MNIST-format files is a data set, whatever the number of classes."""

import gzip
import json

import numpy as np
import pytest

from wardrobe.models import DataFacts
from wardrobe.training.data import idx, load
from wardrobe.training.data.dataset import DataError, file_hash


@pytest.mark.parametrize("classes", [2, 5, 13])
@pytest.mark.parametrize("compressed", [True, False])
def test_it_is_read_with_any_number_of_classes(write_idx_folder, classes, compressed):
    folder = write_idx_folder(classes=classes, compressed=compressed)
    data = load(str(folder), validation=12)

    assert (len(data.train), len(data.validation), len(data.test)) == (48, 12, 20)
    assert (data.train.x.dtype.name, data.train.y.dtype.name) == ("uint8", "int32")
    assert data.input_shape == (9, 7)
    assert data.class_names == tuple(str(n) for n in range(classes))
    assert data.test.y.tolist() == [i % classes for i in range(20)]
    assert data.hashes == {file.name: file_hash(file) for file in folder.iterdir()}
    assert idx.describe(folder) == DataFacts((9, 7), classes)


def test_describing_reads_no_pixel(write_idx_folder, idx_bytes):
    only_a_header = idx_bytes(np.zeros((60, 9, 7)))[:16]
    folder = write_idx_folder(train_images=only_a_header)
    assert idx.describe(folder) == DataFacts((9, 7), 5)


def test_the_compressed_file_is_read_where_both_are_there(write_idx_folder):
    folder = write_idx_folder()
    (folder / idx.TRAIN_LABELS).write_bytes(b"something else")
    assert len(load(str(folder)).class_names or ()) == 5


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("labels.txt", "ape\nbee\ncat\ndog\neel\n"),
        ("labels.json", json.dumps(["ape", "bee", "cat", "dog", "eel"])),
    ],
)
def test_classes_are_named_by_a_file(write_idx_folder, file, content):
    folder = write_idx_folder()
    (folder / file).write_text(content)
    assert load(str(folder)).class_names == ("ape", "bee", "cat", "dog", "eel")


@pytest.mark.parametrize(
    ("file", "content", "complaint"),
    [
        ("labels.txt", b"a\nb\nc\nd\n", "a label is 4, but with 4 classes"),
        ("labels.txt", b"a\n\nc\nd\ne\n", "none of them empty"),
        ("labels.txt", b"a\na\nc\nd\ne\n", "names a class twice"),
        ("labels.txt", b"\xff\xfe\xff", "cannot be read"),
        ("labels.json", b"[1, 2, 3, 4, 5]", "one class name for each label"),
        ("labels.json", b'{"a": 1}', "one class name for each label"),
        ("labels.json", b"[", "cannot be read"),
        ("labels.json", b"[" * 100_000, "cannot be read"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(write_idx_folder, file, content, complaint):
    folder = write_idx_folder()
    (folder / file).write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        load(str(folder))


@pytest.mark.parametrize(
    ("role", "array", "complaint"),
    [
        ("train_labels", np.arange(60) % 5 * 2, "a label is 8, .* renumber"),
        ("train_labels", np.arange(60) % 5 * 50, "a label is 200, .* renumber"),
        ("train_labels", np.arange(59) % 5, "60 train images but 59 labels"),
        ("test_labels", np.arange(21) % 5, "20 t10k images but 21 labels"),
        ("test_images", np.ones((20, 7, 9)), "training images are 7×9 .* test images 9×7"),
        ("train_images", np.ones((60, 63)), "train-images.*3-dimensional"),
        ("train_images", np.ones((60, 0, 7)), "train-images.*is empty"),
    ],
)
def test_files_that_do_not_match_are_refused(write_idx_folder, idx_bytes, role, array, complaint):
    with pytest.raises(DataError, match=complaint):
        load(str(write_idx_folder(**{role: idx_bytes(array)})))


@pytest.mark.parametrize("name", idx.FILES)
def test_a_missing_file_is_named(write_idx_folder, name):
    folder = write_idx_folder()
    (folder / f"{name}.gz").unlink()
    with pytest.raises(DataError, match=f"{name}.gz is missing"):
        load(str(folder))


def test_a_damaged_file_is_named(write_idx_folder):
    folder = write_idx_folder()
    damaged = folder / f"{idx.TEST_IMAGES}.gz"
    damaged.write_bytes(gzip.compress(b"not the images"))
    with pytest.raises(DataError, match=damaged.name):
        load(str(folder))
