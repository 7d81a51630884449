"""Pictures as rows of a table: however label and pixels are arranged, the pictures are the same."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wardrobe.training.data import DataError, load, picture_tables

SIDE = 5
WORDS = ("ape", "bee", "cat", "dog")


def pictures(count: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Pictures uint8 [N, 5, 5] whose corners are black, and classes 0 to 3."""
    x = np.random.default_rng(6).integers(0, 256, (count, SIDE, SIDE)).astype(np.uint8)
    x[:, 0, 0] = x[:, -1, -1] = 0
    return x, np.arange(count) % 4


def table(x, labels, header="label,pixel0", label_first=True, separator=","):
    """The text of a table: a header in the style of its beginning, and a row for each picture."""
    names = {
        "label,pixel0": [f"pixel{n}" for n in range(SIDE**2)],
        "label,1x1": [f"{r}x{c}" for r in range(1, SIDE + 1) for c in range(1, SIDE + 1)],
        "label,0": [str(n) for n in range(SIDE**2)],
        "": [],
    }[header]
    lines = [["label", *names] if label_first else [*names, "label"]] if names else []
    for picture, label in zip(x.reshape(len(x), -1).tolist(), labels, strict=True):
        lines.append([label, *picture] if label_first else [*picture, label])
    return "".join(separator.join(map(str, line)) + "\n" for line in lines)


@pytest.mark.parametrize("header", ["label,pixel0", "label,1x1", "label,0", ""])
@pytest.mark.parametrize("label_first", [True, False])
@pytest.mark.parametrize("separator", [",", ";"])
def test_a_file_may_be_arranged_in_many_ways(tmp_path, header, label_first, separator):
    x, y = pictures()
    path = tmp_path / "digits.csv"
    path.write_text(table(x, y, header, label_first, separator))
    collection = picture_tables.collect(path)
    np.testing.assert_array_equal(collection.examples.x, x)
    assert collection.examples.y.tolist() == y.tolist()
    assert collection.class_names == ("0", "1", "2", "3")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(st.data())
def test_the_columns_may_come_in_any_order(tmp_path, data):
    x, y = pictures(8)
    names = ["label", *(f"pixel{n}" for n in range(SIDE**2))]
    values = np.column_stack([y, x.reshape(8, -1)])
    order = data.draw(st.permutations(range(len(names))))
    path = tmp_path / "any.csv"
    rows = [[names[i] for i in order], *values[:, order].tolist()]
    path.write_text("\n".join(",".join(map(str, row)) for row in rows))
    np.testing.assert_array_equal(picture_tables.collect(path).examples.x, x)


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("fashion-mnist_train.csv", "fashion-mnist_test.csv"),
        ("emnist-letters-train.csv.gz", "emnist-letters-test.csv"),
        ("train.csv", "test.csv"),
    ],
)
def test_a_folder_holds_a_training_and_a_test_file(tmp_path, train, test):
    x, y = pictures(50)
    for name, part in ((train, slice(0, 40)), (test, slice(40, 50))):
        text = table(x[part], [WORDS[n] for n in y[part]]).encode()
        (tmp_path / name).write_bytes(gzip.compress(text) if name.endswith("gz") else text)
    data = load(str(tmp_path), validation=8)
    assert (len(data.train), len(data.validation), len(data.test)) == (32, 8, 10)
    assert data.class_names == WORDS
    np.testing.assert_array_equal(data.test.x, x[40:])


def test_a_test_file_without_labels_is_left_out(tmp_path):
    x, y = pictures()
    (tmp_path / "train.csv").write_text(table(x, y))
    lines = table(x, y).splitlines()
    without = "\n".join(line.split(",", 1)[1] for line in lines)
    (tmp_path / "test.csv").write_text(without)
    collection = picture_tables.collect(tmp_path)
    assert (len(collection.examples), collection.test_size) == (40, None)
    assert collection.notes == ("test.csv, which has no labels",)


def test_colours_are_the_last_axis(tmp_path):
    x = np.random.default_rng(1).integers(0, 256, (6, 4, 4, 3))
    header = ",".join(["label", *(f"pixel{n}" for n in range(48))])
    rows = [f"{n % 2}," + ",".join(map(str, each.ravel())) for n, each in enumerate(x)]
    (tmp_path / "rgb.csv").write_text("\n".join([header, *rows]))
    assert load(str(tmp_path / "rgb.csv"), validation=1).input_shape == (4, 4, 3)
    np.testing.assert_array_equal(picture_tables.collect(tmp_path / "rgb.csv").examples.x, x)


