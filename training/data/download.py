"""Downloads one file over HTTP, whole and verified or not at all."""

import http.client
import tempfile
import urllib.request
from collections.abc import Callable
from pathlib import Path

from wardrobe.training.data.dataset import DataUnavailable, file_hash

Progress = Callable[[str, int, int | None], None]  # file name, bytes so far, bytes in all
CHUNK = 1 << 18


def download(
    url: str, target: Path, sha256: str, timeout: float, progress: Progress | None = None
) -> None:
    """Downloads `url` to `target`, which is replaced once the hash has been verified.

    timeout: seconds without data after which to give up.
    Raises DataUnavailable if there is no answer, no space or unexpected content; an older file at
    `target` then stays as it was, and nothing else is left behind.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".download-", dir=target.parent) as beside:
            arriving = Path(beside) / target.name
            _receive(url, arriving, timeout, progress)
            if file_hash(arriving) != sha256:
                raise DataUnavailable(f"{url}: sent something else than the data set")
            arriving.replace(target)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise DataUnavailable(
            f"{url}: cannot be downloaded to {target.parent} ({error})"
        ) from error


def _receive(url: str, arriving: Path, timeout: float, progress: Progress | None) -> None:
    with urllib.request.urlopen(url, timeout=timeout) as response, arriving.open("wb") as file:
        length = response.headers.get("Content-Length")
        while chunk := response.read(CHUNK):
            file.write(chunk)
            if progress:
                progress(arriving.name, file.tell(), int(length) if length else None)
