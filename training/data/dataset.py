"""What a data set is, for everything that trains on one, and what identifies it."""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wardrobe.serving.images.picture_input import Polarity, Preparation
from wardrobe.training.data.columns import Encoding, RawColumn, Target

# Garments may touch the border, so single pictures mislead; nine out of ten do not.
AGREEMENT = 0.9


class DataError(Exception):
    """A data set cannot be used; the message says what is wrong and what to do."""


class DataUnavailable(DataError):
    """A data set is not on this machine and cannot be downloaded."""


@dataclass(frozen=True)
class Examples:
    """Inputs and their targets.

    x: images uint8 [N, H, W] or [N, H, W, 3], 0–255, or rows of a table float32 [N, inputs].
    y: class indices int32 [N], or regression targets float32 [N, outputs]; with several sets, rows
        float32 [N, classes] with a 1 for each class that is right.
    copies: varied copies of each picture, uint8 [N, copies, H, W], used only for training.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    copies: NDArray[np.uint8] | None = None

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, indices: NDArray[Any]) -> "Examples":
        copies = None if self.copies is None else self.copies[indices]
        return Examples(self.x[indices], self.y[indices], copies)

    def with_copies(self) -> "Examples":
        """Every picture and every copy as an example: all pictures, all first copies, all second
        copies and so on."""
        if self.copies is None:
            return self
        x = np.concatenate([self.x, *np.moveaxis(self.copies, 1, 0)])
        return Examples(x, np.tile(self.y, 1 + self.copies.shape[1]))

    def without_copies(self) -> "Examples":
        """The pictures without their copies."""
        return Examples(self.x, self.y)


@dataclass(frozen=True)
class Collection:
    """All examples of a data set, before they are split.

    test_size: number of examples, at the end, of the official test set; None: there is none.
    validation_size: the same of the official validation set, before it.
    divisible: False for a set so small that all of it is used to train, validate and test.
    prepare: how a picture is brought into the form of the examples, in training as in serving, see
        `serving.images.prepare`; of no meaning for tables.
    notes: what was left out, one sentence each.
    doubts: what is likely to be a mistake, one sentence each.
    columns, target: of a table of one's own, whose x is float32 [N, columns], see `columns`.
    """

    examples: Examples
    test_size: int | None
    class_names: tuple[str, ...] | None
    hashes: dict[str, str]
    source: str
    divisible: bool = True
    validation_size: int | None = None
    prepare: Preparation = "resize"
    notes: tuple[str, ...] = ()
    doubts: tuple[str, ...] = ()
    columns: tuple[RawColumn, ...] | None = None
    target: Target | None = None


@dataclass(frozen=True)
class Part:
    """One of several sets that are trained on together, see `mixture`.

    share: of the examples of a batch.
    weight: of its examples in the loss, or of those of its classes, where it is not 1.
    class_names: those of the set itself.
    members: bool [classes of the set, classes of the network], those that each stands for.
    examples: of `train`, `validation` and `test`, which examples are of this set.
    """

    name: str
    share: float
    weight: float | dict[str, float]
    class_names: tuple[str, ...]
    members: NDArray[np.bool_]
    examples: dict[str, range]


@dataclass(frozen=True)
class DataSet:
    """A data set ready for training, and what identifies it in a run's record.

    train, validation, test: its examples, split.
    class_names: in the order of the class indices; None for a regression.
    hashes: SHA-256 of its files or arrays, by name.
    split_hash: SHA-256 over the indices of the train, validation and test examples.
    source: where it was found, in words.
    polarity: the background of the training images; None if they are not images.
    prepare: how pictures were prepared.
    preparation: the version of `prepare: garment`, if that prepared the pictures.
    parts: the sets, if several are trained on together.
    encoding: how the columns of a table became inputs.
    test_rows: the test examples of such a table as they were, by column.
    repeated: how many test pictures are, pixel for pixel, also among the others.
    unknown: the class for everything else, if there is one.
    licence: for the model card.
    """

    name: str
    train: Examples
    validation: Examples
    test: Examples
    class_names: tuple[str, ...] | None
    hashes: dict[str, str]
    split_hash: str
    source: str
    polarity: Polarity | None
    prepare: Preparation = "garment"
    preparation: int | None = None
    parts: tuple[Part, ...] = ()
    encoding: Encoding | None = None
    test_rows: Mapping[str, NDArray[Any]] | None = None
    repeated: int = 0
    unknown: str | None = None
    licence: str | None = None

    def __repr__(self) -> str:
        counts = f"{len(self.train):,} + {len(self.validation):,} + {len(self.test):,} examples"
        classes = "" if self.class_names is None else f", {len(self.class_names)} classes"
        return f"<wardrobe.DataSet {self.name}: {counts} of shape {self.input_shape}{classes}>"

    @property
    def input_shape(self) -> tuple[int, ...]:
        """The shape of one example."""
        return self.train.x.shape[1:]

    def targets(self, examples: Examples) -> NDArray[Any]:
        """The targets of some of its examples; for a regression, in the column's own units."""
        return examples.y if self.encoding is None else self.encoding.target.restore(examples.y)

    @property
    def unknown_index(self) -> int | None:
        """The index of the class for everything else."""
        names = self.class_names or ()
        return None if self.unknown is None else names.index(self.unknown)

    @property
    def classes(self) -> int | None:
        """The number of classes; None for a regression."""
        return None if self.class_names is None else len(self.class_names)


