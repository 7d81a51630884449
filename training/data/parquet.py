"""Parquet files, read by pyarrow, which only they need."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wardrobe.training.data.dataset import DataError


def names(path: Path) -> tuple[str, ...]:
    """The names of a file's columns. Raises DataError as `columns` does."""
    found = tuple(_opened(path).schema_arrow.names)
    if twice := [name for name, count in Counter(found).items() if count > 1]:
        raise DataError(f"{path}: two columns are named {twice[0]!r}; rename one of them")
    return found


def size(path: Path) -> int:
    """Bytes of the columns when they are read, without compression."""
    meta = _opened(path).metadata
    return sum(meta.row_group(index).total_byte_size for index in range(meta.num_row_groups))


def columns(path: Path, wanted: tuple[str, ...]) -> list[NDArray[Any]]:
    """The columns of these names: numbers float64 [N], where NaN is missing, or text object [N],
    where "" is missing.

    Raises DataError if pyarrow is not installed, the file is damaged, or a column is of a type that
    is neither.
    """
    file = _opened(path)
    try:
        table = file.read(columns=list(wanted))
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be read ({error}); get a good copy") from error
    return [_column(table[name], name, path) for name in wanted]


def _opened(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            f"{path}: reading Parquet needs pyarrow: pip install 'wardrobe[tables]'"
        ) from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (OSError, ValueError) as error:  # pyarrow's own errors are among them
        raise DataError(f"{path}: cannot be read as Parquet ({error}); get a good copy") from error


def _column(values: Any, name: str, path: Path) -> NDArray[Any]:
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = values.type.value_type if pa.types.is_dictionary(values.type) else values.type
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        numbers = values.cast(pa.float64(), safe=False)  # integers above 2**53 are rounded
        return np.asarray(numbers.to_numpy(), np.float64)
    is_text = (
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )
    if not is_text and not pa.types.is_null(kind) and not pa.types.is_boolean(kind):
        raise DataError(
            f"{path}: column {name!r} holds {kind}, neither numbers nor text; convert it, or leave "
            f"it out with 'columns: {{{name}: ignore}}'"
        )
    return np.asarray(pc.fill_null(values.cast(pa.string()), "").to_pylist(), object)
