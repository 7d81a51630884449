"""Pictures whose classes a table names, as competitions give them: a CSV file with a column of file
names and one of labels, and the pictures anywhere below its folder."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice, takewhile
from pathlib import Path

from wardrobe.serving.images.names import as_text
from wardrobe.training.data import delimited, table_files
from wardrobe.training.data.classes import Classes
from wardrobe.training.data.dataset import DataError, counted
from wardrobe.training.data.listing import (
    ENDINGS,
    PARTS,
    Listing,
    Pictures,
    composed,
    files_below,
    list_pictures,
    listed,
    part_of,
)
from wardrobe.training.data.picture_tables import INDICES
from wardrobe.training.data.table_files import raise_faults
from wardrobe.training.data.tables import target_column

LOOKED_AT = 20
"""Rows that tell which column names pictures."""

OF_FILES = re.compile(r"id$|file|im(age|g)|pic|photo|path|name", re.IGNORECASE)
"""Names of a column that may hold the names of files without their endings."""

OF_PARTS = frozenset({"split", "set", "subset", "partition"})
"""Names of a column that says which part of a split a row is in."""


@dataclass(frozen=True)
class _Row:
    """What a table says about a picture, and where: `FILE:LINE`."""

    place: str
    name: str
    label: str
    part: str


def is_labelled(path: Path, target: str | None = None) -> bool:
    """Whether a table, or the one in a folder, names pictures.

    target: the column of the labels, as declared.
    Raises DataError if both the table and folders beside it may tell the classes, and they differ.
    """
    if path.is_file() and not table_files.is_table(path):
        return False
    try:
        file = table_files.parts(path).files["train"][0]
        of_files = _column_of_files(file, target)
    except (DataError, IndexError):  # no table, several, or one that its own reader refuses
        return False
    if of_files is None:
        return False
    return path.is_file() or target is not None or not _folders_tell(path, file, of_files)


def list_labelled(path: Path, target: str | None = None, classes: Classes | None = None) -> Listing:
    """The pictures that a table names, or the `…_train` and the `…_test` table of a folder.

    target: the column of the labels; None: the only other one, or that named target, label or
        class. A column named split, too, says which part a picture is in.
    classes: as in `data`.
    Raises DataError naming the rows whose picture is not there, or that have no label.
    """
    parts = table_files.parts(path)
    folder = path if path.is_dir() else path.parent
    rows: list[_Row] = []
    notes, tables = [*parts.notes], []
    for part, files in parts.files.items():
        for file in files:
            columns = _columns(file, target, part)
            if columns is None:
                notes.append(f"{file.name}, which has no labels")
                continue
            rows += _rows(file, columns, part)
            tables.append(file)
    _refuse_measures(rows)
    below = _Below(folder)
    found = _found(rows, below)
    named = {picture for pictures in found.values() for of in pictures.values() for picture in of}
    if others := below.pictures - len(named):
        notes.append(f"{counted(others, 'picture')} without a row")
    return replace(listed(folder, found, classes, notes), source=path, tables=tuple(tables))


def columns_of_labels(path: Path) -> list[str]:
    """The columns that may hold the labels, that of the fewest different ones first."""
    file = table_files.parts(path).files["train"][0]
    layout = delimited.layout(file)
    names = _others(layout.names or (), _column_of_files(file, None))
    texts: dict[str, set[str]] = {name: set() for name in names}
    for _, cells in delimited.rows(file, layout):
        for name, cell in zip(layout.names or (), cells, strict=True):
            if name in texts:
                texts[name].add(cell)
    return sorted(texts, key=lambda name: len(texts[name]))


def _column_of_files(file: Path, target: str | None) -> str | None:
    """The column that names pictures, with or without their endings; None if there is none."""
    if table_files.is_parquet(file):
        return None
    layout = delimited.layout(file)
    rows = [cells for _, cells in islice(delimited.rows(file, layout), LOOKED_AT)]
    columns = {
        name: [cells[index] for cells in rows]
        for index, name in enumerate(layout.names or ())
        if name != target and rows
    }
    for name, values in columns.items():
        if sum(Path(value).suffix.lower() in ENDINGS for value in values) > len(values) / 2:
            return name
    for name in filter(OF_FILES.search, columns):
        if all(_is_near(file.parent, value) for value in columns[name][:3]):
            return name
    return None


def _is_near(folder: Path, stem: str) -> bool:
    """Whether a picture of this name and any ending is in a folder, or in one or two below."""
    with suppress(OSError, ValueError):
        near = (folder, *folder.glob("*/"), *folder.glob("*/*/"))
        return any((place / f"{stem}{ending}").is_file() for place in near for ending in ENDINGS)
    return False


@dataclass(frozen=True)
class _Columns:
    """The places of the columns in a row: of the files, the labels, and the part of a split."""

    file: int
    label: int
    part: int | None


def _columns(file: Path, target: str | None, part: str) -> _Columns | None:
    """Where in a row what is; None: there are no labels, as in the test table of a competition.

    Raises DataError if a table to train on has none, or several columns may be meant.
    """
    try:
        names = list(delimited.layout(file).names or ())
    except DataError:
        if part == "test":  # which may have one column only
            return None
        raise
    of_files = _column_of_files(file, target)
    others = _others(names, of_files)
    if part != "train" and (not others or target not in (None, *names)):
        return None
    if of_files is None:
        raise DataError(f"{file}: has no column that names pictures; add one")
    if not others:
        raise DataError(f"{file}: names pictures, but has no column of labels; add one")
    if target is None and len(others) == 1:
        label = others[0]
    else:
        label = target_column(file, others if target is None else names, target)
    of_parts = [index for index, name in enumerate(names) if name.lower() in OF_PARTS]
    return _Columns(names.index(of_files), names.index(label), next(iter(of_parts), None))


def _others(names: Sequence[str], of_files: str | None) -> list[str]:
    """The columns beside that of the files, but for those that count or split the rows."""
    no_labels = {of_files, *INDICES}
    return [name for name in names if name not in no_labels and name.lower() not in OF_PARTS]


def _rows(file: Path, columns: _Columns, part: str) -> Iterator[_Row]:
    for line, cells in delimited.rows(file, delimited.layout(file)):
        said = "" if columns.part is None else cells[columns.part].lower()
        yield _Row(
            place=f"{file}:{line}",
            name=cells[columns.file].replace("\\", "/"),
            label=composed(cells[columns.label]),
            part=PARTS.get(said, part),
        )


def _refuse_measures(rows: Sequence[_Row]) -> None:
    """Raises DataError if the labels are quantities: no picture is of the class 3.7."""
    are_numbers = all(delimited.NUMBER.fullmatch(row.label) for row in rows)
    for row in rows:
        if are_numbers and float(row.label) % 1:
            raise DataError(
                f"{row.place}: the label is {row.label}, but pictures are sorted into classes: "
                "name a column of classes as 'target'"
            )


class _Below:
    """All files below a folder, found by what a table calls them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.pictures = 0
        self._by_name: defaultdict[str, list[Path]] = defaultdict(list)
        self._by_stem: defaultdict[str, list[Path]] = defaultdict(list)
        for file in files_below(folder):
            self._by_name[_key(file.name)].append(file)
            if file.suffix.lower() in ENDINGS:
                self.pictures += 1
                self._by_stem[_key(file.stem)].append(file)

    def find(self, name: str, part: str) -> list[Path]:
        """The files that a name may mean: of several, the one at just this path, or those that
        agree in most of the folders, and of these those in a folder named as the part."""
        *folders, last = map(_key, name.split("/"))
        found = self._by_name.get(last) or self._by_stem.get(last, [])
        if len(found) < 2:
            return found
        if exact := [file for file in found if self._folders(file) == folders]:
            return exact
        agreeing = [self._agreement(file, folders) for file in found]
        best = [file for file, of in zip(found, agreeing, strict=True) if of == max(agreeing)]
        return [file for file in best if part in map(part_of, self._folders(file))] or best

    def _agreement(self, file: Path, folders: Sequence[str]) -> int:
        """In how many folders, from the innermost on, a file's path agrees with those of a name."""
        pairs = zip(reversed(self._folders(file)), reversed(folders), strict=False)
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))

    def _folders(self, file: Path) -> list[str]:
        return [_key(name) for name in file.relative_to(self.folder).parts[:-1]]


