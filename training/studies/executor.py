"""Runs the unfinished variants of a study in separate processes."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wardrobe.models import Declaration
from wardrobe.training.data import DataSet
from wardrobe.training.data.declarations import for_declaration
from wardrobe.training.errors import TrainingError
from wardrobe.training.fit.compatibility import structure
from wardrobe.training.fit.compilation_cache import keep_programs
from wardrobe.training.studies import records
from wardrobe.training.studies.variants import Variant

# Variants that share one compiled program; more of them would make the steps of progress large.
LARGEST_GROUP = 20

# The processes share the cores among themselves: none of them needs all.
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

Progress = Callable[[int, int], None]
Task = tuple[Any, ...]


def run(
    variants: Sequence[Variant], folder: Path, pool: ProcessPoolExecutor, progress: Progress
) -> None:
    """Runs each variant whose record is missing; calls `progress(finished, all)` as they finish.

    Finished records are kept when this is interrupted.

    Raises:
        DeclarationError: with every error in a variant's declaration.
        TrainingError: a variant names an unknown measure.
    """
    missing = [variant for variant in variants if not records.is_finished(folder, variant)]
    done = len(variants) - len(missing)
    progress(done, len(variants))
    for group, _ in run_tasks(pool, run_group, [(group, folder) for group in _groups(missing)]):
        done += len(group)
        progress(done, len(variants))


def run_group(variants: list[Variant], folder: Path) -> None:
    """Trains variants that can be trained together, measures each and writes its record."""
    from wardrobe.training.studies.measures import MEASURES, always
    from wardrobe.training.studies.trained_model import trained, untrained

    first = variants[0]
    if unknown := [name for name in first.measures if name not in MEASURES]:
        known = ", ".join(MEASURES)
        raise TrainingError(f"{first.declaration.name}: no measure '{unknown[0]}'; known: {known}")
    loaded = load(first.declaration)
    declarations = [variant.declaration for variant in variants]
    if first.train:
        with tempfile.TemporaryDirectory() as files:
            models = trained(declarations, loaded, Path(files))
    else:
        models = [untrained(declaration, loaded) for declaration in declarations]
    for variant, model in zip(variants, models, strict=True):
        found = always(model)
        for name in variant.measures:
            found |= MEASURES[name](model)
        records.write(folder, variant, found)


_loaded: dict[Any, DataSet] = {}


def load(declaration: Declaration) -> DataSet:
    """The data of a declaration, kept for the next groups of variants that a process trains."""
    wanted = declaration.data.model_dump_json(), declaration.training.validation
    if wanted not in _loaded:
        _loaded.clear()
        _loaded[wanted] = for_declaration(declaration)
    return _loaded[wanted]


def _groups(variants: Sequence[Variant]) -> list[list[Variant]]:
    """Variants that can be trained together, no two of them with one record."""
    compatible: dict[Any, dict[tuple[str, int], Variant]] = defaultdict(dict)
    for one in variants:
        what = structure(one.declaration), one.train, one.measures
        compatible[json.dumps(what)][one.key, one.declaration.seed] = one
    return [
        several[at : at + LARGEST_GROUP]
        for several in map(list, (found.values() for found in compatible.values()))
        for at in range(0, len(several), LARGEST_GROUP)
    ]


@contextmanager
def processes(jobs: int) -> Iterator[ProcessPoolExecutor]:
    """So many processes, which start when there is work; all use Keras' JAX backend.

    At the end, running tasks finish and waiting ones are dropped.
    """
    spawned = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(jobs, mp_context=spawned, initializer=use_jax)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def run_tasks(
    pool: ProcessPoolExecutor, work: Callable[..., None], tasks: Sequence[Task]
) -> Iterator[Task]:
    """Calls `work(*task)` for each task in the pool; yields tasks as they finish."""
    futures = {pool.submit(work, *task): task for task in tasks}
    for future in as_completed(futures):
        future.result()
        yield futures[future]


def use_jax() -> None:
    """Chooses Keras' backend for this process; call it before Keras is imported."""
    # Ctrl-C reaches this process too: the one that waits for it says what there is to say.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ["KERAS_BACKEND"] = "jax"
    keep_programs()
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # a GPU is shared by all processes
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_ONE_THREAD}".strip()
