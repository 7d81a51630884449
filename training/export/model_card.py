"""The model card: what an artifact is worth, and what not to use it for."""

from __future__ import annotations

from typing import Any

from wardrobe.models import Declaration
from wardrobe.training.data import DataSet
from wardrobe.training.evaluation.calibration import RIGHT_WHEN_CERTAIN


def card(declaration: Declaration, data: DataSet, record: dict[str, Any]) -> str:
    """A model card in Markdown, after Mitchell et al. 2019 (arXiv 1810.03993), from a run's record.

    `record` is what `run.json` holds: every number comes from there.
    """
    test = record["metrics"]["test"]
    parts = [
        f"# {declaration.name}\n\n{declaration.about or 'No description.'}",
        _facts(declaration, data, record),
        f"## What it is worth\n\n{_measures(record['metrics'])}",
    ]
    if data.class_names is not None:
        parts.append(f"On the test examples, by class:\n\n{_by_class(test)}")
    if "calibration" in record:
        parts.append(f"## How far to trust it\n\n{_trust(record['calibration'])}")
    parts += [
        f"## What it takes and gives\n\n{_interface(data)}",
        f"## Where it fails\n\n{_limits(data)}",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(declaration: Declaration, data: DataSet, record: dict[str, Any]) -> str:
    versions = record["versions"]
    rows = {
        "Network": f"{declaration.architecture}, {record['parameters']:,} parameters",
        "Trained on": f"{len(data.train):,} examples of {data.name}, "
        f"{record['epochs']} epochs, seed {declaration.seed}",
        "Chosen on": f"{len(data.validation):,} validation examples",
        "Made": f"{record['started']} with Keras {versions['keras']} ({versions['backend']}), "
        f"in {record['seconds']:.0f} s",
        "Command": f"`{record['command']}`",
        "Declaration": f"SHA-256 `{declaration.digest}`",
        "Split": f"SHA-256 `{data.split_hash}`",
    }
    return _table(["", ""], [[name, text] for name, text in rows.items()])


def _measures(metrics: dict[str, Any]) -> str:
    names = [name for name, value in metrics["test"].items() if isinstance(value, (int, float))]
    rows = [
        [name.replace("_", " "), *(_number(metrics[part].get(name)) for part in metrics)]
        for name in names
    ]
    return _table(["measure", *metrics], rows)


def _trust(calibration: dict[str, Any]) -> str:
    parts = [part for part in ("validation", "test") if part in calibration]
    names = calibration[parts[0]]
    rows = [
        [name.replace("_", " "), *(_number(calibration[part][name]) for part in parts)]
        for name in names
    ]
    return (
        f"Its logits are divided by a temperature of {calibration['temperature']:.3f}, fitted on "
        "the validation examples; all measures here are of the answers after that. An answer "
        f"of a probability below {calibration['uncertain_below']:.4f} is uncertain; that is the "
        f"smallest limit with {RIGHT_WHEN_CERTAIN:.0%} of the validation examples above it right."
        "\n\n"
        f"{_table(['', *parts], rows)}"
    )


def _by_class(test: dict[str, Any]) -> str:
    rows = [
        [row["label"], *(_number(row[name]) for name in ("precision", "recall", "f1"))]
        for row in test["by_class"]
    ]
    return _table(["class", "precision", "recall", "F1"], rows)


def _interface(data: DataSet) -> str:
    shape = "×".join(map(str, data.input_shape))
    if len(data.input_shape) > 1:
        given = f"`images`: float32 `[N, {shape}]`, raw pixels 0–255, on {data.ground} ground"
    else:
        given = f"`features`: float32 `[N, {shape}]`"
    if data.class_names is None:
        return f"{given}. Gives `values`."
    labels = ", ".join(data.class_names)
    return f"{given}. Gives `probabilities`: float32 `[N, {len(data.class_names)}]` for {labels}."


def _limits(data: DataSet) -> str:
    if data.class_names is None:
        return "Outside the range of its training inputs it extrapolates without warning."
    return (
        f"It knows the {len(data.class_names)} classes above and must choose one of them, whatever "
        f"it is shown. It was measured on examples of {data.name}; on other pictures expect less."
    )


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
