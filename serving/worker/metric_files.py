"""The files through which the workers share their metrics, with reserved disk space.

`prometheus_client` maps sparse files into memory. On a full file system, writing to such a page
kills the process with SIGBUS, and then the next worker as well.
"""

import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client import values
from prometheus_client.mmap_dict import MmapedDict

RESERVED = 2**18
"""Bytes of each file at first: about 1,500 series. A process has five files."""

logger = logging.getLogger("wardrobe.serving.metrics")


def reserve() -> None:
    """Makes sure that metrics are written only to reserved disk space.

    Must be called before the first metric is created, in each process or before the fork.
    """
    vars(values)["MmapedDict"] = _open


def _open(filename: str) -> Any:
    """A file of metrics, or a substitute in memory, which only this process sees."""
    try:
        with Path(filename).open("ab") as file:
            _allocate(file.fileno(), RESERVED)
        return _Reserved(filename)  # type: ignore[no-untyped-call]
    except OSError as error:
        with suppress(OSError):
            Path(filename).unlink()  # an empty file cannot be read by whoever answers /metrics
        logger.warning("%s: %s; /metrics lacks this process", filename, error.strerror)
        return _Unshared()


def _allocate(descriptor: int, size: int) -> None:
    """Raises `OSError` if there is no space; does nothing if the system cannot tell."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)


class _Reserved(MmapedDict):
    """prometheus_client's, growing only into free space; a series that does not fit is dropped."""

    def read_value(self, key: str) -> tuple[float, float]:
        if not self._has_room(key):
            return 0.0, 0.0
        value: tuple[float, float] = super().read_value(key)  # type: ignore[no-untyped-call]
        return value

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        if self._has_room(key):
            super().write_value(key, value, timestamp)  # type: ignore[no-untyped-call]

    def _has_room(self, key: str) -> bool:
        if key in self._positions or self._used + len(key.encode()) + 32 <= self._capacity:
            return True
        try:
            _allocate(self._f.fileno(), 2 * self._capacity)
        except OSError:
            return False
        return True


class _Unshared:
    """A substitute for a file."""

    def __init__(self) -> None:
        self._values: dict[str, tuple[float, float]] = {}

    def read_value(self, key: str) -> tuple[float, float]:
        return self._values.setdefault(key, (0.0, 0.0))

    def write_value(self, key: str, value: float, timestamp: float) -> None:
        self._values[key] = value, timestamp

    def close(self) -> None:
        self._values.clear()
