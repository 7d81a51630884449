"""Data that do not fit into memory are refused before they are read, with what would help."""

import numpy as np
import pytest

from wardrobe.training.data import DataError, load, memory


@pytest.fixture(autouse=True)
def little_memory(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 500)


def refused(name, match):
    with pytest.raises(DataError, match=rf"need about 0\.0 GB of memory.* are free; {match}"):
        load(str(name))


def test_files_in_mnist_format(write_idx_folder):
    refused(write_idx_folder(), "train on a machine with more")


def test_a_numpy_archive(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x_train=np.zeros((9, 99)), y_train=np.zeros(9))
    refused(tmp_path / "a.npz", "train on a machine with more")


def test_a_table(tmp_path):
    (tmp_path / "a.csv").write_text("a,label\n" + "1,x\n" * 100)
    refused(tmp_path / "a.csv", "use a file with fewer rows")


def test_a_table_of_pictures(tmp_path):
    header = ",".join(["label", *(f"pixel{n}" for n in range(16))])
    (tmp_path / "a.csv").write_text(f"{header}\n" + ("1," + "255," * 15 + "0\n") * 10)
    refused(tmp_path / "a.csv", "use a file with fewer rows")


def test_a_folder_of_pictures(picture_folder):
    refused(picture_folder, r"declare a smaller data\.size")


def test_memory_is_measured(monkeypatch):
    monkeypatch.undo()
    found = memory.available()
    assert found is not None
    assert 10_000_000 < found < 10**14
