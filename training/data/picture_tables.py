"""Tables of pictures, CSV or Parquet: a column of labels and one for each pixel."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wardrobe.training.data import delimited, parquet, table_files
from wardrobe.training.data.dataset import Collection, DataError, Examples, file_hash
from wardrobe.training.data.table_files import raise_faults

PIXEL = re.compile(r"(?:pixel|px|pix)?[-_ ]?(?P<number>\d+)|(?P<row>\d+)x(?P<column>\d+)", re.I)
"""Names of pixel columns: `pixel0`, `1x1` (row and column), or a number alone."""

INDICES = frozenset({"", "index", "id", "Unnamed: 0"})
"""Names of a column that only counts the rows."""

FEWEST_PIXELS = 16
ROWS_AT_ONCE = 2_000

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Layout:
    """Where in a row the label and the pixels are, and the shape of a picture."""

    label: int | None  # None: the file has no labels
    pixels: tuple[int, ...]
    shape: tuple[int, ...]


def are_pictures(path: Path) -> bool:
    """Whether a table's columns are those of pictures: at least 16 are named as pixels, counted
    from 0 or 1, and at most three are not; without a header, all but one are.

    Raises DataError if its columns cannot be read.
    """
    first = table_files.parts(path).files["train"][0]
    names = table_files.names(first)
    if names is None:
        return True  # there is no other use of a table without a header
    pixels = sorted(_place(match) for name in names if (match := PIXEL.fullmatch(name)))
    are_enough = len(pixels) >= max(FEWEST_PIXELS, len(names) - 3)
    return are_enough and max(pixels[0]) <= 1 and len(set(pixels)) == len(pixels)


def _place(name: re.Match[str]) -> tuple[int, int]:
    """Row and column of a pixel's name; of a number alone, the row is 0."""
    if name["number"] is not None:
        return 0, int(name["number"])
    return int(name["row"]), int(name["column"])


def collect(path: Path, target: str | None = None, size: Sequence[int] | None = None) -> Collection:
    """All pictures of a file, or of a folder of a `…train` and a `…test` file: uint8 [N, H, W],
    0–255, or [N, H, W, 3]; classes in the order of their labels.

    Args:
        target: the column of the labels; None: the only one that is not a pixel.
        size: height and width, where the number of pixels does not tell.

    Raises:
        DataError: a file cannot be read, or values are not pixels or labels; the first of them
            are named by file, line and column.
    """
    parts = table_files.parts(path)
    table_files.require_memory(parts.every, 0.5)
    notes, every = list(parts.notes), []
    sizes = dict.fromkeys(parts.files, 0)
    for part, files in parts.files.items():
        for file in files:
            layout = _layout(file, target, size)
            if layout.label is not None:
                every.append(_read(file, layout))
                sizes[part] += len(every[-1][0])
            elif part == "train":
                raise DataError(f"{file}: has no column {target or 'of labels'}; add one")
            else:
                notes.append(f"{file.name}, which has no labels")
    if len({images.shape[1:] for images, _ in every}) > 1:
        raise DataError(f"{path}: the training and the test pictures are of different sizes")
    labels = [label for _, of_file in every for label in of_file]
    classes = sorted(set(labels), key=delimited.by_number)
    if len(classes) < 2:
        raise DataError(f"{path}: all pictures have the label {classes[0]!r}; there must be two")
    place = {label: index for index, label in enumerate(classes)}
    return Collection(
        examples=Examples(
            np.concatenate([images for images, _ in every]),
            np.array([place[label] for label in labels], np.int32),
        ),
        test_size=sizes["test"] or None,
        validation_size=sizes["validation"] or None,
        class_names=tuple(classes),
        hashes={file.name: file_hash(file) for file in parts.every},
        source=str(path),
        notes=tuple(notes),
    )


def _layout(file: Path, target: str | None, size: Sequence[int] | None) -> _Layout:
    names = table_files.names(file)
    if names is None:
        return _layout_without_header(file, size)
    matches = {index: PIXEL.fullmatch(name) for index, name in enumerate(names) if name != target}
    pixels = {index: _place(match) for index, match in matches.items() if match}
    labels = [index for index, name in enumerate(names) if index not in pixels]
    if target is not None:
        labels = [names.index(target)] if target in names else []
    elif len(labels) > 1:
        labels = [index for index in labels if names[index] not in INDICES]
    if len(labels) > 1:
        others = ", ".join(repr(names[index]) for index in labels)
        raise DataError(
            f"{file}: which of {others} are the labels? Declare it: data: {{name: …, target: "
            "COLUMN}"
        )
    if not labels:
        return _Layout(None, (), ())
    in_order = sorted(pixels, key=pixels.__getitem__)
    shape = _shape([pixels[index] for index in in_order], file, size)
    return _Layout(labels[0], tuple(in_order), shape)


