"""NumPy archives of pictures: those of Keras and MedMNIST are read, and no code in one is run."""

import pickle

import numpy as np
import pytest

from wardrobe.models import DataFacts
from wardrobe.training.data import DataError, describe, load


def arrays(count: int, shape=(9, 7), first: int = 0):
    random = np.random.default_rng(count)
    return random.integers(0, 256, (count, *shape)).astype(np.uint8), np.arange(count) % 5 + first


@pytest.fixture
def archive(tmp_path):
    """Writes an archive as Keras does; any of its arrays can be replaced, or left out with None."""

    def write(**replaced):
        x_train, y_train = arrays(60)
        x_test, y_test = arrays(20)
        keys = {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}
        path = tmp_path / "mnist.npz"
        kept = {key: array for key, array in (keys | replaced).items() if array is not None}
        np.savez_compressed(path, **kept)
        return path

    return write


def test_it_is_read_as_keras_writes_it(archive):
    path = archive()
    for name in (path, path.parent):
        data = load(str(name), validation=12)
        assert (len(data.train), len(data.validation), len(data.test)) == (48, 12, 20)
        np.testing.assert_array_equal(data.test.x, arrays(20)[0])
        assert data.class_names == ("0", "1", "2", "3", "4")
        assert describe(str(name)) == DataFacts((9, 7), 5)


def test_it_is_read_as_medmnist_writes_it(tmp_path):
    parts = {"train": 60, "val": 15, "test": 20}
    keys = {}
    for part, count in parts.items():
        x, y = arrays(count, (9, 7, 3))
        keys |= {f"{part}_images": x, f"{part}_labels": y[:, None]}
    np.savez(tmp_path / "blood.npz", **keys)
    data = load(str(tmp_path / "blood.npz"))
    assert (len(data.train), len(data.validation), len(data.test)) == (60, 15, 20)
    assert data.input_shape == (9, 7, 3)
    np.testing.assert_array_equal(data.validation.x, keys["val_images"])


def test_labels_may_be_names_and_may_begin_anywhere(archive):
    names = np.array(["ape", "bee", "cat"])
    path = archive(y_train=names[np.arange(60) % 3], y_test=names[np.arange(20) % 3])
    assert load(str(path)).class_names == ("ape", "bee", "cat")


def test_labels_may_be_whole_floats(archive):
    path = archive(y_train=arrays(60)[1] * 1.0, y_test=arrays(20)[1] * 1.0)
    data = load(str(path))
    assert data.class_names == ("0", "1", "2", "3", "4")
    np.testing.assert_array_equal(data.test.y, arrays(20)[1])


def test_keys_may_have_capitals(archive):
    path = archive(x_train=None, y_train=None, X_train=arrays(60)[0], Y_train=arrays(60)[1])
    assert load(str(path)).classes == 5


def test_whole_numbers_of_another_type_are_pixels(archive):
    x, _ = arrays(20)
    data = load(str(archive(x_test=x.astype(np.float32)[..., None])))
    np.testing.assert_array_equal(data.test.x, x)


class Bomb:
    """What must never be called."""

    def __reduce__(self):
        return (pytest.fail, ("unpickled",))


@pytest.mark.parametrize(
    ("replaced", "complaint"),
    [
        ({"x_train": arrays(60)[0] / 255}, "x_train holds float64 from 0.0 to .*from 0 to 255"),
        ({"x_train": arrays(60)[0].reshape(60, 63)}, r"the shape \[60, 63\]; pictures are"),
        ({"x_test": arrays(20, (7, 9))[0]}, "differ in size"),
        ({"y_train": np.arange(59) % 5}, "60 pictures, but y_train 59 labels"),
        ({"y_train": np.eye(5)[np.arange(60) % 5]}, "labels are whole.*save .argmax"),
        ({"x_train": arrays(60)[0] * np.float64("nan")}, "x_train holds float64 with NaN"),
        ({"y_train": np.array(["ape", "bee"] * 30, object)}, r"y_train holds Python.*astype\(str"),
        ({"x_train": None}, "no training arrays, but y_train, x_test, y_test; there must"),
        ({"x_train": np.array([Bomb()] * 60, object)}, "x_train holds Python objects"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(archive, replaced, complaint):
    with pytest.raises(DataError, match=complaint):
        load(str(archive(**replaced)))


@pytest.mark.parametrize(
    "content", [b"", b"PK\x03\x04cut", b"<html>", pickle.dumps([1]), b"\x93NUMPY\x01\x00"]
)
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "mnist.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"mnist\.npz"):
        load(str(tmp_path / "mnist.npz"))


def test_a_truncated_archive_is_refused(archive):
    path = archive()
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"mnist\.npz"):
        load(str(path))
