"""Fashion-MNIST: found on this machine or downloaded, and never used unless its hashes are right.

Xiao, Rasul and Vollgraf 2017, arXiv 1708.07747; https://github.com/zalandoresearch/fashion-mnist
"""

from dataclasses import dataclass
from pathlib import Path

from wardrobe.models import DataFacts
from wardrobe.training.data import idx_folder
from wardrobe.training.data.dataset import Collection, DataError, DataUnavailable
from wardrobe.training.data.download import Progress, download
from wardrobe.training.data.hashes import file_hash
from wardrobe.training.data.paths import data_folder, keras_cache

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
FACTS = DataFacts(input_shape=(28, 28), classes=len(CLASS_NAMES))

# SHA-256, of files with the MD5 sums that the data set's README publishes.
HASHES = {
    f"{idx_folder.TRAIN_IMAGES}.gz": "3aede38d61863908ad78613f6a32ed27"
    "1626dd12800ba2636569512369268a84",
    f"{idx_folder.TRAIN_LABELS}.gz": "a04f17134ac03560a47e3764e11b92fc"
    "97de4d1bfaf8ba1a3aa29af54cc90845",
    f"{idx_folder.TEST_IMAGES}.gz": "346e55b948d973a97e58d2351dde16a4"
    "84bd415d4595297633bb08f03db6a073",
    f"{idx_folder.TEST_LABELS}.gz": "67da17c76eaffca5446c3361aaab5c3c"
    "d6d1c2608764d35dfb1850b086bf8dd5",
}
ORIGIN = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/"  # as keras.datasets


@dataclass(frozen=True)
class FileReport:
    """What is known of one of the four files at one place."""

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
    place = find(folder) or fetch(progress=progress)
    for report in verify(place):
        if not report.ok:
            state = "missing" if report.actual is None else "altered or cut short"
            raise DataError(
                f"{report.path}: {state} (its SHA-256 must begin {report.expected[:12]}); "
                f"get a good one from {ORIGIN}{report.path.name}"
            )
    return idx_folder.collect(place, CLASS_NAMES)


def find(folder: Path | None = None) -> Path | None:
    """Where the data set lies: in `folder`, else in $WARDROBE_DATA, else in Keras' cache.

    A place named by the user counts with any of the files, so that damage there is told, not
    passed over; the cache only when whole, since `fetch` repairs it.
    Raises DataError where `folder` is given and holds none of the files.
    """
    named = data_folder(folder)
    for place in (named, named / NAME) if named else ():
        if idx_folder.is_idx_folder(place):
            return place
    if folder is not None:
        raise DataError(f"{folder}: holds no {NAME}/train-images-idx3-ubyte.gz and its companions")
    cache = keras_cache() / NAME
    return cache if all(report.ok for report in verify(cache)) else None


def verify(place: Path) -> list[FileReport]:
    """Compares the four files in a folder with the published ones."""
    return [_report(place / name, expected) for name, expected in HASHES.items()]


def fetch(
    place: Path | None = None,
    *,
    origin: str = ORIGIN,
    timeout: float = 10.0,
    progress: Progress | None = None,
) -> Path:
    """Downloads what is missing or wrong in `place` (None: Keras' cache), and returns `place`.

    Raises DataUnavailable where that fails; what was right before stays.
    """
    place = place or keras_cache() / NAME
    for report in verify(place):
        if not report.ok:
            name = report.path.name
            try:
                download(origin + name, report.path, report.expected, timeout, progress)
            except DataUnavailable as error:
                raise DataUnavailable(
                    f"{NAME} is neither in $WARDROBE_DATA nor in {place}, and cannot be fetched: "
                    f"{error}. Put the four files into a folder {NAME} and name the folder above "
                    "it in WARDROBE_DATA or with --data-dir"
                ) from error
    return place


def _report(path: Path, expected: str) -> FileReport:
    try:
        return FileReport(path, path.stat().st_size, expected, file_hash(path))
    except OSError:
        return FileReport(path, None, expected, None)
