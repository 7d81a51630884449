"""Data sets are found by name or by path; anything else is answered with what there is."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from wardrobe.training.data import DataError, describe, load, names
from wardrobe.training.data.dataset import measure_polarity


def test_the_names():
    assert names() == (
        "fashion-mnist",
        "silhouettes",
        "xor",
        "xor-table",
        "rings",
        "moons",
        "spirals",
        "checkerboard",
        "curve",
        "flu",
    )


@pytest.mark.parametrize("act", [load, describe])
@pytest.mark.parametrize(
    ("typed", "meant"),
    [("fashion_mnist", "fashion-mnist"), ("silhouetes", "silhouettes"), ("moon", "moons")],
)
def test_a_misspelt_name_is_answered_with_the_likely_one(act, typed, meant):
    with pytest.raises(DataError, match=f"did you mean '{meant}'.*xor, xor-table, rings"):
        act(typed)


def test_a_misspelt_path_is_answered_with_what_lies_there(tmp_path, monkeypatch):
    (tmp_path / "My photos").mkdir()
    monkeypatch.chdir(tmp_path)
    for typed in ("./My fotos", f"{tmp_path}/My Photos"):
        with pytest.raises(DataError, match=r"did you mean '.*/My photos'"):
            load(typed)


def test_an_address_is_told_what_to_do():
    with pytest.raises(DataError, match="is an address; download and unpack it"):
        load("https://example.com/pets.zip")


def test_a_file_of_another_kind_is_called_what_it_is(tmp_path):
    (tmp_path / "pets.zip").write_bytes(b"PK\3\4")
    with pytest.raises(DataError, match="this is a ZIP archive or an Office document; unpack it"):
        load(str(tmp_path / "pets.zip"))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@example("\0/folder")
@given(st.text(min_size=1).filter(lambda text: not set(text) <= set("./")))
def test_no_text_gives_anything_but_an_answer(text):
    with pytest.raises(DataError):
        describe(text)


def test_a_name_too_long_for_any_file_is_no_traceback():
    with pytest.raises(DataError, match="no data set"):
        load("x" * 10_000)


class TestAPath:
    def test_may_be_absolute(self, write_idx_folder):
        assert load(str(write_idx_folder())).classes == 5

    def test_may_be_relative_to_the_working_directory(self, write_idx_folder, monkeypatch):
        folder = write_idx_folder()
        monkeypatch.chdir(folder.parent)
        data = load("letters")
        assert (data.name, data.source) == ("letters", str(folder))

    def test_may_be_relative_to_the_folder_of_data_sets(self, picture_folder, monkeypatch):
        assert load("kitchen", folder=picture_folder.parent).classes == 3
        monkeypatch.setenv("WARDROBE_DATA", str(picture_folder.parent))
        assert load("kitchen").classes == 3

    def test_may_be_relative_to_the_declaration(self, picture_folder):
        assert load("./kitchen", beside=[picture_folder.parent]).classes == 3

    def test_may_begin_at_home(self, picture_folder, monkeypatch):
        monkeypatch.setenv("HOME", str(picture_folder.parent))
        assert load("~/kitchen").classes == 3

    def test_is_looked_up_in_the_working_directory_first(
        self, write_idx_folder, picture_folder, monkeypatch
    ):
        monkeypatch.chdir(write_idx_folder().parent)
        (picture_folder / "letters").mkdir()
        assert load("letters", folder=picture_folder).classes == 5


def test_parts_do_not_share_memory_with_later_loads():
    first = load("xor")
    first.train.x[:] = 0
    assert load("xor").train.x.any()


@pytest.mark.parametrize(
    ("border", "ground"), [([0] * 10, "dark"), ([255] * 10, "light"), ([0, 255] * 5, "mixed")]
)
def test_the_ground_is_measured_on_the_border(border, ground):
    images = np.full((10, 6, 6), 128, np.uint8)
    images[:] = np.array(border, np.uint8)[:, None, None]
    images[:, 1:-1, 1:-1] = 255 - images[:, 1:-1, 1:-1]
    assert measure_polarity(images) == ground


def test_importing_loads_neither_keras_nor_tensorflow():
    code = (
        "import sys, wardrobe.training.data;"
        "print({'keras', 'tensorflow', 'jax'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "set()"


class TestTake:
    def test_trains_on_the_first_examples_only(self):
        whole, part = load("moons", validation=200), load("moons", validation=200, take=50)
        assert np.array_equal(part.train.x, whole.train.x[:50])
        assert np.array_equal(part.validation.x, whole.validation.x)
        assert np.array_equal(part.test.x, whole.test.x)
        assert part.split_hash != whole.split_hash

    def test_more_than_there_are(self):
        with pytest.raises(DataError, match=r"take: 2,000 of 800 training examples"):
            load("moons", take=2_000)
