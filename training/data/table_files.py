"""Tables on disk, CSV or Parquet: which files are which part, and their columns as they stand."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from wardrobe.serving.images.names import is_debris
from wardrobe.training.data import delimited, memory, parquet
from wardrobe.training.data.dataset import DataError

FILE = re.compile(
    r"(?P<stem>[^.].*?)\.(?P<kind>csv|tsv|parquet)(\.gz)?",
    re.IGNORECASE,
)
TEXTS = (".txt", ".data")
"""Further endings of CSV files, where the path of one is given."""

PART = re.compile(
    r"(?P<set>.*?)[-_. ]?(?:(?P<train>train(?:ing)?)|(?P<validation>val(?:id(?:ation)?)?|dev)|"
    r"(?P<test>test(?:ing)?))(?:[-_]\d+-of-\d+(?:-[0-9a-f]+)?)?",
    re.IGNORECASE,
)
"""The ends of names that say which part a file holds; large Parquet sets come in several files."""

MISSING = frozenset(
    {"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "NULL", "null", "None", "?", "-"}
)
"""How a missing number is written; for categories these are words, but for the first."""

DECIMAL_COMMA = re.compile(r"[-+]?\d+(,\d+)+")

LIKE_NUMBER = re.compile(
    r"[-+(]?\s*[$€£¥₹]?\s*[-+]?(\d{1,3}([,.'’\s]\d{3})+|\d+)([.,]\d+)?\s*"
    r"([%‰$€£¥₹°]|(?!st|nd|rd|th)[a-zµ°²³/]{1,5}\.?)?\)?|[-+]?inf(inity)?",
    re.IGNORECASE,
)
"""A number as people write one: with a currency, a unit, a sign for percent, thousands apart."""

SHOWN = 20
"""Faults that are listed; of further ones only the number is given."""

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class Parts:
    """The files of each part, of which all but the first may have none, and what was left out, one
    sentence each."""

    files: dict[Part, list[Path]]
    notes: tuple[str, ...] = ()

    @property
    def every(self) -> list[Path]:
        return [file for part in PARTS for file in self.files[part]]


@dataclass(frozen=True)
class Table:
    """A file's columns as they stand, by name.

    Text is object [N], where "" is missing; numbers are float64 [N], where NaN is. `lines` says in
    which line (or row, of Parquet) of the file each value stands.
    """

    path: Path
    columns: dict[str, NDArray[Any]]
    lines: Sequence[int]

    def fault(self, row: int, name: str, what: str) -> str:
        """A line of a message about the value in a row, counted from 0, of a column."""
        return f"{self.path}:{self.lines[row]}: column {name!r} {what}"


def is_table(path: Path) -> bool:
    """Whether a path is such a file, or a folder that holds some, but no folders."""
    if path.is_file():
        return FILE.fullmatch(path.name) is not None or path.suffix.lower() in TEXTS
    return bool(_files(path)) and not has_folders(path)


def has_folders(path: Path) -> bool:
    """Whether a folder holds others, which may be those of classes; systems' own do not count, nor
    do those of tables, which archives hold twice."""
    return any(
        entry.is_dir() and not is_debris(entry.name) and not _files(entry)
        for entry in path.iterdir()
    )


def parts(path: Path) -> Parts:
    """The files of each part at a path.

    Raises DataError if a folder holds files whose names do not tell.
    """
    files = [path] if path.is_file() else _files(path)
    if len(files) == 1:
        return Parts({"train": files, "validation": [], "test": []})
    found: dict[Part, list[Path]] = {part: [] for part in PARTS}
    sets, others = set(), []
    for file in files:
        match = PART.fullmatch(_stem(file))
        if match:
            sets.add(match["set"].lower())
            found[next(part for part in PARTS if match[part])].append(file)
        else:
            others.append(file.name)
    if not found["train"] or len(sets) > 1:
        raise DataError(
            f"{path}: holds {', '.join(file.name for file in files)}; give the path of one of "
            "them, or name them …_train and …_test"
        )
    return Parts(found, tuple(f"{name}, not named train, test or val" for name in others))


def _files(folder: Path) -> list[Path]:
    with suppress(OSError):
        return sorted(
            file for file in folder.iterdir() if FILE.fullmatch(file.name) and file.is_file()
        )
    return []


def _stem(file: Path) -> str:
    match = FILE.fullmatch(file.name)
    return match["stem"] if match else file.name


def require_memory(files: Iterable[Path], each_byte: float) -> None:
    """Refuses files that need more memory than there is.

    each_byte: bytes of memory for each byte of text; those of Parquet need two.
    """
    for file in files:
        size = 2 * parquet.size(file) if is_parquet(file) else each_byte * delimited.size(file)
        memory.require(
            file, int(size), "use a file with fewer rows, or train on a machine with more"
        )


def is_parquet(file: Path) -> bool:
    match = FILE.fullmatch(file.name)
    return match is not None and match["kind"].lower() == "parquet"


def names(file: Path) -> tuple[str, ...] | None:
    """The names of a file's columns; None if it has no header. Raises DataError if unreadable."""
    return parquet.names(file) if is_parquet(file) else delimited.layout(file).names


