"""Writes answers to JSON lines, CSV or Parquet, and goes on where an earlier process stopped.

While it works, the answers lie in a journal beside the output, one line of JSON each. The output
appears when all of it is there.
"""

from __future__ import annotations

import csv
import fcntl
import json
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Any

from wardrobe.serving.errors import ServingError

COLUMNS = (
    "file", "label", "class_index", "probability", "uncertain", "model", "version", "prepared",
    "error",
)  # fmt: skip
"""Of a table. JSON lines have `top`, the likeliest classes, `most_like` and `status` as well."""

ROWS = 10_000
"""Rows of a group in a Parquet file."""

Answer = dict[str, Any]


class OutputError(ServingError):
    """The output cannot be written, or is that of other pictures."""


def check_output(output: Path) -> None:
    """Before anything is started for it.

    Raises:
        OutputError: the kind of output is unknown, or its folder is not there.
    """
    if output.suffix.lower() not in _WRITERS:
        known = ", ".join(_WRITERS)
        raise OutputError(f"{output}: the ending says what to write; there are {known}")
    if not output.absolute().parent.is_dir():
        raise OutputError(f"cannot write {output}: there is no folder {output.parent}")


class Answers:
    """The answers of one classification, in the order of the pictures. Use it in a `with`.

    done: how many there are. errors: how many of these say that a picture cannot be read.
    """

    def __init__(self, output: Path, resume: bool) -> None:
        """Opens the journal; with `resume` it goes on with that of an interrupted classification.

        Raises:
            OutputError: the kind of output is unknown, or it cannot be written.
        """
        check_output(output)
        self.output, self.done, self.errors = output, 0, 0
        self._path = output.with_name(f".{output.name}.journal")
        try:
            self._journal: IO[bytes] = self._path.open("a+b")
        except OSError as error:
            raise OutputError(f"cannot write {output}: {error.strerror}") from error
        self._lock()
        self._journal.seek(0)
        self._last: str | None = None
        if resume:
            self._keep_whole_lines()
        else:
            self._journal.truncate(0)

    def _lock(self) -> None:
        try:
            fcntl.flock(self._journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise OutputError(f"another process is writing {self.output}") from None
        except OSError:
            pass  # a file system without locks

    def _keep_whole_lines(self) -> None:
        """Cuts off the line that an interruption left unfinished."""
        whole = 0
        for line in self._journal:
            if not line.endswith(b"\n"):
                break
            whole += len(line)
            answer = json.loads(line)
            self._last = answer["file"]
            self._count([answer])
        self._journal.truncate(whole)
        self._journal.seek(whole)

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self._journal.close()

    def check_last(self, name: str | None) -> None:
        """Compares the picture that was answered last with the one that now has its number.

        Raises:
            OutputError: they differ, so the inputs are no longer those of the journal.
        """
        if name != self._last:
            raise OutputError(
                f"cannot resume: picture {self.done:,} was {self._last} and is {name} now; start "
                "again without --resume"
            )

    def _count(self, answers: Sequence[Answer]) -> None:
        self.done += len(answers)
        self.errors += sum("error" in answer for answer in answers)

    def add(self, answers: Sequence[Answer]) -> None:
        """Appends answers; they survive the process."""
        try:
            for answer in answers:
                self._journal.write(json.dumps(answer).encode() + b"\n")
            self._journal.flush()
        except OSError as error:
            raise OutputError(
                f"cannot write {self.output}: {error.strerror}; continue with --resume"
            ) from error
        self._count(answers)

    def finish(self) -> None:
        """Turns the journal into the output, which replaces an older one."""
        partial = self.output.with_name(f".{self.output.name}.partial")
        try:
            self._journal.seek(0)
            _WRITERS[self.output.suffix.lower()](self._read(), partial)
            partial.replace(self.output)
        except OSError as error:
            raise OutputError(
                f"cannot write {self.output}: {error.strerror}; continue with --resume"
            ) from error
        finally:
            partial.unlink(missing_ok=True)
        self._path.unlink()

    def _read(self) -> Iterator[Answer]:
        return (json.loads(line) for line in self._journal)


def _write_json_lines(answers: Iterator[Answer], file: Path) -> None:
    with file.open("w", encoding="utf-8") as lines:
        for answer in answers:
            lines.write(json.dumps(answer, ensure_ascii=False) + "\n")


def _write_csv(answers: Iterator[Answer], file: Path) -> None:
    with file.open("w", encoding="utf-8", newline="") as rows:
        writer = csv.DictWriter(rows, COLUMNS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(answers)


def _write_parquet(answers: Iterator[Answer], file: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    kinds = {
        "class_index": pyarrow.int32(),
        "probability": pyarrow.float32(),
        "uncertain": pyarrow.bool_(),
        "version": pyarrow.int64(),
    }
    schema = pyarrow.schema([(name, kinds.get(name, pyarrow.string())) for name in COLUMNS])
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        while rows := list(islice(answers, ROWS)):
            table = [{name: row.get(name) for name in COLUMNS} for row in rows]
            writer.write_table(pyarrow.Table.from_pylist(table, schema))


_WRITERS = {".jsonl": _write_json_lines, ".csv": _write_csv, ".parquet": _write_parquet}
