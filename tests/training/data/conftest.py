"""Folders of data as users have them."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.training.conftest import idx_bytes
from wardrobe.training.data import idx

FolderWriter = Callable[..., Path]
IdxWriter = Callable[[np.ndarray], bytes]


@pytest.fixture(scope="session", name="idx_bytes")
def idx_bytes_() -> IdxWriter:
    return idx_bytes


@pytest.fixture(autouse=True)
def nothing_on_this_machine(tmp_path, monkeypatch) -> None:
    """No test finds data by chance: neither through the environment nor in Keras' cache."""
    monkeypatch.delenv("WARDROBE_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))


@pytest.fixture(scope="session")
def official() -> Path:
    """The folder of the real Fashion-MNIST files."""
    folder = Path(os.environ.get("WARDROBE_DATA", "")) / "fashion-mnist"
    if "WARDROBE_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("needs the real data: WARDROBE_DATA must name the folder of fashion-mnist/*.gz")
    return folder


@pytest.fixture
def write_idx_folder(tmp_path: Path, idx_bytes: IdxWriter) -> FolderWriter:
    """Writes a folder of 60 training and 20 test images; any of the four files can be replaced."""

    def write(classes: int = 5, compressed: bool = True, **replaced: bytes) -> Path:
        random = np.random.default_rng(1)
        folder = tmp_path / "letters"
        folder.mkdir()
        contents = {
            "train_images": idx_bytes(random.integers(0, 256, (60, 9, 7))),
            "train_labels": idx_bytes(np.arange(60) % classes),
            "test_images": idx_bytes(random.integers(0, 256, (20, 9, 7))),
            "test_labels": idx_bytes(np.arange(20) % classes),
        } | replaced
        for role, content in contents.items():
            name = getattr(idx, role.upper())
            if compressed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content, 1))
            else:
                (folder / name).write_bytes(content)
        return folder

    return write


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """Three classes, ten pictures each, 6 wide and 4 high; class number n is of grey value 50 n."""
    for number, name in enumerate(["bowl", "cup", "plate"]):
        folder = tmp_path / "kitchen" / name
        folder.mkdir(parents=True)
        for i in range(10):
            ending = ("png", "jpg", "JPEG")[i % 3]
            Image.new("RGB", (6, 4), (50 * number,) * 3).save(folder / f"{i}.{ending}")
    return tmp_path / "kitchen"
