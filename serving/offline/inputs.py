"""Where the pictures to classify lie: files, folders, globs, lists of files, tar files, Parquet."""

from __future__ import annotations

import glob
import lzma
import os
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from wardrobe.serving.errors import ServingError
from wardrobe.serving.images.classify import Upload
from wardrobe.serving.images.names import as_text, is_debris

FILES = 1000
"""Files of one source: what one task of a cluster reads."""

ROWS = 64
"""Rows of a Parquet file that are in memory at a time."""

ARCHIVES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
LISTS = (".txt", ".lst")


class InputError(ServingError):
    """An input is not there, or is of no kind that can be read."""


@dataclass(frozen=True)
class Unreadable:
    """A file that cannot be read, and why."""

    name: str
    reason: str

    @property
    def answer(self) -> dict[str, Any]:
        return {"file": self.name, "error": self.reason, "status": 404}


@dataclass(frozen=True)
class Source:
    """Some pictures, in an order that is always the same: the files `names`, or those inside the
    archive or the table `path`."""

    path: Path
    names: tuple[str, ...] = ()
    column: str = ""

    def uploads(self, start: int = 0) -> Iterator[Upload | Path]:
        """The pictures from number `start` on: their bytes, or files that are still to be read."""
        if self.names:
            return map(Path, self.names[start:])
        if self.column:
            return _rows(self.path, self.column, start)
        return _members(self.path, start)

    def __len__(self) -> int:
        """How many pictures there are; a compressed archive is read through for it."""
        if self.names:
            return len(self.names)
        if self.column:
            return int(_parquet(self.path).metadata.num_rows)
        with _damage_named(self.path), tarfile.open(self.path) as archive:
            return sum(1 for _ in _pictures_in(archive))


def read(picture: Upload | Path) -> Upload | Unreadable:
    """The bytes of a picture, or why its file cannot be read."""
    if isinstance(picture, Upload):
        return picture
    name = as_text(picture)
    try:
        return Upload(name, picture.read_bytes())
    except OSError as error:
        return Unreadable(name, error.strerror or str(error))


def name_of(picture: Upload | Path) -> str | None:
    return picture.name if isinstance(picture, Upload) else as_text(picture)


def sources(inputs: Iterable[str]) -> Iterator[Source]:
    """Where the pictures of the inputs lie, found one after the other.

    An input is a file; a folder, with all that is below it; a glob such as `photos/**/*.jpg`; a
    list of files, one a line (`.txt`, `.lst`); a tar file; or a Parquet file, `FILE:COLUMN`
    where it has several columns of bytes.

    Raises:
        InputError: an input is not there or cannot be read.
    """
    for text in inputs:
        path, column = Path(text), ""
        if not path.exists() and ".parquet:" in text:
            name, _, column = text.rpartition(":")
            path = Path(name)
        if glob.has_magic(text) and not path.exists():
            found = sorted(glob.glob(text, recursive=True))  # noqa: PTH207, it takes absolute ones
            if not found:
                raise InputError(f"no file matches {text}")
            yield from _in_groups(path, found)
            continue
        if not path.exists():
            raise InputError(f"{text} does not exist")
        if path.is_dir():
            yield from _in_groups(path, files_below(path))
        elif path.name.lower().endswith(ARCHIVES):
            yield Source(_readable_archive(path))
        elif path.suffix.lower() == ".parquet":
            yield Source(path, column=column or _column_of_pictures(path))
        elif path.suffix.lower() in LISTS:
            yield from _in_groups(path, _lines(path))
        else:
            yield Source(path, (text,))


def _in_groups(path: Path, names: Iterable[str]) -> Iterator[Source]:
    rest = iter(names)
    while group := tuple(islice(rest, FILES)):
        yield Source(path, group)


def files_below(folder: Path) -> Iterator[str]:
    """All files, folder by folder in the order of their names."""
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if is_debris(entry.name):
            continue
        if entry.is_dir():
            yield from files_below(Path(entry.path))
        elif entry.is_file():
            yield entry.path


def _lines(file: Path) -> Iterator[str]:
    """The files in a list; relative paths are relative to it."""
    with file.open(encoding="utf-8-sig", errors="surrogateescape") as lines:
        for line in lines:
            if name := line.rstrip("\r\n"):
                yield os.fspath(file.parent / name)


def _readable_archive(path: Path) -> Path:
    try:
        with tarfile.open(path):
            return path
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{path} is not a tar file ({error})") from error


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """Raises `InputError` for what an archive or a table turns out to be while it is read."""
    try:
        yield
    except (tarfile.TarError, lzma.LZMAError, zlib.error, EOFError, OSError, ValueError) as error:
        raise InputError(
            f"{path} is damaged or cut short ({error}); copy it again, then go on with --resume"
        ) from error


def _members(path: Path, start: int) -> Iterator[Upload | Path]:
    """The pictures in a tar file, read from its beginning to its end."""
    with _damage_named(path), tarfile.open(path) as archive:
        for member in islice(_pictures_in(archive), start, None):
            content = archive.extractfile(member)
            yield Upload(as_text(f"{path}/{member.name}"), content.read() if content else b"")


def _pictures_in(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        archive.members.clear()  # type: ignore[attr-defined]  # or it would remember each
        parts = Path(member.name).parts
        if member.isfile() and not any(part != "." and is_debris(part) for part in parts):
            yield member


def _parquet(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError("Parquet needs pyarrow: pip install 'wardrobe[cluster]'") from None
    try:
        return pyarrow.parquet.ParquetFile(path)
    except (pyarrow.ArrowException, OSError) as error:
        raise InputError(f"{path} is not a Parquet file ({error})") from error


def _column_of_pictures(path: Path) -> str:
    """The only column of bytes, or of structures with a field `bytes`, as in Hugging Face's."""
    import pyarrow

    schema = _parquet(path).schema_arrow
    found = [field.name for field in schema if _is_bytes(field.type, pyarrow)]
    if len(found) != 1:
        listed = ", ".join(found or schema.names)
        reason = "several columns of bytes" if found else "no column of bytes"
        raise InputError(f"{path} has {reason} ({listed}); name one: {path}:COLUMN")
    return str(found[0])


def _is_bytes(kind: Any, pyarrow: Any) -> bool:
    types = pyarrow.types
    if types.is_struct(kind):
        return any(field.name == "bytes" for field in kind)
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _rows(path: Path, column: str, start: int) -> Iterator[Upload | Path]:
    """The pictures in a column; groups of rows before `start` are not read."""
    file = _parquet(path)
    if column not in file.schema_arrow.names:
        known = ", ".join(file.schema_arrow.names)
        raise InputError(f"{path} has no column {column!r}; there are: {known}")
    first = 0
    for group in range(file.num_row_groups):
        count = file.metadata.row_group(group).num_rows
        if first + count > start:
            batches = file.iter_batches(ROWS, row_groups=[group], columns=[column])
            values = (value for batch in batches for value in batch.column(0).to_pylist())
            with _damage_named(path):
                for row, value in enumerate(values, first):
                    if row >= start:
                        yield _upload(f"{path}:{row}", value)
        first += count


def _upload(name: str, value: Any) -> Upload:
    if isinstance(value, dict):
        name, value = value.get("path") or name, value["bytes"]
    return Upload(name, value or b"")
