"""Runs studies from beginning to end: variants, figures, claims."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from wardrobe.training.errors import TrainingError
from wardrobe.training.studies import executor, records, search
from wardrobe.training.studies.cost import Cost, cost
from wardrobe.training.studies.report import Report, report
from wardrobe.training.studies.study import Study
from wardrobe.training.studies.variants import Base, Variant, expand


def run(
    studies: Sequence[Study],
    folder: Path,
    engine: AbstractContextManager[executor.Engine],
    pictures: bool,
    progress: executor.Progress,
    storage: str | None = None,
    announce: Callable[[Cost], None] | None = None,
) -> list[Report]:
    """Runs the unfinished variants of all studies together and reports on each study.

    engine: trains the variants; entered when all studies have been checked.
    storage: where the trials of searches are kept, see `search.run`.
    announce: called with the cost of the unfinished variants before the first of them is trained.

    Raises:
        TrainingError: matplotlib is missing, or the storage cannot be used.
    """
    _need_matplotlib()
    expanded = [(study, [] if study.trials else expand(study)) for study in studies]
    if announce:
        announce(_cost(expanded, folder))
    reports = []
    with engine as working:
        executor.run(
            [variant for _, variants in expanded for variant in variants], folder, working, progress
        )
        for study, variants in expanded:
            where = folder / study.key
            if study.trials:
                found = search.run(study, where, working, progress, storage)
            else:
                found = [record for one in variants if (record := records.read(folder, one))]
            reports.append(report(study, found, where, pictures))
    return reports


def _cost(expanded: Sequence[tuple[Study, Sequence[Variant]]], folder: Path) -> Cost:
    """The cost of the variants that have not run and of the trials that have not started."""
    missing = [
        one for _, variants in expanded for one in variants if not records.is_finished(folder, one)
    ]
    groups = executor.groups(missing)
    for study, _ in expanded:
        if study.trials and not (folder / study.key / search.JOURNAL).exists():
            groups += [[search.first_proposal(Base.of(study))]] * study.trials
    return cost(groups, executor.training_examples)


def _need_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise TrainingError(
            "studies draw with matplotlib: pip install 'wardrobe[lecture]'"
        ) from None
