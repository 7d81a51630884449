"""CSV files as people have them: any usual separator, encoding and compression.

What a cell means is decided elsewhere; here a file becomes rows of text with their line numbers.
"""

import csv
import gzip
import io
import math
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from wardrobe.training.data.dataset import DataError

SEPARATORS = ",;\t|"
SAMPLE = 50
"""Lines that decide about the separator."""

_DECLARED = re.compile(r"sep=([,;\t|])", re.IGNORECASE)
"""A first line with which Excel says what separates the others."""

NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
BYTE_ORDER_MARKS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
FOREIGN = {
    b"PK": "a ZIP archive or a workbook: unpack it, or save it as CSV",
    b"PAR1": "a Parquet file: give it the ending .parquet",
    b"<": "a web page or XML: download it again, or save it as CSV",
    b"version https://git-lfs": "a pointer to a file in Git LFS: fetch it with `git lfs pull`",
}
"""Beginnings of files that are something else, and what to do about it."""


@dataclass(frozen=True)
class Layout:
    """How a file is written: its separator, and the names of its columns, None without a header."""

    separator: str
    names: tuple[str, ...] | None
    first: tuple[str, ...]
    header_lines: int

    @property
    def width(self) -> int:
        return len(self.first)


@contextmanager
def opened(path: Path) -> Iterator[io.TextIOWrapper]:
    """The text of a file, decoded and decompressed. Raises DataError naming what is wrong."""
    try:
        with path.open("rb") as file:
            is_compressed = _begins(file, b"\x1f\x8b")
            buffered = io.BufferedReader(gzip.GzipFile(fileobj=file)) if is_compressed else file
            for beginning, what in FOREIGN.items():
                if _begins(buffered, beginning):
                    raise DataError(f"{path}: not CSV but {what}")
            encoding = BYTE_ORDER_MARKS.get(buffered.peek(2)[:2], "utf-8-sig")
            if encoding != "utf-16" and b"\0" in buffered.peek(1)[:1000]:
                raise DataError(f"{path}: not text, for it holds zero bytes; save it as UTF-8")
            with io.TextIOWrapper(buffered, encoding, newline="") as text:
                yield text
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not UTF-8 (there is a byte {error.object[error.start]:#x}); save it as UTF-8"
        ) from error
    except csv.Error as error:
        raise DataError(f"{path}: not CSV ({error})") from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: damaged gzip file ({error}); get a good copy") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error


def _begins(file: Any, beginning: bytes) -> bool:
    """Whether a buffered file, plain or decompressed, begins so."""
    return bool(file.peek(len(beginning)).startswith(beginning))


def by_number(text: str) -> tuple[float, str]:
    """A key for sorting: numbers by their value, then texts."""
    return (float(text) if NUMBER.fullmatch(text) else math.inf, text)


def size(path: Path) -> int:
    """Bytes of a file's text; about, if it is compressed."""
    with path.open("rb") as file:
        return path.stat().st_size * (4 if _begins(file, b"\x1f\x8b") else 1)


def layout(path: Path) -> Layout:
    """The separator and the columns of a file, from its first lines.

    Raises DataError if it is empty, has one column only, or a first line that is neither a header
    nor numbers.
    """
    with opened(path) as text:
        lines = [line for line in islice(text, SAMPLE) if line.strip()]
    declared = _DECLARED.fullmatch(lines[0].strip()) if lines else None
    lines = lines[1:] if declared else lines
    if not lines:
        raise DataError(f"{path}: is empty")
    separator = declared[1] if declared else max(SEPARATORS, key=lambda each: _fit(lines, each))
    first = tuple(cell.strip() for cell in next(csv.reader(lines, delimiter=separator)))
    if len(first) < 2:
        if any(len(row) > 1 for row in csv.reader(lines, delimiter=separator)):
            raise DataError(
                f"{path}:1: has only one column, other lines have more; begin with a line of "
                "column names"
            )
        raise DataError(
            f"{path}: has only one column; separate columns by a comma, semicolon, tab or |"
        )
    numeric = [cell for cell in first if NUMBER.fullmatch(cell)]
    counted = numeric == [str(n) for n in range(len(numeric))]  # as pandas numbers columns
    if numeric == list(first):
        before = int(counted and len(first) > 2) + (declared is not None)
        return Layout(separator, None, first, header_lines=before)
    if numeric and not counted:
        raise DataError(
            f"{path}: its first line holds {numeric[0]!r} beside text: is it a row? Put a line "
            "with the names of the columns before it"
        )
    before = 1 + (declared is not None)
    return Layout(separator, _unique(first, path), first, header_lines=before)


def _fit(lines: Sequence[str], separator: str) -> tuple[bool, int]:
    """Whether a separator gives all lines as many columns, and how many it gives to most."""
    widths = Counter(len(row) for row in csv.reader(lines, delimiter=separator))
    width, _ = widths.most_common(1)[0]
    return len(widths) == 1 and width > 1, width


def _unique(names: tuple[str, ...], path: Path) -> tuple[str, ...]:
    twice = [name for name, count in Counter(names).items() if count > 1 and name]
    if twice:
        raise DataError(f"{path}: two columns are named {twice[0]!r}; rename one of them")
    return names


def rows(path: Path, of: Layout) -> Iterator[tuple[int, list[str]]]:
    """Each row below the header: the line that it ends in, from 1, and its cells, stripped.

    Raises DataError for a row with another number of cells.
    """
    with opened(path) as text:
        reader = csv.reader(text, delimiter=of.separator)
        skipped = 0
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            if skipped < of.header_lines:
                skipped += 1
                continue
            if len(cells) != of.width:
                raise DataError(
                    f"{path}:{reader.line_num}: has {len(cells)} columns, the first line "
                    f"{of.width}; correct that line"
                )
            yield reader.line_num, [cell.strip() for cell in cells]
