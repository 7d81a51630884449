"""Data sets by name or path, split and ready for training."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wardrobe.models import DataFacts
from wardrobe.models.schema.errors import did_you_mean
from wardrobe.training.data import fashion_mnist, idx, image_folder, lecture_tables, silhouettes
from wardrobe.training.data.columns import Encoding, as_written
from wardrobe.training.data.dataset import (
    Collection,
    DataError,
    DataSet,
    DataUnavailable,
    Examples,
    array_hash,
    data_folder,
    measure_polarity,
)
from wardrobe.training.data.download import Progress
from wardrobe.training.data.split import Indices, split

__all__ = [
    "DataError",
    "DataFacts",
    "DataSet",
    "DataUnavailable",
    "Examples",
    "describe",
    "load",
    "names",
]


def names() -> tuple[str, ...]:
    """The built-in data sets; any other is given by the path of its folder."""
    return (fashion_mnist.NAME, silhouettes.NAME, *lecture_tables.TABLES)


def load(
    name: str,
    *,
    validation: int | float | None = None,
    folder: Path | None = None,
    resplit: int | None = None,
    take: int | None = None,
    progress: Progress | None = None,
) -> DataSet:
    """A data set, split into training, validation and test examples.

    name: one of `names()`, or the path of a folder: absolute, relative to the working directory,
        or relative to the folder of data sets.
    validation: how many examples are held out of the training part, or what share of it; 0: none;
        None: a fifth, at most 5,000. Which ones does not depend on a run's seed.
    folder: the folder of data sets, or of Fashion-MNIST's files; None: $WARDROBE_DATA.
    resplit: seed of a new test set of the official size, drawn from all examples.
    take: how many training examples to use, the first ones; validation and test stay whole.
    progress: is told how far a download is.
    Raises DataError if the data set cannot be found, read or split, DataUnavailable if
    Fashion-MNIST cannot be downloaded.
    """
    collection = _origin(name, folder, progress).collect()
    train, validate, test = split(collection, validation, resplit)
    if take is not None and take > len(train):
        raise DataError(f"take: {take:,} of {len(train):,} training examples; take fewer")
    train = train[:take]
    examples, encoding, test_rows = _encoded(collection, train, test)
    return DataSet(
        name=name,
        train=examples[train],
        validation=examples[validate],
        test=examples[test],
        class_names=collection.class_names,
        hashes=collection.hashes,
        split_hash=array_hash(train, validate, test),
        source=collection.source,
        ground=measure_polarity(examples.x[train]) if examples.x.ndim == 3 else None,
        encoding=encoding,
        test_rows=test_rows,
    )


def _encoded(
    collection: Collection, train: Indices, test: Indices
) -> tuple[Examples, Encoding | None, Mapping[str, NDArray[Any]] | None]:
    """The examples as a network takes them; of a table of one's own also how its columns were
    encoded, which only the training rows decide, and its test rows as they were."""
    raw, target, examples = collection.columns, collection.target, collection.examples
    if raw is None or target is None:
        return examples, None, None
    encoding = Encoding.fit(raw, target, examples.x[train], examples.y[train])
    x, y = encoding.encode(raw, examples.x), encoding.target.scale(examples.y)
    return Examples(x, y), encoding, as_written(raw, examples.x[test])


def describe(name: str, folder: Path | None = None) -> DataFacts:
    """Shape and classes of a data set, without reading its pixels.

    Raises DataError if they cannot be determined.
    """
    return _origin(name, folder).describe()


@dataclass(frozen=True)
class _Origin:
    """Where a data set comes from: how it is described and how it is read."""

    describe: Callable[[], DataFacts]
    collect: Callable[[], Collection]


def _origin(name: str, folder: Path | None, progress: Progress | None = None) -> _Origin:
    if name == fashion_mnist.NAME:
        return _Origin(
            lambda: fashion_mnist.FACTS, partial(fashion_mnist.collect, folder, progress)
        )
    if name == silhouettes.NAME:
        return _Origin(lambda: silhouettes.FACTS, silhouettes.collect)
    if name in lecture_tables.TABLES:
        return _Origin(
            partial(lecture_tables.describe, name), partial(lecture_tables.collect, name)
        )
    found = _find_folder(name, folder)
    kind = idx if idx.is_idx_folder(found) else image_folder
    return _Origin(partial(kind.describe, found), partial(kind.collect, found))


def _find_folder(name: str, folder: Path | None) -> Path:
    """The folder that a path names: as given, else within the folder of data sets."""
    path, within = Path(name), data_folder(folder)
    for candidate in (path, within / path) if within else (path,):
        with suppress(OSError):  # a name too long, a folder without permission to enter
            if candidate.is_dir():
                return candidate.absolute()
    raise DataError(
        f"no data set {name!r}{did_you_mean(name, names()) or '.'} There are "
        f"{', '.join(names())}, and any folder with the four files of MNIST or with a subfolder "
        "of pictures for each class"
    )
