"""Runs the members of a study that have not run yet, in processes of their own."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import tempfile
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import closing
from pathlib import Path
from typing import Any

from wardrobe.models import Declaration
from wardrobe.training import data
from wardrobe.training.errors import TrainingError
from wardrobe.training.fit.compatibility import structure
from wardrobe.training.studies import records
from wardrobe.training.studies.variants import Member

# Members that share one compiled program; more of them would make the steps of progress large.
LARGEST_GROUP = 20

# The processes share the cores among themselves: none of them needs all.
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"

Progress = Callable[[int, int], None]
Task = tuple[Any, ...]


def run(members: Sequence[Member], folder: Path, jobs: int, progress: Progress) -> None:
    """Runs each member whose record is missing; `progress` hears how many of how many are there.

    What has finished stays when this is interrupted.

    Raises:
        DeclarationError: with everything that is wrong with a member.
        TrainingError: something is measured that there is not.
    """
    missing = [member for member in members if not records.is_finished(folder, member)]
    done = len(members) - len(missing)
    progress(done, len(members))
    groups = _groups(missing)
    if not groups:
        return
    with closing(worked_off(jobs, run_group, [(group, folder) for group in groups])) as finished:
        for group, _ in finished:
            done += len(group)
            progress(done, len(members))


def run_group(members: list[Member], folder: Path) -> None:
    """Trains members that can be trained together, measures each and writes its record."""
    from wardrobe.training.studies.measures import MEASURES, always
    from wardrobe.training.studies.trained_model import trained, untrained

    first = members[0]
    if unknown := [name for name in first.measures if name not in MEASURES]:
        known = ", ".join(MEASURES)
        raise TrainingError(f"{first.declaration.name}: no measure '{unknown[0]}'; known: {known}")
    loaded = load(first.declaration)
    declarations = [member.declaration for member in members]
    if first.train:
        with tempfile.TemporaryDirectory() as files:
            subjects = trained(declarations, loaded, Path(files))
    else:
        subjects = [untrained(declaration, loaded) for declaration in declarations]
    for member, subject in zip(members, subjects, strict=True):
        found = always(subject)
        for name in member.measures:
            found |= MEASURES[name](subject)
        records.write(folder, member, found)


def load(declaration: Declaration) -> data.DataSet:
    """The data of a declaration."""
    wanted = declaration.data
    return data.load(
        wanted.name,
        validation=declaration.training.validation,
        resplit=wanted.resplit,
        take=wanted.take,
    )


def _groups(members: Sequence[Member]) -> list[list[Member]]:
    """Members that can be trained together, no two of them with one record."""
    alike: dict[Any, dict[tuple[str, int], Member]] = defaultdict(dict)
    for one in members:
        what = structure(one.declaration), one.train, one.measures
        alike[json.dumps(what)][one.key, one.declaration.seed] = one
    return [
        several[at : at + LARGEST_GROUP]
        for several in map(list, (found.values() for found in alike.values()))
        for at in range(0, len(several), LARGEST_GROUP)
    ]


def worked_off(
    jobs: int, work: Callable[..., None], tasks: Sequence[Task]
) -> Generator[Task, None, None]:
    """Each task when `work(*task)` is done; an interruption waits for what has been begun only.

    Keras computes with JAX in the processes, whatever it computes with in this one.
    """
    spawned = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(tasks)), mp_context=spawned, initializer=use_jax)
    try:
        futures = {pool.submit(work, *task): task for task in tasks}
        for future in as_completed(futures):
            future.result()
            yield futures[future]
    finally:
        pool.shutdown(cancel_futures=True)


def use_jax() -> None:
    """Chooses Keras' backend for this process; call it before Keras is imported."""
    # Ctrl-C reaches this process too: the one that waits for it says what there is to say.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.environ["KERAS_BACKEND"] = "jax"
    os.environ["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"  # a GPU is shared by all processes
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {_ONE_THREAD}".strip()