def test_a_declared_size_says_how_wide_a_picture_is(tmp_path):
    header = ",".join(["label", *(f"pixel{n}" for n in range(18))])
    rows = [f"{n % 2}," + ",".join(["7"] * 18) for n in range(6)]
    path = tmp_path / "wide.csv"
    path.write_text("\n".join([header, *rows]))
    with pytest.raises(DataError, match=r"18 pixels do not form a square; declare the height and"):
        load(str(path))
    assert load(str(path), validation=1, size=[3, 6]).input_shape == (3, 6)


@pytest.mark.parametrize("cell", ["256", "-1", "0.5", "x", "", "nan"])
def test_a_cell_that_is_no_pixel_is_named(tmp_path, cell):
    x, y = pictures()
    lines = table(x, y).splitlines()
    cells = lines[7].split(",")
    cells[3] = cell
    lines[7] = ",".join(cells)
    path = tmp_path / "digits.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(DataError) as error:
        load(str(path))
    assert str(error.value).splitlines() == [
        f"{path}:8: column 'pixel2' holds {cell!r}, which is not a pixel",
        "Pixels are whole numbers from 0 to 255",
    ]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace("label", "kind,label", 1).replace("\n", "\n7,"), "which of"),
        (lambda text: text.replace("\n2,", "\n,", 1), r":3: the label is missing"),
        (lambda text: text.replace("label", "pixel25", 1), "has no column of labels"),
        (lambda text: text.split("\n", 1)[0] + "\n", "a header but no rows"),
    ],
)
def test_labels_that_cannot_be_told_are_refused(tmp_path, change, complaint):
    text = table(*pictures())
    (tmp_path / "digits.csv").write_text(change(text).rstrip("7,") + "\n")
    with pytest.raises(DataError, match=complaint):
        picture_tables.collect(tmp_path / "digits.csv")


def test_the_declared_target_is_the_label(tmp_path):
    x, y = pictures()
    (tmp_path / "digits.csv").write_text(table(x, y).replace("label", "digit", 1))
    assert load(str(tmp_path / "digits.csv"), target="digit").classes == 4


def test_without_a_header_first_and_last_must_differ(tmp_path):
    x, y = pictures()
    x[:, -1, -1] = y
    (tmp_path / "digits.csv").write_text(table(x, y, ""))
    with pytest.raises(DataError, match="no header, and both its first and its last column"):
        load(str(tmp_path / "digits.csv"))


class TestParquet:
    pa = pytest.importorskip("pyarrow")

    def write(self, path: Path, x, labels) -> Path:
        import pyarrow.parquet

        pixels = {f"pixel{n}": column for n, column in enumerate(x.reshape(len(x), -1).T)}
        pyarrow.parquet.write_table(self.pa.table({"label": labels, **pixels}), path)
        return path

    @pytest.mark.parametrize("named", [False, True])
    def test_holds_the_same(self, tmp_path, named):
        x, y = pictures()
        path = self.write(tmp_path / "a.parquet", x, [WORDS[n] for n in y] if named else y)
        collection = picture_tables.collect(path)
        np.testing.assert_array_equal(collection.examples.x, x)
        assert collection.class_names == (WORDS if named else ("0", "1", "2", "3"))

    def test_of_several_files_is_one_set(self, tmp_path):
        x, y = pictures(50)
        for n in range(2):
            part = slice(20 * n, 20 * n + 20)
            self.write(tmp_path / f"train-0000{n}-of-00002.parquet", x[part], y[part])
        self.write(tmp_path / "test-00000-of-00001.parquet", x[40:], y[40:])
        data = load(str(tmp_path), validation=4)
        assert (len(data.train), len(data.test)) == (36, 10)

    def test_with_a_value_that_is_no_pixel_is_refused(self, tmp_path):
        x, y = pictures()
        wrong = x.astype(int)
        wrong[2, 0, 1] = 300
        path = self.write(tmp_path / "a.parquet", wrong, y)
        with pytest.raises(DataError, match=r":3: column 'pixel1' holds .*300.*not a pixel"):
            picture_tables.collect(path)
