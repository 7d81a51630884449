"""Records of the zoo's runs, which ship with the project.

`results/records/NAME-seedS.json` is the `run.json` of a finished run of a declaration of the zoo,
less what belongs to one machine only, and with what its artifact costs. That of a run on a test set
drawn anew, with `--set data.resplit=R`, is `NAME-resplitR-seedS.json`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import yaml

from wardrobe.training.results import zoo

FOLDER = Path(__file__).parents[2] / "results"

Record = dict[str, Any]


def records(resplit: bool = False) -> dict[str, list[Record]]:
    """The records that ship, by the name of their declaration; with `resplit` only the others."""
    by_name: dict[str, list[Record]] = defaultdict(list)
    for file in sorted((FOLDER / "records").glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        if (record["data"]["resplit"] is not None) is resplit:
            by_name[record["name"]].append(record)
    return dict(by_name)


def collect(runs: Path, measure: Callable[[Path], dict[str, Any]]) -> list[Path]:
    """Copies the records of finished runs of the zoo's networks; returns the files.

    A run whose declaration was changed by `--set`, other than in `data.resplit`, or has changed
    since, is left out. `measure` gives the size and latency of the artifact in a folder.
    """
    taken = []
    for file in sorted(runs.glob("*/*/run.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        declared = yaml.safe_load((file.parent / "declaration.yaml").read_text(encoding="utf-8"))
        resplit = declared["data"].get("resplit")
        if record["status"] != "finished":
            continue
        if record["declaration"] == zoo.digest(record["name"], resplit):
            drawn = "" if resplit is None else f"resplit{resplit}-"
            target = FOLDER / "records" / f"{record['name']}-{drawn}seed{record['seed']}.json"
            target.parent.mkdir(parents=True, exist_ok=True)
            kept = _portable(record, resplit) | {"costs": measure(Path(record["artifact"]))}
            target.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
            taken.append(target)
    return taken


def summary(runs_of_one: list[Record]) -> Record:
    """Mean and spread over the seeds of one declaration; the spread of one seed is None."""
    accuracies = [record["metrics"]["test"]["accuracy"] for record in runs_of_one]
    first = runs_of_one[0]
    return {
        "seeds": len(runs_of_one),
        "parameters": first["parameters"],
        "teacher": first.get("teacher", {}).get("name"),
        "test_accuracy": mean(accuracies),
        "test_accuracy_spread": stdev(accuracies) if len(accuracies) > 1 else None,
        "validation_accuracy": _mean(runs_of_one, "validation", "accuracy"),
        "validation_negative_log_likelihood": _mean(
            runs_of_one, "validation", "negative_log_likelihood"
        ),
        "negative_log_likelihood": _mean(runs_of_one, "test", "negative_log_likelihood"),
        "calibration_error_before": mean(
            record["calibration"]["test"]["calibration_error_before"] for record in runs_of_one
        ),
        "calibration_error": _mean(runs_of_one, "test", "calibration_error"),
        "coverage": mean(record["calibration"]["test"]["coverage"] for record in runs_of_one),
        "accuracy_when_certain": mean(
            record["calibration"]["test"]["accuracy_when_certain"] for record in runs_of_one
        ),
        "epochs": mean(record["epochs"] for record in runs_of_one),
        "seconds": mean(record["seconds"] for record in runs_of_one),
        "processor": first["processor"],
        "backend": first["versions"]["backend"],
        "bytes": first["costs"]["bytes"],
        # Whatever else ran on the machine made it slower, never faster.
        "microseconds": {
            size: min(record["costs"]["microseconds"][size] for record in runs_of_one)
            for size in first["costs"]["microseconds"]
        },
    }


def _mean(runs_of_one: Iterable[Record], part: str, measure: str) -> float:
    return float(mean(record["metrics"][part][measure] for record in runs_of_one))


def _portable(record: Record, resplit: int | None) -> Record:
    data = {key: value for key, value in record["data"].items() if key != "source"}
    without_artifact = {key: value for key, value in record.items() if key != "artifact"}
    return without_artifact | {"data": data | {"resplit": resplit}}
