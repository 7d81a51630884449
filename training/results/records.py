"""The records of the zoo's runs that ship with the project, and their summaries.

`results/records/NAME-seedS.json` is the `run.json` of a finished run of a network of the zoo,
without what belongs to one machine only, and with the size and latency of its artifact. The record
of a run on a test set drawn anew, with `--set data.resplit=R`, is `NAME-resplitR-seedS.json`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import yaml

from wardrobe.models import zoo
from wardrobe.training.data import fashion_mnist
from wardrobe.training.files import atomic_write
from wardrobe.training.record import Record, read
from wardrobe.training.results.zoo import digest

FOLDER = Path(__file__).parents[2] / "results"


def records(resplit: bool = False) -> dict[str, list[Record]]:
    """The records that ship, by network: on the official test set, or on ones drawn anew."""
    by_name: dict[str, list[Record]] = defaultdict(list)
    for file in sorted((FOLDER / "records").glob("*.json")):
        record = read(file)
        if (record.data.resplit is not None) is resplit:
            by_name[record.name].append(record)
    return dict(by_name)


def collect(runs: Path, measure: Callable[[Path], dict[str, Any]]) -> list[Path]:
    """Copies the records of finished runs of the zoo's networks; returns the files.

    A run whose declaration was changed by `--set`, other than in `data.resplit`, or has changed
    since, is left out. `measure` gives the size and latency of the artifact in a folder.
    """
    written = []
    for file in sorted(runs.glob("*/*/run.json")):
        record = read(file)
        declared = yaml.safe_load((file.parent / "declaration.yaml").read_text(encoding="utf-8"))
        resplit = declared["data"].get("resplit")
        if record.status != "finished" or record.declaration != digest(record.name, resplit):
            continue
        drawn = "" if resplit is None else f"resplit{resplit}-"
        target = FOLDER / "records" / f"{record.name}-{drawn}seed{record.seed}.json"
        target.parent.mkdir(parents=True, exist_ok=True)
        kept = _portable(record, resplit) | {"costs": measure(Path(record.artifact))}
        with atomic_write(target) as stream:
            stream.write(json.dumps(kept, indent=1) + "\n")
        written.append(target)
    return written


@dataclass(frozen=True)
class Summary:
    """The runs of one network over several seeds; measures are means on the test examples."""

    seeds: int
    parameters: int
    teacher: str | None
    accuracy: float
    accuracy_spread: float | None  # standard deviation; None: one seed
    validation_accuracy: float
    validation_negative_log_likelihood: float
    negative_log_likelihood: float
    calibration_error_before: float
    calibration_error: float
    coverage: float
    accuracy_when_certain: float
    epochs: float
    seconds: float
    processor: str
    backend: str
    bytes: int
    microseconds: dict[str, float]  # by batch size; the least of all runs


def summarize(runs: Sequence[Record]) -> Summary:
    """The summary of the runs of one network."""
    first = runs[0]
    accuracies = [run.metrics["test"]["accuracy"] for run in runs]

    def metric(part: str, measure: str) -> float:
        return float(mean(run.metrics[part][measure] for run in runs))

    def calibration(measure: str) -> float:
        return float(mean(run.calibration["test"][measure] for run in runs))

    return Summary(
        seeds=len(runs),
        parameters=first.parameters,
        teacher=first.teacher.name if first.teacher else None,
        accuracy=mean(accuracies),
        accuracy_spread=stdev(accuracies) if len(accuracies) > 1 else None,
        validation_accuracy=metric("validation", "accuracy"),
        validation_negative_log_likelihood=metric("validation", "negative_log_likelihood"),
        negative_log_likelihood=metric("test", "negative_log_likelihood"),
        calibration_error_before=calibration("calibration_error_before"),
        calibration_error=metric("test", "calibration_error"),
        coverage=calibration("coverage"),
        accuracy_when_certain=calibration("accuracy_when_certain"),
        epochs=mean(run.epochs for run in runs),
        seconds=mean(run.seconds for run in runs),
        processor=first.processor,
        backend=first.versions["backend"],
        bytes=first.costs["bytes"],
        # Whatever else ran on the machine made it slower, never faster.
        microseconds={
            size: min(run.costs["microseconds"][size] for run in runs)
            for size in first.costs["microseconds"]
        },
    )


def summarize_all(teachers: bool = False) -> dict[str, Summary]:
    """The summaries of the zoo's networks for Fashion-MNIST, or of its teachers, that have records;
    best first."""
    found = {
        name: summarize(runs)
        for name, runs in records().items()
        if name in zoo.names() and zoo.is_teacher(name) is teachers and is_of_fashion_mnist(runs)
    }
    return dict(sorted(found.items(), key=lambda named: -named[1].accuracy))


def is_of_fashion_mnist(runs: Sequence[Record]) -> bool:
    """Whether a network was trained and measured on Fashion-MNIST alone."""
    return runs[0].data.name == fashion_mnist.NAME


def of_other_data() -> dict[str, list[Record]]:
    """The records of the zoo's networks that were measured on other data, by network."""
    return {
        name: runs
        for name, runs in records().items()
        if name in zoo.names() and not is_of_fashion_mnist(runs)
    }


def _portable(record: Record, resplit: int | None) -> dict[str, Any]:
    """A record as it ships: without what names a folder of this machine."""
    facts = record.to_json()
    facts.pop("artifact", None)
    facts["data"].pop("source", None)
    facts["data"]["resplit"] = resplit
    return facts
