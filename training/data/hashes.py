"""SHA-256 of files and arrays, as hexadecimal text."""

import hashlib
from pathlib import Path
from typing import Any

from numpy.typing import NDArray


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes. Raises OSError where the file cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def array_hash(*arrays: NDArray[Any]) -> str:
    """SHA-256 of arrays: type, shape and contents, the same on machines of any byte order."""
    digest = hashlib.sha256()
    for array in arrays:
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(f"{little_endian.dtype.str} {array.shape} ".encode())
        digest.update(little_endian.tobytes())
    return digest.hexdigest()
