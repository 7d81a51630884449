"""Which files below a folder are pictures, of which class and which part of a split."""

import errno
import os
import re
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from wardrobe.models.schema.errors import did_you_mean, suggestion
from wardrobe.serving.images.decode import is_picture
from wardrobe.serving.images.names import as_text, is_debris
from wardrobe.training.data.classes import Classes, mapping, note_left_out
from wardrobe.training.data.dataset import DataError, counted

PARTS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "val", "valid", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""The names of folders that are a split, in lower case, and which part each is."""

ENDINGS = {
    ".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".heic",
    ".heif", ".avif", ".jp2", ".svg", ".ico", ".psd", ".dng", ".cr2", ".nef", ".arw", ".raw",
}  # fmt: skip
"""A file with one of these is meant to be a picture; of any other the contents decide."""

DEEPEST_WRAPPING = 8
"""Folders one within the other that an archive may wrap around a data set."""

Pictures = dict[str, list[Path]]
"""The files of each class, classes and files in the order of their names."""


@dataclass(frozen=True)
class Listing:
    """The pictures below a folder.

    parts: `train`, and `validation` and `test` if the folder is split.
    class_names: the folders' names, in their order, without those that `data.classes` leaves out.
    notes: what was left out, one sentence each.
    source: what was given, a folder or a table.
    tables: the files that name the classes, where folders do not.
    doubts: what is likely to be a mistake, one sentence each.
    """

    parts: dict[str, Pictures]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]
    source: Path
    tables: tuple[Path, ...] = ()
    doubts: tuple[str, ...] = ()

    @property
    def files(self) -> list[Path]:
        """All pictures, and the tables that name their classes."""
        by_class = [files for part in self.parts.values() for files in part.values()]
        return [*chain.from_iterable(by_class), *self.tables]


def list_pictures(folder: Path, classes: Classes | None = None, test: str | None = None) -> Listing:
    """The pictures of a folder of class folders; `classes` and `test` as in `data`.

    Raises DataError if it is no such folder, or a class has no picture to train on.
    """
    seen = _Seen()
    try:
        found = seen.parts(folder, test)
    except OSError as error:
        what = as_text(error.filename or folder)
        raise DataError(f"{what}: cannot be read ({error.strerror})") from error
    listing = listed(folder, found, classes, seen.notes(), seen.beside)
    return replace(listing, doubts=tuple(seen.doubts()))


def listed(
    folder: Path,
    found: dict[str, Pictures],
    classes: Classes | None,
    notes: Iterable[str],
    beside: int = 0,
) -> Listing:
    """The pictures found below a folder, in the classes as declared.

    notes: what was left out; beside: how many pictures that are in no class.
    Raises DataError as `list_pictures` does.
    """
    names = sorted({name for part in found.values() for name in part})
    named = mapping(classes, names)
    _check(folder, found, named, beside)
    left_out = Counter[str]()
    for pictures in found.values():
        for name in set(pictures) - set(named):
            left_out[name] += len(pictures.pop(name))
    return Listing(
        parts={part: dict(sorted(pictures.items())) for part, pictures in found.items()},
        class_names=tuple(name for name in names if name in named),
        source=folder,
        notes=(*notes, *note_left_out(dict(sorted(left_out.items())))),
    )


class _Seen:
    """Walks folders, and remembers what is left out."""

    def __init__(self) -> None:
        self.others: Counter[str] = Counter()  # endings of files that are no pictures
        self.beside = 0  # pictures in no folder of a class
        self.outside: list[str] = []  # folders that belong to no part of a split
        self.within: set[str] = set()  # folders that each folder of a class has

    def parts(self, folder: Path, test: str | None) -> dict[str, Pictures]:
        """The pictures of each part of a split, by class; all are `train` without a split.

        test: the name of the folder that is the test set; None: as the names of folders say.
        """
        folders = self._unwrapped(folder)
        split = _split(folders) if test is None else _declared_split(folder, folders, test)
        if not split:
            return {"train": self._classes(folders)}
        found: dict[str, Pictures] = {}
        anywhere = self.beside
        for outer in folders:
            beside = self.beside
            classes = self._unwrapped(outer) if outer in split else []
            if not classes:
                anywhere += self.beside - beside
                self.beside = beside  # what is in it is left out with it
                self.outside.append(as_text(outer.name))
                continue
            for name, files in self._classes(classes).items():
                found.setdefault(split[outer], {}).setdefault(name, []).extend(files)
        if not found:
            self.beside = anywhere  # to be told of
        return found

    def _unwrapped(self, folder: Path) -> list[Path]:
        """The folders in a folder, or in the one that an archive's name wraps around everything."""
        own = folders = self._folders(folder)
        for _ in range(DEEPEST_WRAPPING):
            if len(folders) != 1:
                break
            folders = self._folders(folders[0])
        return folders if len(folders) > 1 else own

    def _folders(self, folder: Path) -> list[Path]:
        """The folders in a folder; pictures beside them are left out."""
        entries = _entries(folder)
        folders = [Path(entry.path) for entry in entries if entry.is_dir()]
        files = (entry for entry in entries if not entry.is_dir())
        self.beside += sum(Path(file.name).suffix.lower() in ENDINGS for file in files)
        return folders

    def _classes(self, folders: list[Path]) -> Pictures:
        """The pictures in each folder, by its name."""
        pictures: Pictures = {}
        self.within |= _in_each(folders)
        for folder in folders:
            files = [file for file in files_below(folder) if self._keep(file)]
            pictures.setdefault(composed(folder.name), []).extend(files)
        return pictures

    def notes(self) -> list[str]:
        """What was left out, one sentence each."""
        notes = []
        if self.others:
            kinds = ", ".join(f"{count:,} {name}" for name, count in self.others.most_common(5))
            notes.append(f"{counted(self.others.total(), 'file')} of other kinds ({kinds})")
        if self.beside:
            notes.append(f"{counted(self.beside, 'picture')} in no class folder")
        if self.outside:
            notes.append(f"what is in no part of the split: {', '.join(self.outside)}")
        return notes

    def doubts(self) -> list[str]:
        """What is likely to be a mistake, one sentence each."""
        if not self.within:
            return []
        which = ", ".join(sorted(map(as_text, self.within))[:5])
        if self.within <= PARTS.keys():
            return [
                f"each class has the folders {which}, which are not taken as a split: put the "
                "folders of the classes into train/ and test/"
            ]
        return [
            f"each class has the folders {which}: if these are the classes, put all pictures of "
            "each into one folder of its name"
        ]

    def _keep(self, file: Path) -> bool:
        if _is_picture(file):
            return True
        self.others[file.suffix.lower() or "without ending"] += 1
        return False


