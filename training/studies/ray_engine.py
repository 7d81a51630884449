"""The engine of a Ray cluster: a task on each core, or several on each GPU.

Its machines need Ray and wardrobe, but neither the data nor a shared folder: each data set is put
into Ray's object store once, and results come back as values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray.exceptions import RayError, RayTaskError

from wardrobe.models import Declaration
from wardrobe.training.data import DataSet
from wardrobe.training.errors import TrainingError, in_words
from wardrobe.training.studies import executor
from wardrobe.training.studies.executor import Task

if TYPE_CHECKING:
    from optuna.storages.journal import BaseJournalBackend

RETRIES = 5
"""How often a task is restarted after its process or machine was lost."""

TASKS_PER_GPU = 4
"""A group of small networks does not fill a GPU; while one compiles, others train."""


class RayEngine:
    """Runs tasks on the cluster that this process is connected to."""

    def __init__(self) -> None:
        has_gpus = ray.cluster_resources().get("GPU", 0) > 0
        self._work = ray.remote(
            num_cpus=1, num_gpus=1 / TASKS_PER_GPU if has_gpus else 0, max_retries=RETRIES
        )(_work)
        self._data: dict[Any, Any] = {}

    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        waiting = {
            self._work.remote(task.work, task.declaration, self._put(task.declaration)): task
            for task in tasks
        }
        while waiting:
            (done, *_), _ = ray.wait(list(waiting))
            task = waiting.pop(done)
            task.keep(_result(done))
            yield task

    def journal(self, file: Path) -> BaseJournalBackend:
        from wardrobe.training.studies.ray_journal import RayJournal

        return RayJournal.of(file)

    def _put(self, declaration: Declaration) -> Any:
        """The data of a declaration, in the object store."""
        wanted = executor.data_of(declaration)
        if wanted not in self._data:
            self._data[wanted] = ray.put(executor.load(declaration))
        return self._data[wanted]


def _work(work: Callable[[], Any], declaration: Declaration, data: DataSet) -> Any:
    """Runs on a machine of the cluster."""
    executor.use_jax()
    executor.have_loaded(declaration, data)
    return work()


def _result(done: Any) -> Any:
    try:
        return ray.get(done)
    except RayTaskError as error:  # its own text is a traceback
        if isinstance(error.cause, ImportError) or "failed to import" in str(error.cause):
            raise TrainingError(
                "the machines of the cluster need the same wardrobe as here: pip install "
                f"'wardrobe[cluster]' on them ({in_words(error.cause)})"
            ) from None
        raise error.cause from None
    except RayError as error:
        raise TrainingError(
            f"a task was lost {RETRIES + 1} times, the last time because: {str(error).strip()}; "
            "the same command trains the remaining variants"
        ) from None