def read(file: Path, left_out: Iterable[str] = ()) -> Table:
    """All columns of a file but those to be left out, and but a nameless one that is empty or
    counts the rows, as pandas writes it.

    Raises DataError, naming the line, if it cannot be read or has no header.
    """
    if is_parquet(file):
        wanted = tuple(
            name for name in parquet.names(file) if name not in {*left_out, "__index_level_0__"}
        )
        values = parquet.columns(file, wanted)
        return Table(file, dict(zip(wanted, values, strict=True)), range(1, len(values[0]) + 1))
    return _read_csv(file, set(left_out))


def _read_csv(file: Path, left_out: set[str]) -> Table:
    layout = delimited.layout(file)
    if layout.names is None:
        raise DataError(
            f"{file}: its first line holds only numbers; put a line with the names of the columns "
            "before it"
        )
    lines, cells = [], []
    for line, row in delimited.rows(file, layout):
        lines.append(line)
        cells.append(row)
    if not cells:
        raise DataError(f"{file}: has a header but no rows")
    columns = {}
    for name, column in zip(layout.names, zip(*cells, strict=True), strict=True):
        if name in left_out or (not name and _says_nothing(column)):
            continue
        if not name:
            raise DataError(f"{file}: a column has no name; write one into the first line")
        columns[name] = np.array(_pointed(column) if layout.separator != "," else column, object)
    return Table(file, columns, lines)


def _pointed(column: Sequence[str]) -> Sequence[str]:
    """Cells with a decimal point in place of a comma, if they are numbers written with one.

    If three digits follow each comma, it may as well part thousands: then they stay as they are.
    """
    with_comma = [cell for cell in column if DECIMAL_COMMA.fullmatch(cell)]
    numbers = [cell for cell in column if delimited.NUMBER.fullmatch(cell)]
    are_decimal = any(len(cell.rpartition(",")[2]) != 3 for cell in with_comma) and all(
        cell.count(",") == 1 for cell in with_comma
    )
    are_most = 2 * (len(with_comma) + len(numbers)) > len(column)
    if not (are_decimal and are_most) or any("." in number for number in numbers):
        return column
    return [cell.replace(",", ".") if DECIMAL_COMMA.fullmatch(cell) else cell for cell in column]


def _says_nothing(column: Sequence[str]) -> bool:
    """Whether a column is empty or counts the rows from 0 or 1."""
    return not any(column) or any(
        all(cell == str(number) for number, cell in enumerate(column, first)) for first in (0, 1)
    )


def raise_faults(faults: Iterator[str], cure: str) -> None:
    """Raises DataError with the first faults, how many more there are, and what to do."""
    found = list(faults)
    if found:
        more = f"\n… and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
        raise DataError("\n".join(found[:SHOWN]) + more + f"\n{cure}")
