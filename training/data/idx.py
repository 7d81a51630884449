"""IDX, the file format of MNIST: two zero bytes, type, number of dimensions, their sizes, values.

Described on http://yann.lecun.com/exdb/mnist/; only unsigned bytes (type 8) are read here.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from training.data.dataset import DataError

UNSIGNED_BYTE = 8
CHUNK = 1 << 20


def read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in an IDX file, plain or `.gz`: uint8, of so many dimensions.

    Raises DataError naming the file where it is not such a file, whole and unchanged.
    """
    with _Opened(path) as file:
        sizes = _header(file, dimensions, path)
        values = _content(file, math.prod(sizes), path)
    return np.frombuffer(values, np.uint8).reshape(sizes)


def read_sizes(path: Path, dimensions: int) -> tuple[int, ...]:
    """The sizes an IDX file claims in its header; no value is read. Raises DataError as `read`."""
    with _Opened(path) as file:
        return _header(file, dimensions, path)


class _Opened:
    """An IDX file open for reading; whatever goes wrong with it becomes a DataError."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> IO[bytes]:
        try:
            self.file: IO[bytes] = (
                gzip.open(self.path) if self.path.suffix == ".gz" else self.path.open("rb")
            )
        except OSError as error:
            raise DataError(f"{self.path}: cannot be read ({error.strerror})") from error
        return self.file
