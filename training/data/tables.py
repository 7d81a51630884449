"""Tables of one's own: a row an example, columns of numbers and categories, and a target column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wardrobe.models.schema.errors import suggestion
from wardrobe.training.data import delimited, table_files
from wardrobe.training.data.columns import Floats, Kind, RawColumn, Target
from wardrobe.training.data.dataset import Collection, DataError, Examples, file_hash
from wardrobe.training.data.listing import ENDINGS
from wardrobe.training.data.table_files import (
    DECIMAL_COMMA,
    LIKE_NUMBER,
    MISSING,
    Table,
    raise_faults,
)

Kinds = Mapping[str, Kind]

TARGETS = ("target", "label", "class")
"""Names of a column that is predicted if the declaration names none."""

ID = re.compile(r"(^|[-_ .])([Ii][Dd]|[Ii]ndex|nr|no|row)$|[a-z]I[Dd]$|^Unnamed: 0$")
"""Names of columns that may number the rows."""

FEW_NUMBERS = 20
"""A target of whole numbers is a class unless there are more of them than that."""

MEMORY_OF_TEXT = 8.0
"""Memory for each byte of text while a table is read, half of what was measured: see `memory`."""

FEW_CATEGORIES = 50
"""More of them are taken for categories only if half of the rows repeat one, or if declared."""

FEW_ROWS = 12
"""In more rows than that, texts of which none is there twice are not taken for categories."""


def collect(path: Path, target: str | None = None, kinds: Kinds | None = None) -> Collection:
    """All rows of a CSV or Parquet file, or of a folder of a `…train` and a `…test` file.

    Args:
        target: the column to predict; None: the one named target, label or class.
        kinds: what columns hold, number or category, or which to ignore; of others their values
            decide.

    Raises:
        DataError: a file cannot be read, or values are not what the columns hold; the first of
            them are named by file, line and column.
    """
    kinds = dict(kinds or {})
    parts = table_files.parts(path)
    table_files.require_memory(parts.every, MEMORY_OF_TEXT)
    ignored = [name for name, kind in kinds.items() if kind == "ignore"]
    tables = {
        part: [table_files.read(file, ignored) for file in files]
        for part, files in parts.files.items()
    }
    first = tables["train"][0]
    chosen = target_column(first.path, list(first.columns), target)
    notes = [*parts.notes, *_leave_out_without(chosen, tables["test"])]
    every = [table for part in table_files.PARTS for table in tables[part]]
    _check_names(every, {*kinds} - {*ignored})
    kinds = _kinds(tables["train"], chosen, kinds)
    rows = every[0].columns
    y, class_names = _targets(every, chosen, kinds[chosen])
    columns, values = [], []
    for name in rows:
        if name != chosen:
            column, read = _feature(every, name, kinds[name])
            columns.append(column)
            values.append(read)
    if not columns:
        raise DataError(f"{path}: has no column but the target {chosen!r}; there must be others")
    return Collection(
        examples=Examples(np.stack(values, axis=1), y),
        test_size=sum(len(table.lines) for table in tables["test"]) or None,
        validation_size=sum(len(table.lines) for table in tables["validation"]) or None,
        class_names=class_names,
        hashes={file.name: file_hash(file) for file in parts.every},
        source=str(path),
        notes=tuple(notes),
        columns=tuple(columns),
        target=Target(chosen, "number" if class_names is None else "category"),
    )


def _leave_out_without(target: str, tables: list[Table]) -> list[str]:
    """Removes test files that lack the target, as competitions give them; a note for each."""
    without = [table for table in tables if target not in table.columns]
    tables[:] = [table for table in tables if target in table.columns]
    return [f"{table.path.name}, which has no column {target!r}" for table in without]


def _check_names(tables: Sequence[Table], declared: set[str]) -> None:
    """Whether all files have the same columns, and those that the declaration names."""
    first = tables[0]
    for table in tables[1:]:
        for one, other in ((first, table), (table, first)):
            for name in one.columns.keys() - other.columns.keys():
                raise DataError(f"{other.path}: has no column {name!r}, but {one.path} has")
    for name in sorted(declared - first.columns.keys()):
        raise DataError(f"{first.path}: has no column {name!r}{suggestion(name, first.columns)}")


def target_column(file: Path, names: Sequence[str], declared: str | None) -> str:
    """The column to predict among those of a file: as declared, or by its name.

    Raises DataError if it is not there, or several may be meant.
    """
    if declared is None:
        found = [name for name in names if name.lower() in TARGETS]
        if len(found) == 1:
            return found[0]
        raise DataError(
            f"{file}: which column should be predicted? Declare it: data: {{name: …, target: "
            f"COLUMN}}; there are {', '.join(names)}"
        )
    if declared not in names:
        hint = suggestion(declared, names)
        raise DataError(f"{file}: target: has no column {declared!r}{hint}")
    return declared


def _joined(tables: Sequence[Table], name: str) -> NDArray[Any]:
    return np.concatenate([table.columns[name] for table in tables])


def _kinds(tables: Sequence[Table], target: str, declared: Kinds) -> dict[str, Kind]:
    """What each column holds. Raises DataError naming all whose values do not tell."""
    kinds, problems = dict(declared), []
    for name in tables[0].columns.keys() - declared.keys():
        try:
            kinds[name] = _kind(tables, name, is_target=name == target)
        except DataError as error:
            problems.append(str(error))
    if problems:
        raise DataError("\n".join(sorted(problems)))
    return kinds


def _kind(tables: Sequence[Table], name: str, is_target: bool) -> Kind:
    """What a column holds, from its values in the training files."""
    values = _joined(tables, name)
    if values.dtype != object:
        numbers = values[~np.isnan(values)]
        is_class = is_target and _are_few_whole_numbers(numbers)
        return "category" if is_class else "number"
    written = [text for text in values if text not in MISSING]
    if not written:
        raise DataError(
            f"{tables[0].path}: column {name!r} is empty; leave it out with "
            f"'columns: {{{name}: ignore}}'"
        )
    numeric = [text for text in written if delimited.NUMBER.fullmatch(text)]
    with_comma = [text for text in written if DECIMAL_COMMA.fullmatch(text)]
    if len(numeric) + len(with_comma) > len(written) // 2:
        is_class = is_target and len(numeric) == len(written)
        few = is_class and _are_few_whole_numbers(np.array(numeric, np.float64))
        return "category" if few else "number"
    distinct, rows = len(set(written)), len(values)
    if not is_target and (named := [t for t in written if Path(t).suffix.lower() in ENDINGS]):
        raise DataError(
            f"{tables[0].path}: column {name!r} holds names of pictures, such as {named[0]!r}, "
            "which are not read from a table: put the pictures of each class into a folder of its "
            f"name, or leave the column out with 'columns: {{{name}: ignore}}'"
        )
    many = FEW_CATEGORIES if distinct < rows else FEW_ROWS
    if not is_target and distinct > max(many, rows // 2):
        numbers = LIKE_NUMBER.fullmatch(written[0]) is not None
        plainly = "write them as plain numbers, such as 1200.5, or " if numbers else ""
        raise DataError(
            f"{tables[0].path}: column {name!r} has {distinct:,} different texts in {rows:,} rows, "
            f"such as {written[0][:40]!r}: {plainly}leave it out with 'columns: {{{name}: "
            f"ignore}}', or, if they are categories, declare 'columns: {{{name}: category}}'"
        )
    return "category"


def _are_few_whole_numbers(numbers: NDArray[Any]) -> bool:
    distinct = np.unique(numbers)
    return len(distinct) <= FEW_NUMBERS and bool((distinct == np.floor(distinct)).all())


def _feature(tables: Sequence[Table], name: str, kind: Kind) -> tuple[RawColumn, Floats]:
    """A column and its values, float32 [N]: numbers, or the places of categories."""
    if kind == "number":
        return RawColumn(name), _numbers(tables, name)
    texts = np.concatenate([_texts(table.columns[name]) for table in tables])
    categories, places = np.unique(texts.astype(str), return_inverse=True)
    return RawColumn(name, tuple(categories.tolist())), places.astype(np.float32)


def _targets(
    tables: Sequence[Table], name: str, kind: Kind
) -> tuple[NDArray[Any], tuple[str, ...] | None]:
    """The targets and the names of the classes, in the order of numbers if they are numbers.

    Raises DataError if some are missing, or there are not two classes.
    """
    values = _joined(tables, name)
    numbers = _numbers(tables, name) if kind == "number" else None
    texts = _texts(values)
    missing = np.isnan(numbers) if numbers is not None else texts == ""
    raise_faults(_faults(tables, name, missing, "is missing"), "Remove the rows without a target")
    if numbers is not None:
        return numbers[:, None], None
    classes = sorted(set(texts), key=delimited.by_number)
    if len(classes) < 2:
        raise DataError(
            f"{tables[0].path}: the target {name!r} has one class only, {classes[0]!r}; there must "
            "be two"
        )
    place = {text: index for index, text in enumerate(classes)}
    return np.array([place[text] for text in texts], np.int32), tuple(classes)


def _texts(values: NDArray[Any]) -> NDArray[Any]:
    """Categories as text; whole numbers without a point."""
    if values.dtype == object:
        return values
    return np.array(["" if np.isnan(v) else f"{v:.17g}" for v in values.tolist()], object)


def _numbers(tables: Sequence[Table], name: str) -> Floats:
    """A column's numbers, float32 [N], NaN where one is missing.

    Raises DataError naming the values that are not finite numbers.
    """
    values = _joined(tables, name)
    if values.dtype == object:
        known = [delimited.NUMBER.fullmatch(text) is not None for text in values]
        wrong = np.array([not k and v not in MISSING for k, v in zip(known, values, strict=True)])
        texts = values[wrong]
        comma = any(DECIMAL_COMMA.fullmatch(text) for text in texts)
        cure = (
            "Write numbers with a point, as 3.14, and without a comma"
            if comma
            else f"Correct them, leave them empty, or declare 'columns: {{{name}: category}}'"
        )
        raise_faults(_faults(tables, name, wrong, "holds {!r}, which is not a number"), cure)
        values = np.array(
            [float(v) if k else np.nan for k, v in zip(known, values, strict=True)], np.float64
        )
    with np.errstate(over="ignore"):
        narrow = values.astype(np.float32)
    raise_faults(_faults(tables, name, np.isinf(narrow), "is not a finite number"), "Correct them")
    return narrow


def _faults(
    tables: Sequence[Table], name: str, wrong: NDArray[np.bool_], what: str
) -> Iterator[str]:
    """A line of a message for each wrong value; `what` may have a place for the value."""
    start = 0
    for table in tables:
        values = table.columns[name]
        for row in np.flatnonzero(wrong[start : start + len(values)]):
            yield table.fault(int(row), name, what.format(values[row]))
        start += len(values)


def columns_of_no_use(path: Path, target: str) -> list[str]:
    """The columns whose values do not tell what they hold, such as names of people, and those that
    number the rows.

    Raises:
        DataError: a file cannot be read.
    """
    files = table_files.parts(path).files["train"]
    every = [table_files.read(file) for file in files]
    found = []
    for name in every[0].columns:
        try:
            _kind(every, name, is_target=name == target)
        except DataError:
            found.append(name)
        else:
            if name != target and ID.search(name) and _numbers_rows(_joined(every, name)):
                found.append(name)
    return found


def _numbers_rows(values: NDArray[Any]) -> bool:
    """Whether these are whole numbers, each of them one more than that before."""
    if values.dtype == object:
        if not all(text.isdecimal() for text in values):
            return False
        values = values.astype(np.float64)
    return bool((np.diff(values) == 1).all())
