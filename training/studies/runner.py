"""Runs studies from beginning to end: variants, figures, claims."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wardrobe.training.errors import TrainingError
from wardrobe.training.studies import executor, records, search
from wardrobe.training.studies.report import Report, report
from wardrobe.training.studies.study import Study
from wardrobe.training.studies.variants import expand


def run(
    studies: Sequence[Study],
    folder: Path,
    jobs: int,
    pictures: bool,
    progress: executor.Progress,
) -> list[Report]:
    """Runs the unfinished variants of all studies together and reports on each study.

    Raises:
        TrainingError: matplotlib is missing.
    """
    _need_matplotlib()
    expanded = [(study, [] if study.trials else expand(study)) for study in studies]
    reports = []
    with executor.processes(jobs) as pool:
        executor.run(
            [variant for _, variants in expanded for variant in variants], folder, pool, progress
        )
        for study, variants in expanded:
            where = folder / (f"{study.name}-quick" if study.is_quick else study.name)
            if study.trials:
                found = search.run(study, where, pool, progress)
            else:
                found = [record for one in variants if (record := records.read(folder, one))]
            reports.append(report(study, found, where, pictures))
    return reports


def _need_matplotlib() -> None:
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise TrainingError(
            "studies draw with matplotlib: pip install 'wardrobe[lecture]'"
        ) from None
