"""Files that are written completely or not at all."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


@contextmanager
def atomic_write(path: Path, mode: str = "w", *, synced: bool = True) -> Iterator[IO[Any]]:
    """Opens a hidden partial file that takes the place of `path` when the block ends.

    A reader finds the old file until the new one is complete. If the block raises, the old file
    stays. `mode` is "w" for UTF-8 text or "wb" for bytes. If it is not `synced`, which takes
    milliseconds, the file survives the end of this process, but not that of the machine. Several
    writers, in threads or in containers, do not disturb each other: the last one's file stays.

    Raises:
        OSError: the file cannot be written; the error names `path`.
    """
    partial = path.with_name(f".{path.name}.partial-{secrets.token_hex(8)}")
    try:
        with partial.open(mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
            if synced:
                stream.flush()
                os.fsync(stream.fileno())
        partial.replace(path)
    except OSError as error:
        if error.filename == str(partial):
            error.filename, error.filename2 = str(path), None
        raise
    finally:
        partial.unlink(missing_ok=True)
