"""Folders of four files in MNIST's format, IDX, with any number of classes.

IDX is described on http://yann.lecun.com/exdb/mnist/: two zero bytes, type, number of dimensions,
their sizes, values. Only unsigned bytes, as in MNIST, are read here.
"""

import gzip
import io
import json
import math
import re
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wardrobe.models import DataFacts
from wardrobe.serving.images.names import is_debris
from wardrobe.training.data import memory
from wardrobe.training.data.dataset import Collection, DataError, Examples, file_hash

ByteStream = gzip.GzipFile | io.BufferedReader

TRAIN_IMAGES = "train-images-idx3-ubyte"
TRAIN_LABELS = "train-labels-idx1-ubyte"
TEST_IMAGES = "t10k-images-idx3-ubyte"
TEST_LABELS = "t10k-labels-idx1-ubyte"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

NAME = re.compile(
    r"(?P<prefix>.*?)(?P<part>train|t10k|test)[-_.]?(?P<content>images|labels)"
    r"([-_.]?idx\d?)?([-_.]?ubyte)?( ?\(\d+\))?(\.bin)?(\.gz)?",
    re.IGNORECASE,
)
"""The names that the files are given: `train-images.idx3-ubyte`, `emnist-letters-test-labels-…`."""

UNSIGNED_BYTE = 8
DEEPEST_WRAPPING = 4
"""Folders one within the other in which the files may be."""

CHUNK = 1 << 20
GZIP = b"\x1f\x8b"


@dataclass(frozen=True)
class _Folder:
    """The files of a folder by what they hold, such as `train-images-idx3-ubyte`, and what comes
    before that in their names, such as `emnist-letters-`."""

    path: Path
    prefix: str
    files: dict[str, Path]

    def __getitem__(self, name: str) -> Path:
        if name not in self.files:
            raise DataError(
                f"{self.path}: {self.prefix}{name}.gz is missing; the folder must hold "
                f"{', '.join(self.prefix + file for file in FILES)}"
            )
        return self.files[name]

    @cached_property
    def labels(self) -> list[NDArray[np.uint8]]:
        return [read(self[name], 1) for name in (TRAIN_LABELS, TEST_LABELS)]


def is_idx_folder(folder: Path) -> bool:
    """Whether the folder holds any of the four files, plain or compressed."""
    return next(_candidates(folder), None) is not None


def find(folder: Path) -> Path | None:
    """The folder that holds any of the four files: this one, or one that wraps nothing else, such
    as torchvision's `MNIST/raw`; None: there is none."""
    for _ in range(DEEPEST_WRAPPING):
        if is_idx_folder(folder):
            return folder
        with suppress(OSError):
            entries = (path for path in folder.iterdir() if not is_debris(path.name))
            inner = [path for path in entries if path.is_dir()]
            inner = [path for path in inner if path.name == "raw"] or inner
            if len(inner) == 1:
                folder = inner[0]
    return None


def describe(folder: Path) -> DataFacts:
    """Image size and number of classes; labels are read, pixels are not.

    Raises DataError if the folder lacks a file or holds a damaged one.
    """
    found = _find(folder)
    path = found[TRAIN_IMAGES]
    shape, _ = _layout(read_sizes(path, 3, 4), path)
    names = tuple(_classes(found)[0])
    return DataFacts(shape, len(names), names)


def collect(folder: Path, class_names: Sequence[str] | None = None) -> Collection:
    """All images, 0–255, uint8 [N, H, W], or [N, H, W, 3] if they have colours, with their labels;
    the t10k or test files are the test set.

    class_names: in the order of the labels; None: `labels.txt` (one a line), `labels.json` (a
        list) or EMNIST's `…mapping.txt`, else the labels themselves. Labels may begin with 1.
    Raises DataError, naming the file, for missing and damaged files and ones that do not match.
    """
    found = _find(folder)
    sizes = [math.prod(read_sizes(found[name], 3, 4)) for name in (TRAIN_IMAGES, TEST_IMAGES)]
    memory.require(folder, sum(sizes), "train on a machine with more")
    images = [_images(found[name]) for name in (TRAIN_IMAGES, TEST_IMAGES)]
    if images[0].shape[1:] != images[1].shape[1:]:
        raise DataError(
            f"{folder}: the training images are {_size(images[0])} pixels, the test images "
            f"{_size(images[1])}; they must have the same size"
        )
    for image_part, label_part, name in zip(images, found.labels, ("train", "t10k"), strict=True):
        if len(image_part) != len(label_part):
            raise DataError(
                f"{folder}: {len(image_part):,} {name} images but {len(label_part):,} labels; "
                "one of the two files belongs to another data set"
            )
    names, first = (class_names, 0) if class_names else _classes(found)
    y = np.concatenate(found.labels).astype(np.int32) - first
    used = (found[name] for name in FILES)
    return Collection(
        examples=Examples(np.concatenate(images), y),
        test_size=len(images[1]),
        class_names=tuple(names),
        hashes={file.relative_to(folder).as_posix(): file_hash(file) for file in used},
        source=str(folder),
    )


def _find(folder: Path) -> _Folder:
    sets: dict[str, dict[str, Path]] = {}
    for name, path in _candidates(folder):
        sets.setdefault(name["prefix"], {}).setdefault(_role(name), path)
    if len(sets) > 1:
        raise DataError(
            f"{folder}: holds the files of several data sets, whose names begin with "
            f"{', '.join(map(repr, sorted(sets)))}; put each set into a folder of its own"
        )
    ((prefix, files),) = sets.items() or [("", {})]
    return _Folder(folder, prefix, files)