def _in_each(folders: list[Path]) -> set[str]:
    """The names of the folders in each of several folders, if all have the same, and no others."""
    names = [
        {entry.name.lower() for entry in _entries(folder) if entry.is_dir()} for folder in folders
    ]
    are_same = len(names) > 1 and all(of == names[0] for of in names)
    return names[0] if are_same and len(names[0]) > 1 else set()


def composed(name: str) -> str:
    """A name, the same whether a system writes é as one character or as two."""
    return unicodedata.normalize("NFC", as_text(name))


def part_of(name: str) -> str | None:
    """The part of a split that a folder's name says, as `seg_train` or `Test Set` do."""
    parts = [word for word in _words(name) if word in PARTS]
    return PARTS[parts[0]] if len(parts) == 1 else None


def _words(name: str) -> list[str]:
    return re.split(r"[-_. ]+", name.lower())


def _split(folders: list[Path]) -> dict[Path, str]:
    """Which folders are the parts of a split: `train` and `test`, but also `seg_train` and
    `seg_test`, or `Training Set` and `Test Set`; empty if they are classes."""
    sets: dict[tuple[str, ...], dict[Path, str]] = {}
    for folder in folders:
        if part := part_of(folder.name):
            others = tuple(word for word in _words(folder.name) if word not in PARTS)
            sets.setdefault(others, {})[folder] = part
    for others, named in sorted(sets.items()):
        has_classes = any(entry.is_dir() for each in named for entry in _entries(each))
        is_split = "train" in named.values() and len(set(named.values())) > 1
        if is_split and (has_classes or not others):
            return named
    return {}


