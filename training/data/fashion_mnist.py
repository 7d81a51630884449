"""Fashion-MNIST: found on this machine or downloaded, and only used if its hashes are right.

Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747; https://github.com/zalandoresearch/fashion-mnist
"""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from wardrobe.models import DataFacts
from wardrobe.training.data import idx
from wardrobe.training.data.dataset import (
    Collection,
    DataError,
    DataUnavailable,
    data_folder,
    file_hash,
)
from wardrobe.training.data.download import Progress, download

NAME = "fashion-mnist"
CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
FACTS = DataFacts((28, 28), len(CLASS_NAMES), CLASS_NAMES)

# SHA-256, of files with the MD5 sums that the data set's README publishes.
HASHES = {
    f"{idx.TRAIN_IMAGES}.gz": "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84",
    f"{idx.TRAIN_LABELS}.gz": "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845",
    f"{idx.TEST_IMAGES}.gz": "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073",
    f"{idx.TEST_LABELS}.gz": "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5",
}
ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"  # as keras.datasets


@dataclass(frozen=True)
class FileReport:
    """The state of one of the four files in a folder."""

    path: Path
    size: int | None  # bytes; None: missing or unreadable
    expected: str  # SHA-256
    actual: str | None

    @property
    def ok(self) -> bool:
        return self.actual == self.expected


def collect(folder: Path | None, progress: Progress | None = None) -> Collection:
    """The 70,000 images uint8 [N, 28, 28], 0–255, downloaded first if need be.

    Raises DataError if a file in a folder that the user named is missing or altered,
    DataUnavailable if the data set cannot be downloaded.
    """
    found = find(folder) or fetch(progress=progress)
    for report in verify(found):
        if not report.ok:
            state = "missing" if report.actual is None else "altered or cut short"
            raise DataError(
                f"{report.path}: {state} (its SHA-256 must begin {report.expected[:12]}); "
                f"get a good copy from {ORIGIN}{report.path.name}"
            )
    return replace(idx.collect(found, CLASS_NAMES), prepare="garment")


def find(folder: Path | None = None) -> Path | None:
    """The folder of the data set: `folder`, else in $WARDROBE_DATA, else in Keras' cache.

    A folder that the user named counts if it holds any of the files, so that damage is reported;
    the cache counts only if it is complete, since `fetch` repairs it.
    Raises DataError if `folder` is given and holds none of the files.
    """
    named = data_folder(folder)
    for candidate in (named, named / NAME) if named else ():
        if idx.is_idx_folder(candidate):
            return candidate
    if folder is not None:
        raise DataError(f"{folder}: holds no {NAME}/train-images-idx3-ubyte.gz and its companions")
    cache = keras_cache() / NAME
    return cache if all(report.ok for report in verify(cache)) else None


def verify(folder: Path) -> list[FileReport]:
    """Compares the four files in a folder with the published ones."""
    return [_report(folder / name, expected) for name, expected in HASHES.items()]


def fetch(
    folder: Path | None = None,
    *,
    origin: str = ORIGIN,
    timeout: float = 10.0,
    progress: Progress | None = None,
) -> Path:
    """Downloads what is missing or wrong in `folder` (None: Keras' cache), and returns `folder`.

    Raises DataUnavailable if that fails; files that were right before stay.
    """
    folder = folder or keras_cache() / NAME
    for report in verify(folder):
        if not report.ok:
            name = report.path.name
            try:
                download(origin + name, report.path, report.expected, timeout, progress)
            except DataUnavailable as error:
                raise DataUnavailable(
                    f"{NAME} is neither in $WARDROBE_DATA nor in {folder}, and cannot be fetched: "
                    f"{error}. Put the four files into a folder {NAME} and set WARDROBE_DATA or "
                    "--data-dir to its parent folder"
                ) from error
    return folder


def keras_cache() -> Path:
    """Keras' own folder of data sets, found as `keras.src.backend.config` finds it.

    Computed here because importing Keras takes seconds.
    """
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path("/tmp")
    return Path(os.environ.get("KERAS_HOME", home / ".keras")).expanduser() / "datasets"


def _report(path: Path, expected: str) -> FileReport:
    try:
        return FileReport(path, path.stat().st_size, expected, file_hash(path))
    except OSError:
        return FileReport(path, None, expected, None)
