"""Trains the variants of a study, in local processes or on another engine.

An engine takes tasks and returns each when it is finished. Where a task runs, `load` has its data;
nothing else needs to be there. The result comes back as a value, which `Task.keep` stores.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from wardrobe.models import Declaration
from wardrobe.serving.inference.tensorflow import load_keras
from wardrobe.training.data import DataSet
from wardrobe.training.data.declarations import for_declaration
from wardrobe.training.errors import TrainingError
from wardrobe.training.fit.compatibility import structure
from wardrobe.training.fit.compilation_cache import keep_programs
from wardrobe.training.studies import records
from wardrobe.training.studies.records import Found
from wardrobe.training.studies.teachers import folder_of, network_of_teacher
from wardrobe.training.studies.variants import Variant

if TYPE_CHECKING:
    from optuna.storages.journal import BaseJournalBackend

# Variants that share one compiled program; with more, progress would be shown in larger steps.
LARGEST_GROUP = 20

# The processes share the cores: none of them needs all.
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Task:
    """A call for another process; it can be pickled."""

    work: Callable[[], Any]
    keep: Callable[[Any], None]  # is given what `work` returned, on this machine
    declaration: Declaration  # whose data `work` loads
    variants: int = 1  # that the task trains


class Engine(Protocol):
    """Runs tasks."""

    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        """Makes the calls, in any order; yields each task when its result has been stored.

        Raises:
            TrainingError: the processes that made a call were killed.
            Exception: whatever a call raised.
        """
        ...

    def journal(self, file: Path) -> BaseJournalBackend:
        """A local file, as a journal that all calls can read and write."""
        ...


def run(variants: Sequence[Variant], folder: Path, engine: Engine, progress: Progress) -> None:
    """Runs each variant whose record is missing; calls `progress(finished, all)` as they finish.

    Finished records are kept when this is interrupted.

    Raises:
        DeclarationError: with every error in a variant's declaration, or in a teacher's.
        TrainingError: a variant names an unknown measure, or a teacher cannot be trained.
    """
    missing = [variant for variant in variants if not records.is_finished(folder, variant)]
    done = len(variants) - len(missing)
    progress(done, len(variants))
    tasks = [
        Task(
            partial(measure_group, group, network_of_teacher(group[0].declaration, folder, load)),
            partial(_keep, folder, group),
            group[0].declaration,
            len(group),
        )
        for group in groups(missing)
    ]
    for task in engine.run(tasks):
        done += task.variants
        progress(done, len(variants))


def measure_group(variants: list[Variant], teacher: bytes | None = None) -> list[Found]:
    """Trains variants that can be trained together, and measures each.

    teacher: the `model.keras` of their teacher, if they have one.
    """
    from wardrobe.training.studies.measures import measure
    from wardrobe.training.studies.measures.training import always
    from wardrobe.training.studies.trained_model import trained, untrained

    first = variants[0]
    loaded = load(first.declaration)
    declarations = [variant.declaration for variant in variants]
    if first.train:
        with tempfile.TemporaryDirectory() as files:
            taught_by = folder_of(teacher) if teacher else None
            models = trained(declarations, loaded, Path(files), teacher=taught_by)
    else:
        models = [untrained(declaration, loaded) for declaration in declarations]
    measured = []
    for model in models:
        found = always(model)
        for name in first.measures:
            found |= measure(name)(model)
        measured.append(found)
    return measured


def _keep(folder: Path, variants: list[Variant], measured: list[Found]) -> None:
    for variant, found in zip(variants, measured, strict=True):
        records.write(folder, variant, found)


_loaded: dict[Any, DataSet] = {}


def load(declaration: Declaration) -> DataSet:
    """The data of a declaration, cached for the next groups of variants of this process."""
    wanted = data_of(declaration)
    if wanted not in _loaded:
        have_loaded(declaration, for_declaration(declaration))
    return _loaded[wanted]


def have_loaded(declaration: Declaration, data: DataSet) -> None:
    """Makes `load` return this data for all declarations with the same data as this one."""
    _loaded.clear()
    _loaded[data_of(declaration)] = data


def training_examples(declaration: Declaration) -> int:
    """The number of training examples of a declaration; loads its data if it does not say."""
    return declaration.data.take or len(load(declaration).train)


def data_of(declaration: Declaration) -> tuple[Any, ...]:
    """What declarations with the same data have in common; it can be a key of a dict."""
    return declaration.data.model_dump_json(), declaration.training.validation


def groups(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Groups of variants that can be trained together, no two with the same record."""
    compatible: dict[Any, dict[tuple[str, int], Variant]] = defaultdict(dict)
    for one in variants:
        what = structure(one.declaration), one.train, one.measures
        compatible[json.dumps(what)][one.key, one.declaration.seed] = one
    found = [
        several[at : at + LARGEST_GROUP]
        for several in (list(one.values()) for one in compatible.values())
        for at in range(0, len(several), LARGEST_GROUP)
    ]
    # A process keeps the data of one group for the next.
    return sorted(found, key=lambda group: str(data_of(group[0].declaration)))


@contextmanager
def processes(jobs: int) -> Iterator[Engine]:
    """A number of processes, which start when there is work; all use Keras' JAX backend.

    At the end, running tasks finish and waiting ones are dropped.
    """
    spawned = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=spawned, initializer=_start)
    try:
        yield _Processes(pool)
    finally:
        pool.shutdown(cancel_futures=True)


class _Processes:
    """The engine of one machine. A result is stored where it was computed: it need not travel."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    def run(self, tasks: Sequence[Task]) -> Iterator[Task]:
        futures = {self._pool.submit(_work_and_keep, task): task for task in tasks}
        for future in as_completed(futures):
            try:
                future.result()
            except BrokenProcessPool:
                raise TrainingError(
                    "a process was killed, perhaps for lack of memory; the same command with fewer "
                    "--jobs trains the remaining variants"
                ) from None
            yield futures[future]

    def journal(self, file: Path) -> BaseJournalBackend:
        from optuna.storages.journal import JournalFileBackend

        return JournalFileBackend(str(file))


def _work_and_keep(task: Task) -> None:
    task.keep(task.work())


def _start() -> None:
    # Ctrl-C reaches this process too, but only the process that waits for it prints a message.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    use_jax()


def use_jax() -> None:
    """Imports Keras, on JAX; call it before anything else does."""
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # layers of Keras may load TensorFlow
    keep_programs()
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # a GPU is shared by all processes
    flags = os.environ.get("XLA_FLAGS", "")
    if _ONE_THREAD not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_ONE_THREAD}".strip()
    load_keras()
