"""Fashion-MNIST: where it is looked for, and that nothing but the real files is used."""

import functools
import hashlib
import http.server
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from wardrobe.models import DataFacts
from wardrobe.training.data import describe, fashion_mnist, load
from wardrobe.training.data.dataset import DataError, DataUnavailable
from wardrobe.training.data.fashion_mnist import keras_cache

MD5_IN_ITS_README = {
    "train-images-idx3-ubyte.gz": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "bb300cfdad3c16e7a12a480ee83cd310",
}
NOWHERE = "http://127.0.0.1:9/"


@pytest.fixture
def copied(official: Path, tmp_path: Path) -> Path:
    """The real files in a folder of data sets that may be spoilt."""
    shutil.copytree(official, tmp_path / "data" / "fashion-mnist")
    return tmp_path / "data"


@pytest.fixture
def server(official) -> Iterator[str]:
    """A web server on this machine that holds the real files."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Keeps the tests' output clean."""

    handler = functools.partial(Quiet, directory=str(official))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/"
        running.shutdown()


def spoil(file: Path) -> None:
    """Changes one byte in the middle."""
    file.chmod(0o644)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_the_ten_classes():
    assert describe("fashion-mnist") == DataFacts((28, 28), 10)
    assert fashion_mnist.CLASS_NAMES == (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )


