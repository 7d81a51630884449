"""The model card: what an artifact is good for, and what it should not be used for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wardrobe.models import Declaration
from wardrobe.training.data import DataSet
from wardrobe.training.data.columns import Encoding
from wardrobe.training.evaluation.calibration import RIGHT_WHEN_CERTAIN
from wardrobe.training.markdown import table
from wardrobe.training.record import Record

SHOWN = 20
"""Categories of a column that the card names."""


_PREPARED = {
    "none": "is taken as it is (`prepare: none`)",
    "resize": "is resized to that (`prepare: resize`)",
    "pad": "is resized in proportion and centred on black (`prepare: pad`)",
    "garment": "has its garment cut out and centred (`prepare: garment`)",
}


def model_card(declaration: Declaration, data: DataSet, record: Record) -> str:
    """A model card in Markdown, after Mitchell et al. 2019 (arXiv 1810.03993).

    Every number comes from the record of the run.
    """
    parts = [
        f"# {declaration.name}\n\n{declaration.about or 'No description.'}",
        _facts(declaration, data, record),
        f"## Measures\n\n{_measures(record.metrics)}",
    ]
    if data.class_names is not None:
        parts.append(f"On the test examples, by class:\n\n{_by_class(record.metrics['test'])}")
    if by_set := record.metrics["test"].get("by_set"):
        parts.append(f"On the test examples, by data set:\n\n{_by_set(by_set, record)}")
    if record.calibration:
        asked = declaration.training.certain or RIGHT_WHEN_CERTAIN
        parts.append(f"## Calibration\n\n{_calibration(record.calibration, asked)}")
    parts += [
        f"## Inputs and outputs\n\n{_interface(data)}",
        f"## Limits\n\n{_limits(data)}{_repeated(data)}",
    ]
    return "\n\n".join(parts) + "\n"


def _facts(declaration: Declaration, data: DataSet, record: Record) -> str:
    versions = record.versions
    rows = {
        "Network": f"{declaration.architecture}, {record.parameters:,} parameters",
        "Trained on": f"{len(data.train):,} examples of {data.name}, "
        f"{record.epochs} epochs, seed {declaration.seed}",
        "Chosen on": f"{len(data.validation):,} validation examples",
        **({"Licence of the data": data.licence} if data.licence else {}),
        **_initial_weights(record),
        **_class_weights(record),
        "Made": f"{record.started} with Keras {versions['keras']} ({versions['backend']}), "
        f"in {record.seconds:.0f} s",
        "Command": f"`{record.command}`",
        "Declaration": f"SHA-256 `{declaration.digest}`",
        "Split": f"SHA-256 `{data.split_hash}`",
    }
    return table(["", ""], list(rows.items()))


def _by_set(by_set: dict[str, dict[str, Any]], record: Record) -> str:
    names = ("accuracy", "negative_log_likelihood", "calibration_error")
    rows = [
        [
            name,
            _number(record.data.sets[name]["share"]),
            _weight(record.data.sets[name]["weight"]),
            f"{measures['examples']:,}",
            *(_number(measures[each]) for each in names),
        ]
        for name, measures in by_set.items()
    ]
    head = ["data set", "share of a batch", "weight", "examples"]
    return table([*head, *(name.replace("_", " ") for name in names)], rows)


def _weight(weight: float | dict[str, float]) -> str:
    if not isinstance(weight, dict):
        return _number(weight)
    return ", ".join(f"{name} {of:g}" for name, of in weight.items()) + ", others 1"


def _initial_weights(record: Record) -> dict[str, str]:
    if not (began := record.initial_weights):
        return {}
    taken = f"{began['source']}, SHA-256 `{began['weights']}`: {', '.join(began['taken'])}"
    drawn = [f"{layer} ({reason})" for layer, reason in began["drawn"].items()]
    return {"Began with": f"{taken}; drawn anew: {', '.join(drawn)}" if drawn else taken}


def _class_weights(record: Record) -> dict[str, str]:
    weights = [f"{name} {weight:.3g}" for name, weight in record.class_weights.items()]
    return {"Class weights": ", ".join(weights)} if weights else {}


def _measures(metrics: dict[str, Any]) -> str:
    names = [name for name, value in metrics["test"].items() if isinstance(value, (int, float))]
    rows = [
        [name.replace("_", " "), *(_number(metrics[part].get(name)) for part in metrics)]
        for name in names
    ]
    return table(["measure", *metrics], rows)


def _calibration(calibration: dict[str, Any], asked: float) -> str:
    parts = [part for part in ("validation", "test") if part in calibration]
    rows = [
        [name.replace("_", " "), *(_number(calibration[part][name]) for part in parts)]
        for name in calibration[parts[0]]
    ]
    unknown = (
        f"An answer `{calibration['unknown']}` is always uncertain; the limit is fitted on the "
        "others. "
        if "unknown" in calibration
        else ""
    )
    return (
        f"The logits are divided by a temperature of {calibration['temperature']:.3f}, fitted on "
        "the validation examples; the measures above are taken after that. An answer with a "
        f"probability below {calibration['uncertain_below']:.4f} is called uncertain: above this "
        f"limit, {asked:.0%} of the answers on the validation examples are right. {unknown}".strip()
        + f"\n\n{table(['', *parts], rows)}"
    )


def _by_class(test: dict[str, Any]) -> str:
    rows = [
        [row["label"], *(_number(row[name]) for name in ("precision", "recall", "f1"))]
        for row in test["by_class"]
    ]
    return table(["class", "precision", "recall", "F1"], rows)


def _interface(data: DataSet) -> str:
    about = "" if data.encoding is None else f" of `{data.encoding.target.name}`"
    if data.class_names is None:
        return f"{_inputs(data)}Returns `values`{about}."
    outputs = f"`probabilities`: float32 `[N, {len(data.class_names)}]`"
    return f"{_inputs(data)}Returns {outputs}{about} for {', '.join(data.class_names)}."


def _inputs(data: DataSet) -> str:
    shape = "×".join(map(str, data.input_shape))
    if data.encoding is not None:
        return f"One tensor for each column, as the table has it.\n\n{_columns(data.encoding)}\n\n"
    if len(data.input_shape) == 1:
        return f"`features`: float32 `[N, {shape}]`. "
    return (
        f"`images`: float32 `[N, {shape}]`, raw pixels 0–255, on a {data.polarity} background. "
        f"In training as in serving, a picture {_PREPARED[data.prepare]}. {_version(data)}"
    )


def _version(data: DataSet) -> str:
    if data.preparation is None:
        return ""
    return f"It was trained with version {data.preparation} of this preparation. "


def _columns(encoding: Encoding) -> str:
    """The inputs of a table's artifact."""
    rows = [
        [f"`{column.name}`", "float32 `[N]`", "a number; NaN where it is missing"]
        if column.categories is None
        else [f"`{column.name}`", "string `[N]`", _categories(column.categories)]
        for column in encoding.columns
    ]
    return table(["column", "type", "what it holds"], rows)


