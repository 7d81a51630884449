"""Classifies on a Ray cluster: Ray Data reads the sources, an actor on each core answers.

The artifacts travel to the actors. Files are read where a task runs: on a cluster of several
machines they must be there under the same paths.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Generator, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow
import ray
from ray.data import Datasource, ReadTask
from ray.data.block import BlockMetadata

from wardrobe.serving.images.classify import Upload
from wardrobe.serving.offline.answers import Answer
from wardrobe.serving.offline.classifier import BATCH, packed, unpacked
from wardrobe.serving.offline.inputs import Source, Unreadable, read

SCHEMA = pyarrow.schema(
    [("name", pyarrow.string()), ("data", pyarrow.binary()), ("error", pyarrow.string())]
)


def answers(
    unanswered: Iterator[tuple[Source, int]],
    artifact: Path,
    gpus: float = 0,
    for_photographs: Path | None = None,
) -> Generator[list[Answer], None, None]:
    """The answers for the pictures of each source from a number on, batch by batch, in order.

    gpus: the share of a GPU that an actor has. `ray.init` has been called.
    """
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context.execution_options.preserve_order = True
    folders = [artifact, *([for_photographs] if for_photographs else [])]
    size = int(ray.cluster_resources()["GPU"] / gpus if gpus else ray.cluster_resources()["CPU"])
    # Reading waits more than it computes: it needs no core of its own.
    pictures = ray.data.read_datasource(_Pictures(list(unanswered)), num_cpus=0)
    answered = pictures.map_batches(
        _Actor,
        fn_constructor_args=([ray.put(packed(*folders))],),  # in a list Ray leaves it alone
        batch_size=BATCH,
        batch_format="pyarrow",
        compute=ray.data.ActorPoolStrategy(size=size),
        num_cpus=0 if gpus else 1,
        num_gpus=gpus,
    )
    for batch in answered.iter_batches(batch_size=None, batch_format="pyarrow"):
        yield [json.loads(answer) for answer in batch["answer"].to_pylist()]


class _Actor:
    """Holds the network on one core."""

    def __init__(self, artifact: list[Any]) -> None:
        self._classifier = unpacked(ray.get(artifact[0]))

    def __call__(self, batch: pyarrow.Table) -> pyarrow.Table:
        pictures = [
            Unreadable(row["name"], row["error"])
            if row["error"] is not None
            else Upload(row["name"], row["data"])
            for row in batch.to_pylist()
        ]
        answered = self._classifier.answer(pictures)
        return pyarrow.table({"answer": [json.dumps(answer) for answer in answered]})


class _Pictures(Datasource):  # type: ignore[misc]
    """The pictures as Ray Data reads them: a task for each source."""

    def __init__(self, unanswered: list[tuple[Source, int]]) -> None:
        super().__init__()
        self._unanswered = unanswered

    def estimate_inmemory_data_size(self) -> int | None:
        return None

    def get_read_tasks(
        self, parallelism: int, per_task_row_limit: int | None = None, data_context: Any = None
    ) -> list[ReadTask]:
        unknown = BlockMetadata(num_rows=None, size_bytes=None, input_files=None, exec_stats=None)
        return [
            ReadTask(partial(_blocks, source, start), unknown, SCHEMA)
            for source, start in self._unanswered
        ]


def _blocks(source: Source, start: int) -> Iterator[pyarrow.Table]:
    rows: list[dict[str, Any]] = []
    for picture in map(read, source.uploads(start)):
        if isinstance(picture, Unreadable):
            rows.append({"name": picture.name, "data": None, "error": picture.reason})
        else:
            rows.append({"name": picture.name, "data": picture.data, "error": None})
        if len(rows) == BATCH:
            yield pyarrow.Table.from_pylist(rows, SCHEMA)
            rows = []
    if rows:
        yield pyarrow.Table.from_pylist(rows, SCHEMA)