def _candidates(folder: Path) -> Iterator[tuple[re.Match[str], Path]]:
    """The files with such names, also those in folders with such names, as archives unpack.

    Where a file is there twice, the compressed one comes first: it is the published, hash-checked
    form; then the one that is not in a folder of its own.
    """
    with suppress(OSError):  # no folder, or none that may be read
        entries = sorted(folder.iterdir(), key=lambda path: (path.suffix != ".gz", path.name))
        inner = [each for path in entries if NAME.fullmatch(path.name) for each in _within(path)]
        for path in (*entries, *inner):
            name = NAME.fullmatch(path.name)
            if name and not name["prefix"].startswith(".") and path.is_file():
                yield name, path


def _within(path: Path) -> list[Path]:
    return sorted(path.iterdir()) if path.is_dir() else []


def _role(name: re.Match[str]) -> str:
    """Which of the four files has this name."""
    is_test, is_labels = name["part"].lower() != "train", name["content"].lower() == "labels"
    return FILES[2 * is_test + is_labels]


def _images(path: Path) -> NDArray[np.uint8]:
    images = read(path, 3, 4)
    shape, channels_first = _layout(images.shape, path)
    if channels_first:
        images = np.moveaxis(images, 1, -1)
    return images.reshape(-1, *shape)


def _layout(sizes: tuple[int, ...], path: Path) -> tuple[tuple[int, ...], bool]:
    """The shape of a picture, [H, W] or [H, W, 3], and whether the file has its channels first."""
    shape, channels_first = sizes[1:], False
    if len(shape) == 3:
        channels_first = shape[2] not in (1, 3) and shape[0] in (1, 3)
        shape = (*shape[1:], shape[0]) if channels_first else shape
        if shape[2] not in (1, 3):
            raise DataError(
                f"{path}: its sizes are {' × '.join(map(str, sizes))}; a fourth dimension must "
                "hold 1 or 3 channels"
            )
    return (shape[:2] if shape[-1] == 1 and len(shape) == 3 else shape), channels_first


def _classes(found: _Folder) -> tuple[Sequence[str], int]:
    """The names of the classes and the first label, which may be 1.

    Classes without names are called by their labels.
    """
    labels = np.unique(np.concatenate(found.labels)).tolist()
    names = _written_names(found.path) or _mapped_names(found)
    classes = len(names or labels)
    first = int(labels[0] == 1 and labels[-1] == classes)
    if labels[-1] - first >= classes:
        raise DataError(
            f"{found.path}: a label is {labels[-1]}, but with {classes} classes the labels must be "
            f"0 to {classes - 1} or 1 to {classes}; renumber them, or name all classes in "
            "labels.txt"
        )
    return names or [str(label) for label in range(first, first + classes)], first


def _mapped_names(found: _Folder) -> list[str] | None:
    """The characters in EMNIST's mapping: for each class a line, its label and its ASCII codes."""
    file = found.path / f"{found.prefix}mapping.txt"
    if not file.is_file():
        return None
    try:
        rows = sorted(tuple(map(int, line.split()[:2])) for line in file.read_text().splitlines())
        return [chr(code) for _, code in rows]
    except (OSError, ValueError, OverflowError) as error:
        raise DataError(
            f"{file}: each line must hold a label and the code of its character ({error}); correct "
            "or remove it"
        ) from error


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
    height, width, *channels = images.shape[1:]
    return f"{width}×{height}" + (f" ×{channels[0]} channels" if channels else "")


def read(path: Path, *dimensions: int) -> NDArray[np.uint8]:
    """The array in an IDX file, plain or gzipped: uint8, of one of these numbers of dimensions.

    Raises DataError, naming the file, if it is not such a file or is damaged.
    """
    with _opened(path) as file:
        sizes = _header(file, dimensions, path)
        values = _values(file, math.prod(sizes), path)
    return np.frombuffer(values, np.uint8).reshape(sizes)


def read_sizes(path: Path, *dimensions: int) -> tuple[int, ...]:
    """The sizes in an IDX file's header; no value is read. Raises DataError as `read` does."""
    with _opened(path) as file:
        return _header(file, dimensions, path)


@contextmanager
def _opened(path: Path) -> Iterator[ByteStream]:
    try:
        with path.open("rb") as file:  # some have lost their ending, others are unpacked with it
            is_compressed = file.peek(len(GZIP)).startswith(GZIP)
            yield gzip.GzipFile(fileobj=file) if is_compressed else file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); get a good copy") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _header(file: ByteStream, dimensions: Sequence[int], path: Path) -> tuple[int, ...]:
    magic = file.read(4)
    ways = [bytes([0, 0, UNSIGNED_BYTE, number]) for number in dimensions]
    if magic not in ways:
        wanted = " or ".join(f"{number}-dimensional" for number in dimensions)
        raise DataError(
            f"{path}: begins with {magic.hex(' ') or 'nothing'}, not {ways[0].hex(' ')}: "
            f"not an IDX file of {wanted} unsigned bytes{_told_apart(magic, dimensions)}"
        )
    header = file.read(4 * magic[3])
    if len(header) < 4 * magic[3]:
        raise DataError(f"{path}: ends within its header; get a good copy")
    sizes = struct.unpack(f">{magic[3]}I", header)
    if 0 in sizes:
        raise DataError(f"{path}: is empty: its sizes are {' × '.join(map(str, sizes))}")
    return sizes


def _told_apart(magic: bytes, dimensions: Sequence[int]) -> str:
    """What a file that begins so probably is."""
    if magic == bytes([0, 0, UNSIGNED_BYTE, 1]):
        return ", but one of labels: it and the file of labels are probably swapped"
    if dimensions == (1,) and magic[:3] == bytes([0, 0, UNSIGNED_BYTE]) and magic[3:] in b"\3\4":
        return ", but one of images: it and the file of images are probably swapped"
    if magic[:1] == b"<":
        return ", but a web page: download it again"
    return ""


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