def _categories(categories: Sequence[str]) -> str:
    shown = ", ".join(f"`{each}`" if each else "empty: missing" for each in categories[:SHOWN])
    return f"{shown}, …: {len(categories):,} in all" if len(categories) > SHOWN else shown


def _limits(data: DataSet) -> str:
    if data.class_names is None:
        return "Outside the range of its training inputs it extrapolates without warning."
    others = "pictures" if len(data.input_shape) > 1 else "data"
    measured = " and ".join(part.name for part in data.parts if len(part.examples["test"]))
    measured = measured or data.name
    if data.unknown is not None:
        return (
            f"It knows the {len(data.class_names) - 1} classes above, and `{data.unknown}` for "
            "what is none of them; of a kind that it was not shown it may still name one. It was "
            f"measured on examples of {measured}; on other {others} expect less."
        )
    return (
        f"It knows the {len(data.class_names)} classes above and must choose one of them, whatever "
        f"it is shown. It was measured on examples of {measured}; on other {others} expect less."
    )


def _repeated(data: DataSet) -> str:
    if not data.repeated:
        return ""
    return (
        f" {data.repeated:,} of its {len(data.test):,} test pictures are, pixel for pixel, also "
        "among those that it was trained or chosen on: the measures above are too good."
    )


def _number(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
