"""The zoo's results: records of runs that ship with the project, and the table made of them.

`results/records/NAME-seedS.json` is the `run.json` of a finished run of a declaration of the
zoo, less what belongs to one machine only. `results/README.md` is generated from them.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev
from typing import Any

FOLDER = Path(__file__).parent.parent / "results"

Record = dict[str, Any]


def records() -> dict[str, list[Record]]:
    """The records that ship, by the name of their declaration."""
    by_name: dict[str, list[Record]] = defaultdict(list)
    for file in sorted((FOLDER / "records").glob("*.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        by_name[record["name"]].append(record)
    return dict(by_name)


def collect(runs: Path, digests: dict[str, str]) -> list[Path]:
    """Takes up the finished runs of the zoo's declarations, unaltered ones only.

    `digests` gives the digest of each declaration of the zoo: a run whose declaration was changed
    by `--set`, or has changed since, is not one of its results.
    """
    taken = []
    for file in sorted(runs.glob("*/*/run.json")):
        record = json.loads(file.read_text(encoding="utf-8"))
        name = record["name"]
        if record["status"] == "finished" and digests.get(name) == record["declaration"]:
            target = FOLDER / "records" / f"{name}-seed{record['seed']}.json"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(json.dumps(_portable(record), indent=1) + "\n", encoding="utf-8")
            taken.append(target)
    return taken


def summary(runs_of_one: list[Record]) -> Record:
    """Mean and spread over the seeds of one declaration; the spread of one seed is None."""
    accuracies = [record["metrics"]["test"]["accuracy"] for record in runs_of_one]
    first = runs_of_one[0]
    return {
        "seeds": len(runs_of_one),
        "parameters": first["parameters"],
        "test_accuracy": mean(accuracies),
        "test_accuracy_spread": stdev(accuracies) if len(accuracies) > 1 else None,
        "validation_accuracy": _mean(runs_of_one, "validation", "accuracy"),
        "negative_log_likelihood": _mean(runs_of_one, "test", "negative_log_likelihood"),
        "calibration_error": _mean(runs_of_one, "test", "calibration_error"),
        "seconds": mean(record["seconds"] for record in runs_of_one),
        "command": f"wardrobe train {first['name']}",
    }


def write_table(widths: dict[str, str]) -> Path:
    """Writes `results/README.md`: a row a declaration, the best first.

    `widths` says how the layers of a declaration are written in the table.
    """
    summaries = {name: summary(found) for name, found in records().items() if name in widths}
    order = sorted(summaries, key=lambda name: -summaries[name]["test_accuracy"])
    rows = [_row(name, widths[name], summaries[name]) for name in order]
    file = FOLDER / "README.md"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n".join([*_HEAD, *rows]) + "\n", encoding="utf-8")
    return file


_HEAD = [
    "# Results of the zoo on Fashion-MNIST",
    "",
    "Written by `wardrobe results` from the records beside it; do not edit. The official test set,",
    "looked at once at the end of each run. Mean ± standard deviation over the seeds.",
    "",
    "| network | layers | parameters | seeds | test accuracy | validation accuracy "
    "| negative log-likelihood | calibration error | seconds | command |",
    "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
]


def _row(name: str, layers: str, of: Record) -> str:
    spread = of["test_accuracy_spread"]
    cells = [
        name,
        layers,
        f"{of['parameters']:,}",
        str(of["seeds"]),
        f"{of['test_accuracy']:.4f}" + (f" ± {spread:.4f}" if spread is not None else ""),
        f"{of['validation_accuracy']:.4f}",
        f"{of['negative_log_likelihood']:.3f}",
        f"{of['calibration_error']:.3f}",
        f"{of['seconds']:.0f}",
        f"`{of['command']}`",
    ]
    return f"| {' | '.join(cells)} |"


def _mean(runs_of_one: Iterable[Record], part: str, measure: str) -> float:
    return float(mean(record["metrics"][part][measure] for record in runs_of_one))


def _portable(record: Record) -> Record:
    data = {key: value for key, value in record["data"].items() if key != "source"}
    return {key: value for key, value in record.items() if key != "artifact"} | {"data": data}
