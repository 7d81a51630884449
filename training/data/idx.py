"""Folders of four IDX files named as MNIST names them, with any number of classes.

IDX is described on http://yann.lecun.com/exdb/mnist/: two zero bytes, type, number of dimensions,
their sizes, values. Only unsigned bytes, as in MNIST, are read here.
"""

import gzip
import io
import json
import math
import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wardrobe.models import DataFacts
from wardrobe.training.data.dataset import Collection, DataError, Examples, file_hash

ByteStream = gzip.GzipFile | io.BufferedReader

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

UNSIGNED_BYTE = 8
CHUNK = 1 << 20


def is_idx_folder(folder: Path) -> bool:
    """Whether the folder holds any of the four files, plain or compressed."""
    return any(
        os.access(folder / (name + ending), os.F_OK) for name in FILES for ending in (".gz", "")
    )


def describe(folder: Path) -> DataFacts:
    """Image size and number of classes; labels are read, pixels are not.

    Raises DataError if the folder lacks a file or holds a damaged one.
    """
    _, height, width = read_sizes(_file(folder, TRAIN_IMAGES), 3)
    names = _class_names(folder, _labels(folder))
    return DataFacts((height, width), len(names), tuple(names))


def collect(folder: Path, class_names: Sequence[str] | None = None) -> Collection:
    """All images uint8 [N, H, W], 0–255, with their labels; the t10k files are the test set.

    class_names: in the order of the labels; None: `labels.txt` (one a line), else `labels.json`
    (a list), else "0", "1", ….
    Raises DataError, naming the file, for missing and damaged files and ones that do not match.
    """
    labels = _labels(folder)
    images = [read(_file(folder, name), 3) for name in (TRAIN_IMAGES, TEST_IMAGES)]
    if images[0].shape[1:] != images[1].shape[1:]:
        raise DataError(
            f"{folder}: the training images are {_size(images[0])} pixels, the test images "
            f"{_size(images[1])}; they must be of one size"
        )
    for image_part, label_part, name in zip(images, labels, ("train", "t10k"), strict=True):
        if len(image_part) != len(label_part):
            raise DataError(
                f"{folder}: {len(image_part):,} {name} images but {len(label_part):,} labels; "
                "one of the two files belongs to another data set"
            )
    return Collection(
        examples=Examples(np.concatenate(images), np.concatenate(labels).astype(np.int32)),
        test_size=len(images[1]),
        class_names=tuple(class_names or _class_names(folder, labels)),
        hashes={file.name: file_hash(file) for file in (_file(folder, name) for name in FILES)},
        source=str(folder),
    )


def _file(folder: Path, name: str) -> Path:
    """The compressed file before the plain one: it is the published, hash-checked form."""
    for candidate in (folder / f"{name}.gz", folder / name):
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder}: {name}.gz is missing; the folder must hold {', '.join(FILES)}")


def _labels(folder: Path) -> list[NDArray[np.uint8]]:
    return [read(_file(folder, name), 1) for name in (TRAIN_LABELS, TEST_LABELS)]


def _class_names(folder: Path, labels: list[NDArray[np.uint8]]) -> Sequence[str]:
    """Checks the labels against the class names, which are numbers where none are written."""
    found = np.unique(np.concatenate(labels)).tolist()
    names = _written_names(folder) or [str(number) for number in range(len(found))]
    if found[-1] >= len(names):
        raise DataError(
            f"{folder}: a label is {found[-1]}, but with {len(names)} classes the labels must be "
            f"0 to {len(names) - 1}; renumber them, or name all classes in labels.txt"
        )
    return names


def _written_names(folder: Path) -> list[str] | None:
    text, json_list = folder / "labels.txt", folder / "labels.json"
    file = text if text.is_file() else json_list
    if not file.is_file():
        return None
    try:
        content = file.read_text(encoding="utf-8")
        names = content.splitlines() if file is text else json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{file}: cannot be read ({error})") from error
    if not isinstance(names, list) or not all(isinstance(n, str) and n.strip() for n in names):
        raise DataError(f"{file}: must hold one class name for each label, none of them empty")
    if len(set(names)) < len(names):
        raise DataError(f"{file}: names a class twice")
    return names


def _size(images: NDArray[np.uint8]) -> str:
    _, height, width = images.shape
    return f"{width}×{height}"


def read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in an IDX file, plain or `.gz`: uint8, of the given number of dimensions.

    Raises DataError, naming the file, if it is not such a file or is damaged.
    """
    with _opened(path) as file:
        sizes = _header(file, dimensions, path)
        values = _values(file, math.prod(sizes), path)
    return np.frombuffer(values, np.uint8).reshape(sizes)


def read_sizes(path: Path, dimensions: int) -> tuple[int, ...]:
    """The sizes in an IDX file's header; no value is read. Raises DataError as `read` does."""
    with _opened(path) as file:
        return _header(file, dimensions, path)


@contextmanager
def _opened(path: Path) -> Iterator[ByteStream]:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); get a good copy") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _header(file: ByteStream, dimensions: int, path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    expected = bytes([0, 0, UNSIGNED_BYTE, dimensions])
    if magic != expected:
        raise DataError(
            f"{path}: begins with {magic.hex(' ') or 'nothing'}, not {expected.hex(' ')}: "
            f"not an IDX file of {dimensions}-dimensional unsigned bytes"
        )
    header = file.read(4 * dimensions)
    if len(header) < 4 * dimensions:
        raise DataError(f"{path}: ends within its header; get a good copy")
    sizes = struct.unpack(f">{dimensions}I", header)
    if 0 in sizes:
        raise DataError(f"{path}: is empty: its sizes are {' × '.join(map(str, sizes))}")
    return sizes


def _values(file: ByteStream, length: int, path: Path) -> bytearray:
    """Exactly `length` bytes: memory grows with what is there, not with what the header claims."""
    values = bytearray()
    while len(values) <= length and (chunk := file.read(CHUNK)):
        values += chunk
    if len(values) != length:
        held = f"{len(values):,}" if len(values) < length else f"more than {length:,}"
        raise DataError(
            f"{path}: its header promises {length:,} values, it holds {held}; get a good copy"
        )
    return values