def _layout_without_header(file: Path, size: Sequence[int] | None) -> _Layout:
    """The label comes first or last, where the first rows have whole numbers that count classes."""
    layout = delimited.layout(file)
    if layout.width <= FEWEST_PIXELS and size is None:
        raise DataError(
            f"{file}: has no header; put a line with the names of the columns before the first"
        )
    rows = [cells for _, cells in islice(delimited.rows(file, layout), 1_000)]
    last = layout.width - 1
    found = [place for place in (0, last) if _counts_classes([row[place] for row in rows])]
    if len(found) != 1:
        which = "both its first and its last" if found else "neither its first nor its last"
        raise DataError(
            f"{file}: has no header, and {which} column can be the labels; put a line such as "
            "'label,pixel0,pixel1,…' before the first"
        )
    pixels = tuple(range(1, layout.width)) if found == [0] else tuple(range(last))
    return _Layout(found[0], pixels, _shape([(0, i) for i in pixels], file, size))


def _counts_classes(cells: Sequence[str]) -> bool:
    """Whether these are labels: whole numbers without gaps from 0 or 1, each of them repeated."""
    if not all(cell.isdecimal() for cell in cells):
        return False
    numbers = sorted({int(cell) for cell in cells})
    without_gaps = numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return numbers[0] in (0, 1) and without_gaps and 2 <= len(numbers) <= len(cells) // 2


def _shape(
    places: Sequence[tuple[int, int]], file: Path, size: Sequence[int] | None
) -> tuple[int, ...]:
    """The shape of a picture: as the names of its pixels say, as declared, or square, grey or in
    three colours, which are then the last axis."""
    count, (top, left), (bottom, right) = len(places), places[0], places[-1]
    height, width = bottom - top + 1, right - left + 1
    if height > 1:
        if height * width == count:
            return (height, width)
        raise DataError(f"{file}: has {count} pixel columns, not {height} rows of {width}")
    if size is not None and count in (math.prod(size), 3 * math.prod(size)):
        return tuple(size) if count == math.prod(size) else (*size, 3)
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side and side**2 * channels == count:
            return (side, side) if channels == 1 else (side, side, 3)
    raise DataError(
        f"{file}: {count} pixels do not form a square; declare the height and the width: "
        "data: {name: …, size: [HEIGHT, WIDTH]}"
    )


def _read(file: Path, layout: _Layout) -> tuple[Pixels, list[str]]:
    """The pictures of a file, uint8 [N, *shape], and their labels as text."""
    is_parquet = table_files.is_parquet(file)
    pixels, labels = (_read_parquet if is_parquet else _read_csv)(file, layout)
    raise_faults(
        (
            f"{file}:{row + 1}: the label is missing"
            for row, label in enumerate(labels)
            if not label
        ),
        "Remove the rows without a label",
    )
    return pixels.reshape(-1, *layout.shape), labels


def _read_csv(file: Path, layout: _Layout) -> tuple[Pixels, list[str]]:
    of = delimited.layout(file)
    rows, labels, parts = delimited.rows(file, of), [], []
    while chunk := list(islice(rows, ROWS_AT_ONCE)):
        labels += [cells[layout.label or 0] for _, cells in chunk]
        parts.append(_pixels(file, layout, of.names, chunk))
    if not parts:
        raise DataError(f"{file}: has a header but no rows")
    return np.concatenate(parts), labels


def _pixels(
    file: Path,
    layout: _Layout,
    names: tuple[str, ...] | None,
    chunk: Sequence[tuple[int, list[str]]],
) -> Pixels:
    first, last = layout.pixels[0], layout.pixels[-1] + 1
    are_together = layout.pixels == tuple(range(first, last))
    taken = [
        cells[first:last] if are_together else [cells[index] for index in layout.pixels]
        for _, cells in chunk
    ]
    try:
        values = np.array(taken, np.float32)
    except ValueError:  # one that is not a number: found below
        values = np.array([[_number(cell) for cell in cells] for cells in taken], np.float32)
    wrong = ~((values >= 0) & (values <= 255) & (values == np.floor(values)))

    def faults() -> Iterator[str]:
        for row, place in np.argwhere(wrong):
            name = names[layout.pixels[place]] if names else layout.pixels[place] + 1
            cell = taken[row][place]
            yield f"{file}:{chunk[row][0]}: column {name!r} holds {cell!r}, which is not a pixel"

    raise_faults(faults(), "Pixels are whole numbers from 0 to 255")
    return values.astype(np.uint8)


def _number(cell: str) -> float:
    return float(cell) if delimited.NUMBER.fullmatch(cell) else math.nan


def _read_parquet(file: Path, layout: _Layout) -> tuple[Pixels, list[str]]:
    names = parquet.names(file)
    label, *columns = parquet.columns(
        file, (names[layout.label or 0], *(names[index] for index in layout.pixels))
    )
    for index, values in enumerate(columns):
        numbers = values if values.dtype != object else np.full(len(values), np.nan)
        wrong = ~((numbers >= 0) & (numbers <= 255) & (numbers == np.floor(numbers)))
        raise_faults(
            (
                f"{file}:{row + 1}: column {names[layout.pixels[index]]!r} holds {values[row]!r}, "
                "which is not a pixel"
                for row in np.flatnonzero(wrong)
            ),
            "Pixels are whole numbers from 0 to 255",
        )
    return np.stack(columns, axis=1).astype(np.uint8), _texts(label)


def _texts(labels: NDArray[Any]) -> list[str]:
    if labels.dtype == object:
        return list(labels)
    return ["" if math.isnan(label) else f"{label:.17g}" for label in labels.tolist()]
