"""IDX, the file format of MNIST: two zero bytes, type, number of dimensions, their sizes, values.

Described on http://yann.lecun.com/exdb/mnist/. Only unsigned bytes, as in MNIST, are read here.
"""

import gzip
import io
import math
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wardrobe.training.data.dataset import DataError

ByteStream = gzip.GzipFile | io.BufferedReader

UNSIGNED_BYTE = 8
CHUNK = 1 << 20


def read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in an IDX file, plain or `.gz`: uint8, with so many dimensions.

    Raises DataError, naming the file, where it is not such a file, whole and undamaged.
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
