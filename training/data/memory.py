"""Data larger than memory is refused before it is read."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from wardrobe.training.data.dataset import DataError

COPIES = 2
"""The examples are in memory twice: as they were read, and split."""

_CONTAINER = (
    (Path("/sys/fs/cgroup"), "memory.max", "memory.current"),
    (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
"""Where the system says what the limit of a container is and how much of it is in use."""


def require(path: Path, size: int, cure: str) -> None:
    """Refuses examples of so many bytes if they do not fit into memory.

    Raises DataError with their size, the memory there is, and `cure`: what would help.
    """
    there_is = available()
    if there_is is not None and size * COPIES > there_is:
        raise DataError(
            f"{path}: its examples need about {_gigabytes(size * COPIES)} of memory, and "
            f"{_gigabytes(there_is)} are free; {cure}"
        )


def available() -> int | None:
    """Bytes of memory that this process can have; None if the system does not say."""
    found = []
    with suppress(OSError, ValueError, IndexError):
        line = Path("/proc/meminfo").read_text(encoding="ascii").partition("MemAvailable:")[2]
        found.append(1024 * int(line.split()[0]))
    if not found:
        with suppress(OSError, ValueError, AttributeError):
            found.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    for folder, limit, used in _CONTAINER:
        with suppress(OSError, ValueError):  # not in a container, or one without a limit
            in_use = int((folder / used).read_text()) - _reclaimable(folder / "memory.stat")
            found.append(int((folder / limit).read_text()) - in_use)
    return min(found, default=None)


def _reclaimable(statistics: Path) -> int:
    """Bytes of files that the system keeps in memory as long as nobody else needs it."""
    lines = (line.split() for line in statistics.read_text(encoding="ascii").splitlines())
    return sum(int(value) for name, value in lines if name in ("inactive_file", "active_file"))


def _gigabytes(size: int) -> str:
    return f"{size / 1e9:,.1f} GB"