def _key(name: str) -> str:
    """A name, the same on systems that tell capitals and accents apart and on others."""
    return composed(name).casefold()


def _found(rows: Sequence[_Row], below: _Below) -> dict[str, Pictures]:
    """The files of each part and class, in the order of their names.

    Raises DataError naming the rows that name no picture, several, or one with two labels.
    """
    labels: dict[Path, str] = {}
    found: dict[str, dict[str, set[Path]]] = {"train": {}}

    def faults() -> Iterator[str]:
        for row in rows:
            files = below.find(row.name, row.part) if row.name else []
            if not row.label:
                yield f"{row.place}: the label is missing"
            elif not files:
                yield f"{row.place}: there is no picture {row.name!r}"
            elif len(files) > 1:
                both = " and ".join(as_text(file.relative_to(below.folder)) for file in files[:2])
                yield f"{row.place}: {row.name!r} could be {both}"
            elif labels.setdefault(files[0], row.label) != row.label:
                above = labels[files[0]]
                yield f"{row.place}: {row.name!r} is {row.label!r} here, but {above!r} above"
            else:
                found.setdefault(row.part, {}).setdefault(row.label, set()).add(files[0])

    raise_faults(
        faults(),
        "Correct or remove these rows. Pictures may be anywhere below "
        f"{as_text(below.folder)}; to train on the other columns alone, ignore the one with their "
        "names: 'columns: {COLUMN: ignore}'",
    )
    return {
        part: {label: sorted(files) for label, files in by_label.items()}
        for part, by_label in found.items()
    }


def _folders_tell(folder: Path, file: Path, of_files: str) -> bool:
    """Whether folders of pictures beside a table are the classes: some column has one value for all
    pictures in a folder, and several in all.

    Raises DataError if there are such folders, but no such column.
    """
    try:
        parts = list_pictures(folder).parts
    except DataError:
        return False
    class_of = {
        picture: name
        for pictures in parts.values()
        for name, of_class in pictures.items()
        for picture in of_class
    }
    layout, below = delimited.layout(file), _Below(folder)
    names = list(layout.names or ())
    values: dict[str, defaultdict[str, set[str]]] = {name: defaultdict(set) for name in names}
    for _, cells in delimited.rows(file, layout):
        for picture in below.find(cells[names.index(of_files)].replace("\\", "/"), "train"):
            for name, cell in zip(names, cells, strict=True):
                values[name][class_of.get(picture, "")].add(cell)
    for by_folder in values.values():
        distinct = {cell for cells in by_folder.values() for cell in cells}
        if len(distinct) > 1 and all(len(cells) == 1 for cells in by_folder.values()):
            return True
    raise DataError(
        f"{folder}: {file.name} labels the pictures differently from their folders: give the path "
        f"of {file.name} to use its labels, or move it elsewhere to use the folders"
    )
