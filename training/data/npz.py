"""NumPy archives of pictures: `mnist.npz`, as Keras and MedMNIST write them."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wardrobe.serving.images.names import is_debris
from wardrobe.training.data import memory
from wardrobe.training.data.dataset import Collection, DataError, Examples, file_hash
from wardrobe.training.data.table_files import has_folders

KEYS = {
    "train": (
        ("x_train", "y_train"),
        ("train_images", "train_labels"),
        ("x", "y"),
        ("images", "labels"),
    ),
    "val": (("x_val", "y_val"), ("val_images", "val_labels")),
    "test": (("x_test", "y_test"), ("test_images", "test_labels")),
}
"""The keys of each part's pictures and labels, as Keras, MedMNIST and scripts name them."""


def find(path: Path) -> Path | None:
    """The archive at a path, or the only one in a folder; None: there is none."""
    if path.is_file():
        return path if path.suffix.lower() == ".npz" else None
    found = [file for file in sorted(path.glob("*.npz")) if not is_debris(file.name)]
    return found[0] if len(found) == 1 and not has_folders(path) else None


def collect(file: Path) -> Collection:
    """All pictures, uint8 [N, H, W] or [N, H, W, 3], 0–255; its val and test arrays are those
    parts.

    Raises DataError if it is not such an archive, or its arrays do not fit together. Objects in it
    are never unpickled: that would run code.
    """
    try:
        size = sum(each.file_size for each in zipfile.ZipFile(file).infolist())
        memory.require(file, size, "train on a machine with more")
        with np.load(file, allow_pickle=False) as arrays:
            if not isinstance(arrays, Mapping):
                raise DataError(f"{file}: holds one array, not an archive of several")
            parts = {part: _part(file, arrays, part) for part in KEYS}
            held = ", ".join(arrays)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(f"{file}: cannot be read as a NumPy archive ({error})") from error
    found = {part: arrays for part, arrays in parts.items() if arrays is not None}
    if "train" not in found:
        wanted = " and ".join(KEYS["train"][0])
        raise DataError(
            f"{file}: holds no training arrays, but {held or 'nothing'}; there must be {wanted}"
        )
    if len({images.shape[1:] for images, _ in found.values()}) > 1:
        raise DataError(f"{file}: the pictures of its parts differ in size")
    labels = np.concatenate([labels for _, labels in found.values()])
    classes, y = np.unique(labels, return_inverse=True)
    if len(classes) < 2:
        raise DataError(f"{file}: all pictures have the label {classes[0]!s}; there must be two")
    sizes = {part: len(labels) for part, (_, labels) in found.items()}
    return Collection(
        examples=Examples(
            np.concatenate([images for images, _ in found.values()]), y.astype(np.int32)
        ),
        test_size=sizes.get("test"),
        validation_size=sizes.get("val"),
        class_names=tuple(map(str, classes.tolist())),
        hashes={file.name: file_hash(file)},
        source=str(file),
    )


def _part(
    file: Path, arrays: Mapping[str, Any], part: str
) -> tuple[NDArray[np.uint8], NDArray[Any]] | None:
    written = {key.lower(): key for key in arrays}  # X_train, too
    for keys in KEYS[part]:
        images, labels = (written.get(key, key) for key in keys)
        if images in arrays and labels in arrays:
            x = _pixels(_array(arrays, images, file), images, file)
            y = _labels(_array(arrays, labels, file), labels, file)
            if len(x) != len(y):
                raise DataError(
                    f"{file}: {images} has {len(x):,} pictures, but {labels} {len(y):,} labels"
                )
            return x, y
    return None


def _array(arrays: Mapping[str, Any], key: str, file: Path) -> NDArray[Any]:
    try:
        values: NDArray[Any] = arrays[key]
    except ValueError as error:
        if "allow_pickle" not in str(error):
            raise
        raise DataError(
            f"{file}: {key} holds Python objects, which are not read because they could run code; "
            "save names with .astype(str), and pictures of one size as one array"
        ) from None
    return values


def _pixels(values: NDArray[Any], key: str, file: Path) -> NDArray[np.uint8]:
    if values.ndim == 4 and values.shape[-1] == 1:
        values = values[..., 0]
    is_picture = values.ndim == 3 or (values.ndim == 4 and values.shape[-1] == 3)
    if not is_picture or not values.size:
        raise DataError(
            f"{file}: {key} has the shape {list(values.shape)}; pictures are [N, height, width] or "
            f"[N, height, width, 3]{_cure(values.shape)}"
        )
    if values.dtype == np.uint8:
        return values
    are_pixels = values.dtype.kind in "uif" and bool(
        ((values >= 0) & (values <= 255) & (values == np.floor(values))).all()
    )
    if not are_pixels or values.max() <= 1:
        least, greatest = values.min(), values.max()
        range_ = "with NaN" if least != least else f"from {least} to {greatest}"
        raise DataError(
            f"{file}: {key} holds {values.dtype} {range_}; save its pixels as whole numbers from 0 "
            f"to 255{_cure_of_range(values)}"
        )
    return values.astype(np.uint8)


def _cure(shape: tuple[int, ...]) -> str:
    """How arrays of another usual shape become pictures."""
    if len(shape) == 4 and shape[1] in (1, 3):
        return f"; save {'[:, 0]' if shape[1] == 1 else '.transpose(0, 2, 3, 1)'} of it"
    if len(shape) == 4 and shape[3] == 4:
        return "; save [..., :3] of it, without the transparency"
    if len(shape) == 2 and (side := math.isqrt(shape[1])) ** 2 == shape[1]:
        return f"; save .reshape(-1, {side}, {side}) of it"
    return ""


def _cure_of_range(values: NDArray[Any]) -> str:
    """How pixels of another usual range become bytes."""
    least, greatest = values.min(), values.max()
    if least >= 0 and greatest <= 1:
        return ": (255 * x).round().astype('uint8')"
    if least >= -1 and greatest <= 1:
        return ": (127.5 * (x + 1)).round().astype('uint8')"
    return ""


def _labels(values: NDArray[Any], key: str, file: Path) -> NDArray[Any]:
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim == 1 and values.dtype.kind == "f" and (values == np.floor(values)).all():
        values = values.astype(np.int64)
    if values.ndim != 1 or values.dtype.kind not in "uiUSb":
        one_hot = "; of one-hot rows, save .argmax(axis=1)" if values.ndim == 2 else ""
        raise DataError(
            f"{file}: {key} holds {values.dtype} {list(values.shape)}; labels are whole numbers or "
            f"names [N]{one_hot}"
        )
    return values.astype(str) if values.dtype.kind == "S" else values