def _declared_split(folder: Path, folders: list[Path], test: str) -> dict[Path, str]:
    """Which folders are the parts of a split where the one of a name is the test set.

    Raises DataError if there is no such folder beside one to train on.
    """
    names = {name: part for name, part in PARTS.items() if part != "test"} | {test.lower(): "test"}
    found = {inner.name.lower(): inner for inner in folders}
    split = {inner: names[name] for name, inner in found.items() if name in names}
    if not {"train", "test"} <= set(split.values()):
        hint = suggestion(test, sorted(found))
        raise DataError(
            f"data.test: {as_text(folder)} must hold the folders 'train' and {test!r}{hint}"
        )
    return split


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """What is in a folder, in the order of names, without debris and links to themselves."""
    with os.scandir(folder) as entries:
        kept = [entry for entry in entries if not is_debris(entry.name) and not _is_loop(entry)]
    return sorted(kept, key=lambda entry: os.fsencode(entry.name))


def _is_loop(entry: os.DirEntry[str]) -> bool:
    """Whether it is a link that leads back to itself."""
    try:
        entry.is_dir()
    except OSError as error:
        return error.errno == errno.ELOOP
    return False


def files_below(
    folder: Path | os.DirEntry[str], above: frozenset[str] = frozenset()
) -> Iterator[Path]:
    """The files below a folder, in the order of names, without debris.

    Links are followed, except into a folder that they are in.
    """
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from files_below(entry, above | {real})
        elif _is_readable(entry):
            yield Path(entry.path)


def _is_readable(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file, or a link that leads nowhere, but no pipe and no device."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in ENDINGS or is_picture(beginning(file))


def beginning(file: Path) -> bytes:
    """Enough of a file to tell what it is; nothing if it cannot be read."""
    if not file.is_file():  # a device would give bytes without end
        return b""
    try:
        with file.open("rb") as stream:
            return stream.read(1024)
    except OSError:
        return b""


def _check(folder: Path, parts: dict[str, Pictures], named: dict[str, str], beside: int) -> None:
    """Whether there are two classes, each with pictures to train on; `named` as from `mapping`."""
    counts: dict[str, Counter[str]] = {part: Counter() for part in ("train", *parts)}
    for part, pictures in parts.items():
        for name in pictures.keys() & named.keys():
            counts[part][named[name]] += len(pictures[name])
    train = counts.pop("train")
    if not train.total():
        raise DataError(f"{as_text(folder)}: {_what_is_missing(beside)}")
    for name, count in sorted(train.items()):
        if not count:
            raise DataError(
                f"{as_text(folder / name)}: holds no picture; add some, or remove the folder"
            )
    if len(train) < 2:
        raise DataError(
            f"{as_text(folder)}: has pictures of one class only, {next(iter(train))!r}; a network "
            "needs two or more to tell apart"
        )
    for part, others in counts.items():
        if unknown := sorted(name for name in others if others[name] and name not in train):
            hint = did_you_mean(unknown[0], train) or "; add some, or leave it out in data.classes"
            raise DataError(
                f"{as_text(folder)}: the class {unknown[0]!r} has pictures in {part}, but none in "
                f"train{hint}"
            )


def _what_is_missing(beside: int) -> str:
    """Why a folder without pictures of any class is no data set, and what one looks like."""
    if beside:
        return (
            f"holds {counted(beside, 'picture')}, but not in folders of classes; put those of each "
            "class into a folder of its name, or a table of their names and labels, labels.csv, "
            "beside them"
        )
    return (
        "not a data set; it must hold a folder of pictures for each class, the four files of MNIST "
        "(train-images-idx3-ubyte.gz, …), or CSV, Parquet or .npz files and no folders"
    )
