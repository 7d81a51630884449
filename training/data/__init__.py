"""Data sets by name or path, split and ready for training."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from wardrobe.models import DataFacts
from wardrobe.models.schema.declaration import Data, declared_data
from wardrobe.models.schema.errors import did_you_mean, suggestion
from wardrobe.serving.images import PREPARATION, foreign
from wardrobe.serving.images.names import as_text, is_debris
from wardrobe.serving.images.picture_input import PictureInput, Polarity, Preparation
from wardrobe.training.data import (
    fashion_mnist,
    idx,
    image_folder,
    labelled_pictures,
    lecture_tables,
    memory,
    mixture,
    npz,
    picture_tables,
    quality,
    silhouettes,
    table_files,
    tables,
)
from wardrobe.training.data.cache import cached
from wardrobe.training.data.classes import mapped
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
from wardrobe.training.data.listing import Listing, beginning, list_pictures
from wardrobe.training.data.pictures import prepared, refuse_without_pictures, shape_of
from wardrobe.training.data.split import Indices, split

logger = logging.getLogger(__name__)

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
    wanted: Data | str,
    *,
    validation: int | float | None = None,
    folder: Path | None = None,
    beside: Sequence[Path] = (),
    picture: PictureInput | None = None,
    progress: Progress | None = None,
    **declared: Any,
) -> DataSet:
    """A data set, split into training, validation and test examples.

    wanted: the `data` of a declaration, or its name: one of `names()`, or the path of a folder:
        absolute, from `~`, or relative to the folders `beside`, to the working directory or to the
        folder of data sets.
    validation: how many examples are held out of the training part, or what share of it; 0: none;
        None: a fifth, at most 5,000. Which ones does not depend on a run's seed.
    folder: the folder of data sets, or of Fashion-MNIST's files; None: $WARDROBE_DATA.
    beside: the folders of the declaration's files.
    picture: what pictures are brought to, such as the input of an artifact; None: as declared.
    progress: called during a download, and while a folder of pictures is read.
    declared: with a name, the other keys of `data`, such as `size=[28, 28]` or `take=1000`.
    Raises DataError if the data set cannot be found, read or split, DataUnavailable if
    Fashion-MNIST cannot be downloaded, DeclarationError if `declared` has errors. What is left out
    of a folder is logged.
    """
    wanted = wanted if isinstance(wanted, Data) else declared_data(name=wanted, **declared)
    if wanted.sets is not None:
        how: dict[str, Any] = {"validation": validation, "folder": folder, "beside": beside}
        how |= {"picture": picture, "progress": progress}
        return mixture.mix(wanted, [load(part, **how) for part in wanted.sets])
    if picture is not None:  # for an artifact, which is not trained any more
        wanted = wanted.model_copy(update={"copies": None})
    collection = _origin(wanted, folder, beside, picture, progress).collect()
    collection = prepared(mapped(collection, wanted.classes), wanted, picture)
    for note in collection.notes:
        logger.warning("%s: left out: %s", wanted.name, note)
    train, validate, test = _split(collection, wanted, validation)
    doubts, repeated = quality.examine(collection, wanted.columns or {}, train, validate, test)
    for doubt in (*collection.doubts, *doubts):
        logger.warning("%s: %s", wanted.name, doubt)
    examples, encoding, test_rows = _encoded(collection, train, test)
    return DataSet(
        name=wanted.name,
        train=examples[train].with_copies(),
        validation=examples[validate].without_copies(),
        test=examples[test].without_copies(),
        class_names=collection.class_names,
        hashes=collection.hashes,
        split_hash=array_hash(train, validate, test),
        source=collection.source,
        polarity=_polarity(examples.x[train], collection.prepare),
        prepare=collection.prepare,
        preparation=PREPARATION if wanted.prepare == "garment" else None,
        encoding=encoding,
        test_rows=test_rows,
        repeated=repeated,
        unknown=_unknown(wanted, collection.class_names),
        licence=wanted.licence,
    )


def _unknown(wanted: Data, class_names: Sequence[str] | None) -> str | None:
    """The class for everything else, as declared.

    Raises DataError if the data set has no such class.
    """
    known = class_names or ()
    if wanted.unknown is not None and wanted.unknown not in known:
        hint = suggestion(wanted.unknown, known)
        raise DataError(f"data.unknown: {wanted.name} has no class {wanted.unknown!r}{hint}")
    return wanted.unknown


def _split(
    collection: Collection, wanted: Data, validation: int | float | None
) -> tuple[Indices, Indices, Indices]:
    train, validate, test = split(collection, validation, wanted.resplit)
    if wanted.take is not None and wanted.take > len(train):
        raise DataError(f"take: {wanted.take:,} of {len(train):,} training examples; take fewer")
    return train[: wanted.take], validate, test


def _encoded(
    collection: Collection, train: Indices, test: Indices
) -> tuple[Examples, Encoding | None, Mapping[str, NDArray[Any]] | None]:
    """The examples as a network takes them; of a table of one's own also how its columns were
    encoded, which only the training rows decide, and its test rows as they were."""
    raw, target, examples = collection.columns, collection.target, collection.examples
    if raw is None or target is None:
        return examples, None, None
    encoding = Encoding.fit(raw, target, examples.x[train], examples.y[train])
    inputs = sum(column.width for column in encoding.columns)
    memory.require(
        Path(collection.source),
        4 * inputs * len(examples),
        "set columns of many categories to 'ignore'",
    )
    x, y = encoding.encode(raw, examples.x), encoding.target.scale(examples.y)
    return Examples(x, y), encoding, as_written(raw, examples.x[test])


def _polarity(images: NDArray[Any], prepare: Preparation) -> Polarity | None:
    """The background of training images; None: they are rows of a table."""
    if images.ndim == 2:
        return None
    return "dark" if prepare == "garment" else measure_polarity(images)


def describe(
    wanted: Data | str,
    folder: Path | None = None,
    beside: Sequence[Path] = (),
    validation: int | float | None = None,
) -> DataFacts:
    """Shape and classes of a data set; the arguments as for `load`. Pixels are not read, if it can
    be helped; a table is, since its training rows say how many inputs its columns become.

    Raises DataError if they cannot be determined.
    """
    wanted = wanted if isinstance(wanted, Data) else Data(name=wanted)
    if wanted.sets is not None:
        facts_of_sets = [describe(part, folder, beside, validation) for part in wanted.sets]
        return mixture.describe(wanted.sets, facts_of_sets)
    origin = _origin(wanted, folder, beside)
    if origin.describe is None:
        collection = prepared(mapped(origin.collect(), wanted.classes), wanted)
        train, _, test = _split(collection, wanted, validation)
        names = collection.class_names
        _unknown(wanted, names)
        x = _encoded(collection, train, test)[0].x
        return DataFacts(x.shape[1:], None if names is None else len(names), names)
    facts = origin.describe()
    names = facts.class_names if wanted.classes is None else tuple(sorted(wanted.classes))
    classes = facts.classes if wanted.classes is None else len(wanted.classes)
    if names is not None:
        _unknown(wanted, names)
    return DataFacts(shape_of(facts, wanted), classes, names)


def as_declared(wanted: Data) -> DataFacts | None:
    """Shape and classes of a data set as far as its declaration says them, whether the data are at
    hand or not; None where only the data tell."""
    if wanted.sets is not None:
        facts = [as_declared(part) for part in wanted.sets]
        known = [one for one in facts if one is not None]
        return mixture.describe(wanted.sets, known) if len(known) == len(facts) else None
    if wanted.name in names():
        return describe(wanted)
    if wanted.size is None or wanted.classes is None:
        return None
    channels = (3,) if wanted.colour == "rgb" else ()
    return DataFacts((*wanted.size, *channels), len(wanted.classes), tuple(sorted(wanted.classes)))


@dataclass(frozen=True)
class _Origin:
    """Where a data set comes from: how it is described, None if by reading it, and read."""

    describe: Callable[[], DataFacts] | None
    collect: Callable[[], Collection]


def _origin(
    wanted: Data,
    folder: Path | None,
    beside: Sequence[Path],
    picture: PictureInput | None = None,
    progress: Progress | None = None,
) -> _Origin:
    name = wanted.name
    if name in names():
        _refuse_columns(wanted)
        _refuse_files(wanted)
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
    return _on_disk(_find(name, folder, beside), wanted, picture, progress)


def _on_disk(
    found: Path, wanted: Data, picture: PictureInput | None, progress: Progress | None
) -> _Origin:
    """What kind of data set lies at a path."""
    if files := idx.find(found):
        _refuse_files(wanted)
        _refuse_columns(wanted)
        return _Origin(partial(idx.describe, files), partial(idx.collect, files))
    may_be_labelled = wanted.columns is None and wanted.test is None
    if may_be_labelled and labelled_pictures.is_labelled(found, wanted.target):
        listed = partial(labelled_pictures.list_labelled, found, wanted.target, wanted.classes)
        return _of_pictures(found, listed, wanted, picture, progress)
    archive = npz.find(found)
    if found.is_dir() and not archive and not table_files.is_table(found):
        _refuse_columns(wanted)
        listed = partial(list_pictures, found, wanted.classes, wanted.test)
        return _of_pictures(found, listed, wanted, picture, progress)
    _refuse_files(wanted)
    if table_files.is_table(found):
        collect = partial(_collect_table, found, wanted)
    elif archive:
        _refuse_columns(wanted)
        collect = partial(npz.collect, archive)
    else:
        raise of_another_kind(found)
    return _Origin(None, partial(cached, found, _decisive(wanted), collect))


def _of_pictures(
    found: Path,
    listed: Callable[[], Listing],
    wanted: Data,
    picture: PictureInput | None,
    progress: Progress | None,
) -> _Origin:
    """Pictures in folders of their classes, or labelled by a table."""
    folder = found if found.is_dir() else found.parent

    def collect() -> Collection:
        listing = listed()
        read = partial(image_folder.collect, folder, listing, wanted, picture, progress)
        how = [_decisive(wanted), picture and asdict(picture), listing.notes]
        return cached(folder, how, read, listing.files)

    return _Origin(lambda: image_folder.describe(folder, listed(), wanted), collect)


def _decisive(wanted: Data) -> dict[str, Any]:
    """What of a declaration decides what is read."""
    irrelevant = {"take", "resplit", "sets", "unknown", "licence"}
    return wanted.model_dump(include=set(Data.model_fields), exclude=irrelevant)


def of_another_kind(file: Path) -> DataError:
    """The error for a file that is not a data set: what it is, and what to give instead."""
    kind = foreign.name(beginning(file)) or "not a data set"
    unpacked = "unpack it, and " if "archive" in kind else ""
    if "office" in kind:
        unpacked = "unpack it, or save the table as CSV, and "
    return DataError(f"{file}: this is {kind}; {unpacked}give the path of {_KINDS}")


def _collect_table(found: Path, wanted: Data) -> Collection:
    """A table of pictures, or one whose columns mean what the declaration says."""
    if wanted.columns is None and picture_tables.are_pictures(found):
        return picture_tables.collect(found, wanted.target, wanted.size)
    refuse_without_pictures(wanted)
    return tables.collect(found, wanted.target, wanted.columns)


def _refuse_columns(wanted: Data) -> None:
    for key in ("target", "columns"):
        if getattr(wanted, key) is not None:
            raise DataError(f"data.{key}: {wanted.name} is not a table; leave it out")


def _refuse_files(wanted: Data) -> None:
    for key in ("test", "copies"):
        if getattr(wanted, key) is not None:
            raise DataError(f"data.{key}: {wanted.name} is not a folder of pictures; leave it out")


def _find(name: str, folder: Path | None, beside: Sequence[Path]) -> Path:
    """What a path names: beside the declaration, as given, or within the folder of data sets."""
    candidates = []
    with suppress(RuntimeError):  # nobody's home
        path = Path(name).expanduser()
        within = data_folder(folder)
        places = [*beside, Path(), *([within] if within else [])]
        candidates = [place / path for place in places]
    for candidate in candidates:
        # A name too long or with a null byte, a folder without permission to enter.
        with suppress(OSError, ValueError):
            if candidate.exists():
                return candidate.absolute()
    if "://" in name:
        raise DataError(
            f"{name}: is an address; download and unpack it, and give the path of {_KINDS}"
        )
    hint = did_you_mean(name, names()) or did_you_mean(name, _neighbours(name, candidates))
    raise DataError(
        f"no data set {name!r}{hint or '.'} There are {', '.join(names())}; or give the path of "
        f"{_KINDS}"
    )


def _neighbours(name: str, candidates: Sequence[Path]) -> Iterator[str]:
    """What lies where a path leads that is not there, written as the path was."""
    for candidate in candidates:
        with suppress(OSError, ValueError):
            for entry in candidate.parent.iterdir():
                if not is_debris(entry.name):
                    yield name.removesuffix(candidate.name) + as_text(entry.name)


_KINDS = (
    "a folder of pictures for each class, a folder of the four files of MNIST, or a CSV, Parquet "
    "or .npz file"
)