def checked(data: DataSet) -> DataSet:
    """A data set that a script has made, with arrays as training takes them.

    Raises DataError if they do not fit together, or hold what would be learnt wrongly without a
    word: pixels that are not 0–255, labels that are not class indices, NaN.
    """
    found = replace(
        data,
        train=_checked("train", data.train, data),
        validation=_checked("validation", data.validation, data),
        test=_checked("test", data.test, data),
    )
    for part, examples in (("validation", found.validation), ("test", found.test)):
        if examples.x.shape[1:] != found.input_shape and len(examples):
            raise DataError(
                f"{part}.x holds examples of shape {list(examples.x.shape[1:])}, but train.x of "
                f"{list(found.input_shape)}; they must be the same"
            )
    return found


def _checked(part: str, examples: Examples, data: DataSet) -> Examples:
    x, y = np.asarray(examples.x), np.asarray(examples.y)
    if len(x) != len(y):
        raise DataError(f"{part}.x has {counted(len(x), 'example')}, but {part}.y {len(y):,}")
    if x.ndim == 4 and x.shape[-1] == 1:
        x = x[..., 0]
    if x.dtype.kind not in "buif" or (x.dtype.kind == "f" and not np.isfinite(x).all()):
        what = x.dtype if x.dtype.kind != "f" else "NaN or infinite numbers"
        raise DataError(f"{part}.x holds {what}; give finite numbers")
    if x.ndim > 2 and x.size:
        least, greatest = x.min(), x.max()
        are_scaled = x.dtype.kind == "b" or (greatest <= 1 and (x % 1).any())
        if least < 0 or greatest > 255 or are_scaled:
            raise DataError(
                f"{part}.x holds {x.dtype} from {least:g} to {greatest:g}; pixels are numbers "
                "from 0 to 255, which the network scales itself"
            )
    if data.class_names is not None and not data.parts:
        y = _indices(part, y, data.class_names)
    return replace(examples, x=x, y=y)


def _indices(part: str, y: NDArray[Any], names: Sequence[str]) -> NDArray[np.int32]:
    """Labels as class indices, int32 [N]."""
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    cure = ""
    if y.ndim == 2:
        cure = "; of one-hot rows give .argmax(axis=1)"
    elif y.dtype.kind in "OUS":
        cure = "; of names give [class_names.index(name) for name in y]"
    elif y.ndim == 1 and not len(y):
        return y.astype(np.int32)
    elif y.ndim == 1 and y.dtype.kind in "buif" and (y == np.floor(y)).all():
        if y.min() >= 0 and y.max() < len(names):
            return y.astype(np.int32)
        cure = f" from {y.min()} to {y.max()}"
    raise DataError(
        f"{part}.y holds {y.dtype} {list(y.shape)}{cure}; labels are the numbers of the "
        f"{len(names)} classes, from 0 to {len(names) - 1}"
    )


def data_folder(explicit: Path | None) -> Path | None:
    """The folder of data sets: the one given, else $WARDROBE_DATA, else none."""
    if explicit is not None:
        return explicit
    named = os.environ.get("WARDROBE_DATA")
    return Path(named).expanduser() if named else None


def measure_polarity(images: NDArray[np.uint8]) -> Polarity:
    """What most images `uint8 [N, H, W]` or `[N, H, W, 3]`, 0–255, have at their border: a dark
    or a light background."""
    border = np.ones(images.shape[1:3], dtype=bool)
    border[1:-1, 1:-1] = False
    pixels = images[:, border].reshape(len(images), -1)
    dark = float(np.mean(np.median(pixels, axis=1) < 128))
    if dark >= AGREEMENT:
        return "dark"
    return "light" if dark <= 1 - AGREEMENT else "mixed"


def counted(count: int, noun: str) -> str:
    """A number and its noun, as `1 file` or `1,024 files`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def file_hash(path: Path) -> str:
    """SHA-256 of a file's bytes, hexadecimal. Raises OSError if the file cannot be read."""
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
