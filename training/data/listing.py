"""Which files below a folder are pictures, of which class and which part of a split."""

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wardrobe.models.schema.errors import did_you_mean
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

Pictures = dict[str, list[Path]]
"""The files of each class, classes and files in the order of their names."""


@dataclass(frozen=True)
class Listing:
    """The pictures below a folder.

    parts: `train`, and `validation` and `test` if the folder is split.
    class_names: the folders' names, in their order, without those that `data.classes` leaves out.
    notes: what was left out, one sentence each.
    """

    parts: dict[str, Pictures]
    class_names: tuple[str, ...]
    notes: tuple[str, ...]


def list_pictures(folder: Path, classes: Classes | None = None, test: str | None = None) -> Listing:
    """The pictures of a folder of class folders; `classes` and `test` as in `data`.

    Raises DataError if it is no such folder, or a class has no picture to train on.
    """
    seen = _Seen(PARTS if test is None else _parts_with_test(folder, test))
    try:
        found = seen.parts(_unwrapped(folder))
    except OSError as error:
        raise DataError(f"{as_text(folder)}: cannot be read ({error.strerror})") from error
    names = sorted({name for part in found.values() for name in part})
    named = mapping(classes, names)
    _check(folder, found, named)
    left_out = Counter[str]()
    for pictures in found.values():
        for name in set(pictures) - set(named):
            left_out[name] += len(pictures.pop(name))
    return Listing(
        parts={part: dict(sorted(pictures.items())) for part, pictures in found.items()},
        class_names=tuple(name for name in names if name in named),
        notes=(*seen.notes(), *note_left_out(dict(sorted(left_out.items())))),
    )


class _Seen:
    """Walks folders, and remembers what is left out."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self.names = names  # of folders, in lower case, and which part of a split each is
        self.others: Counter[str] = Counter()  # endings of files that are no pictures
        self.beside = 0  # pictures in no folder of a class
        self.folders: list[str] = []  # that belong to no part of a split

    def parts(self, folder: Path) -> dict[str, Pictures]:
        """The pictures of each part of a split, by class."""
        found: dict[str, Pictures] = {}
        for part, inner in _parts(folder, self):
            for name, files in self._classes(inner).items():
                found.setdefault(part, {}).setdefault(name, []).extend(files)
        return found

    def _classes(self, folder: Path) -> Pictures:
        """The pictures in each subfolder, by its name."""
        pictures: Pictures = {}
        for entry in _entries(folder):
            if entry.is_dir():
                files = [file for file in _files(entry) if self._keep(file)]
                pictures.setdefault(_class_name(entry), []).extend(files)
            elif Path(entry.name).suffix.lower() in ENDINGS:
                self.beside += 1
        return pictures

    def notes(self) -> list[str]:
        """What was left out, one sentence each."""
        notes = []
        if self.others:
            kinds = ", ".join(f"{count:,} {name}" for name, count in self.others.most_common(5))
            notes.append(f"{counted(self.others.total(), 'file')} of other kinds ({kinds})")
        if self.beside:
            notes.append(f"{counted(self.beside, 'picture')} in no class folder")
        if self.folders:
            notes.append(f"what is in no part of the split: {', '.join(self.folders)}")
        return notes

    def _keep(self, file: Path) -> bool:
        if _is_picture(file):
            return True
        self.others[file.suffix.lower() or "without ending"] += 1
        return False


def _parts_with_test(folder: Path, test: str) -> dict[str, str]:
    """`PARTS` where a folder of that name is the test set.

    Raises DataError if there is no such folder beside one to train on.
    """
    names = {name: part for name, part in PARTS.items() if part != "test"} | {test.lower(): "test"}
    try:
        found = {entry.name.lower() for entry in _entries(_unwrapped(folder)) if entry.is_dir()}
    except OSError:
        return names
    if test.lower() not in found or not any(names.get(name) == "train" for name in found):
        hint = did_you_mean(test, sorted(found)) or f"; there are {', '.join(sorted(found))}"
        raise DataError(
            f"data.test: {as_text(folder)} must hold the folders 'train' and {test!r}{hint}"
        )
    return names


def _class_name(folder: os.DirEntry[str]) -> str:
    """Its name, the same whether a system writes é as one character or as two."""
    return unicodedata.normalize("NFC", as_text(folder.name))


def _parts(folder: Path, seen: _Seen) -> Iterator[tuple[str, Path]]:
    """The parts of a split and their folders; all is `train` where the folder is not split."""
    folders = [Path(entry.path) for entry in _entries(folder) if entry.is_dir()]
    names = {inner: seen.names.get(inner.name.lower()) for inner in folders}
    parts = {inner: part for inner, part in names.items() if part is not None}
    if "train" not in parts.values() or len(set(parts.values())) < 2:
        yield "train", folder
        return
    for inner in folders:
        has_classes = any(entry.is_dir() for entry in _entries(inner))
        if inner in parts and has_classes:
            yield parts[inner], inner
        else:
            seen.folders.append(as_text(inner.name))


def _unwrapped(folder: Path) -> Path:
    """The folder, or the one in it that an archive's name wraps around everything."""
    entries = _entries(folder)
    if len(entries) == 1 and entries[0].is_dir():
        inner = Path(entries[0].path)
        if sum(entry.is_dir() for entry in _entries(inner)) > 1:
            return inner
    return folder


def _entries(folder: Path | os.DirEntry[str]) -> list[os.DirEntry[str]]:
    """What is in a folder, in the order of names, without debris."""
    with os.scandir(folder) as entries:
        kept = [entry for entry in entries if not is_debris(entry.name)]
    return sorted(kept, key=lambda entry: os.fsencode(entry.name))


def _files(folder: Path | os.DirEntry[str], above: frozenset[str] = frozenset()) -> Iterator[Path]:
    """The files below a folder; links are followed, except into a folder that they are in."""
    real = os.path.realpath(folder)
    if real in above:
        return
    for entry in _entries(folder):
        if entry.is_dir():
            yield from _files(entry, above | {real})
        elif _is_readable(entry):
            yield Path(entry.path)


def _is_readable(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file, or a link that leads nowhere, but no pipe and no device."""
    try:
        return stat.S_ISREG(entry.stat().st_mode)
    except OSError:
        return True


def _is_picture(file: Path) -> bool:
    return file.suffix.lower() in ENDINGS or is_picture(_beginning(file))


def _beginning(file: Path) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(64)
    except OSError:
        return b""


def _check(folder: Path, parts: dict[str, Pictures], named: dict[str, str]) -> None:
    """Whether there are two classes, each with pictures to train on; `named` as from `mapping`."""
    counts: dict[str, Counter[str]] = {part: Counter() for part in ("train", *parts)}
    for part, pictures in parts.items():
        for name in pictures.keys() & named.keys():
            counts[part][named[name]] += len(pictures[name])
    train = counts.pop("train")
    if len(train) < 2:
        raise DataError(
            f"{as_text(folder)}: not a data set; it must hold either the four files of MNIST "
            "(train-images-idx3-ubyte.gz, …) or a folder of pictures for each class"
        )
    for name, count in sorted(train.items()):
        if not count:
            raise DataError(
                f"{as_text(folder / name)}: holds no picture; add some, or remove the folder"
            )
    for part, others in counts.items():
        if unknown := sorted(name for name in others if others[name] and name not in train):
            hint = did_you_mean(unknown[0], train) or "; add some, or leave it out in data.classes"
            raise DataError(
                f"{as_text(folder)}: the class {unknown[0]!r} has pictures in {part}, but none in "
                f"train{hint}"
            )