class TestTheRealFiles:
    def test_have_the_published_sums(self, official):
        for report in fashion_mnist.verify(official):
            assert report.ok
            md5 = hashlib.md5(report.path.read_bytes()).hexdigest()
            assert md5 == MD5_IN_ITS_README[report.path.name]

    def test_are_split_by_class_with_the_official_test_set_untouched(self, official):
        data = load("fashion-mnist", folder=official.parent)

        assert (data.train.x.shape, data.train.x.dtype.name) == ((55_000, 28, 28), "uint8")
        assert (data.validation.x.shape, data.test.x.shape) == ((5_000, 28, 28), (10_000, 28, 28))
        for part in (data.train, data.validation, data.test):
            assert np.bincount(part.y).tolist() == [len(part) // 10] * 10
        assert data.test.y[:10].tolist() == [9, 2, 1, 1, 6, 1, 4, 6, 5, 7]
        assert data.class_names == fashion_mnist.CLASS_NAMES
        assert data.hashes == fashion_mnist.HASHES
        assert data.polarity == "dark"

    def test_can_be_split_anew(self, official):
        official_split = load("fashion-mnist", folder=official)
        anew = load("fashion-mnist", folder=official, resplit=7)
        assert len(anew.test) == 10_000
        assert np.bincount(anew.test.y).tolist() == [1_000] * 10
        assert anew.split_hash != official_split.split_hash
        assert anew.hashes == official_split.hashes

    def test_always_split_alike(self, official):
        first, second = (load("fashion-mnist", folder=official) for _ in range(2))
        assert first.split_hash == second.split_hash
        assert load("fashion-mnist", folder=official, validation=0.1).split_hash != first.split_hash


class TestTheSearch:
    def test_takes_an_explicit_folder_or_the_folder_above_it(self, official):
        assert fashion_mnist.find(official) == official
        assert fashion_mnist.find(official.parent) == official

    def test_then_the_environment(self, official, monkeypatch):
        monkeypatch.setenv("WARDROBE_DATA", str(official.parent))
        assert fashion_mnist.find() == official

    def test_then_the_cache_of_keras(self, official, monkeypatch, tmp_path):
        monkeypatch.setenv("WARDROBE_DATA", str(tmp_path / "holds nothing"))
        cache = keras_cache() / "fashion-mnist"
        shutil.copytree(official, cache)
        assert fashion_mnist.find() == cache

    def test_passes_over_a_damaged_cache(self, official):
        cache = keras_cache() / "fashion-mnist"
        shutil.copytree(official, cache)
        spoil(cache / "t10k-labels-idx1-ubyte.gz")
        assert fashion_mnist.find() is None

    def test_finds_nothing_where_there_is_nothing(self):
        assert fashion_mnist.find() is None

    def test_refuses_an_explicit_folder_without_it(self, tmp_path):
        with pytest.raises(DataError, match="holds no fashion-mnist"):
            load("fashion-mnist", folder=tmp_path)

    @pytest.mark.parametrize("home", ["a home", None])
    def test_looks_where_keras_itself_keeps_it(self, tmp_path, home):
        environment = {**os.environ, "KERAS_BACKEND": "numpy", "HOME": str(tmp_path)}
        environment.pop("KERAS_HOME", None)
        if home:
            environment["KERAS_HOME"] = str(tmp_path / home)
        code = (
            "from keras.src.backend.config import keras_home; "
            "from wardrobe.training.data.fashion_mnist import keras_cache; "
            "print(keras_home() + '/datasets'); print(keras_cache())"
        )
        said = subprocess.run(
            [sys.executable, "-c", code],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        keras_says, we_say = said.stdout.splitlines()[-2:]
        assert keras_says == we_say


class TestDamage:
    """In a folder that the user named, an error names the damaged file and where to get another."""

    @pytest.mark.parametrize("name", fashion_mnist.HASHES)
    def test_an_altered_file(self, copied, name):
        spoil(copied / "fashion-mnist" / name)
        with pytest.raises(DataError, match=f"{name}: altered or cut short.*https://"):
            load("fashion-mnist", folder=copied)
        assert [
            r.path.name for r in fashion_mnist.verify(copied / "fashion-mnist") if not r.ok
        ] == [name]

    def test_a_truncated_file(self, copied, monkeypatch):
        file = copied / "fashion-mnist" / "train-images-idx3-ubyte.gz"
        file.chmod(0o644)
        os.truncate(file, 1_000_000)
        monkeypatch.setenv("WARDROBE_DATA", str(copied))
        with pytest.raises(DataError, match=f"{file.name}: altered or cut short"):
            load("fashion-mnist")
        report = fashion_mnist.verify(file.parent)[0]
        assert (report.ok, report.size) == (False, 1_000_000)

    def test_a_missing_file(self, copied):
        (copied / "fashion-mnist" / "t10k-labels-idx1-ubyte.gz").unlink()
        with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: missing"):
            load("fashion-mnist", folder=copied)

    def test_files_of_another_data_set(self, write_idx_folder):
        with pytest.raises(DataError, match="altered"):
            load("fashion-mnist", folder=write_idx_folder(classes=10))

    def test_of_a_folder_that_is_not_there(self, tmp_path):
        reports = fashion_mnist.verify(tmp_path / "missing")
        assert [(r.ok, r.size, r.actual) for r in reports] == [(False, None, None)] * 4


class TestFetching:
    def test_fills_the_cache_of_keras(self, server):
        folder = fashion_mnist.fetch(origin=server)
        assert folder == keras_cache() / "fashion-mnist" == fashion_mnist.find()
        assert len(load("fashion-mnist").test) == 10_000

    def test_replaces_only_what_is_wrong(self, server, copied):
        folder, fetched = copied / "fashion-mnist", set()
        spoil(folder / "t10k-labels-idx1-ubyte.gz")
        fashion_mnist.fetch(folder, origin=server, progress=lambda name, *_: fetched.add(name))
        assert fetched == {"t10k-labels-idx1-ubyte.gz"}
        assert all(report.ok for report in fashion_mnist.verify(folder))

    def test_asks_nobody_where_all_is_right(self, official):
        assert fashion_mnist.fetch(official, origin=NOWHERE) == official

    def test_says_what_to_do_where_it_cannot(self, tmp_path):
        with pytest.raises(DataUnavailable, match=r"cannot be fetched.*WARDROBE_DATA"):
            fashion_mnist.fetch(tmp_path / "new", origin=NOWHERE)

    def test_is_tried_when_the_data_set_is_nowhere(self, monkeypatch):
        # A proxy that is not there: the network as it is on a train.
        monkeypatch.setenv("https_proxy", NOWHERE)
        with pytest.raises(DataUnavailable, match=r"storage\.googleapis\.com"):
            load("fashion-mnist")
