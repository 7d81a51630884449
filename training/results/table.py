"""`results/README.md`, written from the records beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from wardrobe.training.results import records, zoo
from wardrobe.training.results.records import Record
from wardrobe.training.results.zoo import Entry

BUDGETS = {"at most 250,000": 250_000, "at most 1,000,000": 1_000_000, "any number": 10**12}


def write() -> Path:
    """Writes the tables, one row for each network of the zoo, best first; returns the file."""
    entries = zoo.entries()
    pupils, teachers = (summaries(entries, are_teachers) for are_teachers in (False, True))
    parts = [
        _HEAD,
        "## The best of each size\n\nChosen by the likelihood of the validation examples.\n\n"
        + _best(pupils),
        "## Scores\n\n" + _scores(pupils, entries),
        "## Costs\n\n" + _costs(pupils),
    ]
    if teachers:
        parts.append(
            "## Teachers\n\nConvolutional, not entries of the zoo: networks are taught by them.\n\n"
            + _scores(teachers, entries)
            + "\n\n"
            + _costs(teachers)
        )
    parts.append("## Recipes")
    parts += [
        f"### {name}\n\n{entries[name].about}\n\n{entries[name].notes}"
        for name in (*pupils, *teachers)
    ]
    parts += [
        f"### {name}\n\nExtended by others.\n\n{notes}" for name, notes in zoo.bases().items()
    ]
    file = records.FOLDER / "README.md"
    file.parent.mkdir(exist_ok=True)
    file.write_text("\n\n".join(part.strip() for part in parts) + "\n", encoding="utf-8")
    return file


def summaries(entries: dict[str, Entry], of_teachers: bool = False) -> dict[str, Record]:
    """The summary of each entry, or of each teacher, that has records; the best first."""
    found = records.records()
    of_each = {
        name: records.summary(found[name])
        for name, entry in entries.items()
        if name in found and entry.is_teacher is of_teachers
    }
    return dict(sorted(of_each.items(), key=lambda named: -named[1]["test_accuracy"]))


def best_of_each_size(of_each: dict[str, Record]) -> Iterator[tuple[str, str]]:
    """Budget and name of the network within it that is best on the validation examples.

    By the likelihood, which early stopping on the validation accuracy has not pushed upwards.
    """
    for budget, most in BUDGETS.items():
        within = [name for name, of in of_each.items() if of["parameters"] <= most]
        if within:
            yield (
                budget,
                min(within, key=lambda name: of_each[name]["validation_negative_log_likelihood"]),
            )


_HEAD = """\
# Results of the zoo on Fashion-MNIST

Written by `wardrobe results` from the records beside it; do not edit. The official test set, looked
at once at the end of each run. Mean ± standard deviation over the seeds.

![Test accuracy against the number of parameters](accuracy.svg)"""


def _best(of_each: dict[str, Record]) -> str:
    rows = [[budget, best, _accuracy(of_each[best])] for budget, best in best_of_each_size(of_each)]
    return _table(["parameters", "network", "test accuracy"], rows)


def _scores(of_each: dict[str, Record], entries: dict[str, Entry]) -> str:
    """Test measures are after the temperature; 'drawn anew' is a test set of other examples."""
    head = [
        "network", "layers", "parameters", "teacher", "seeds", "test accuracy",
        "validation accuracy", "test set drawn anew", "negative log-likelihood",
        "calibration error before the temperature", "after", "answers that are certain",
        "right of these",
    ]  # fmt: skip
    drawn_anew = records.records(resplit=True)
    rows = [
        [
            name,
            entries[name].layers,
            f"{of['parameters']:,}",
            of["teacher"] or "–",
            str(of["seeds"]),
            _accuracy(of),
            f"{of['validation_accuracy']:.4f}",
            _drawn_anew(drawn_anew.get(name, []), of),
            f"{of['negative_log_likelihood']:.3f}",
            f"{of['calibration_error_before']:.4f}",
            f"{of['calibration_error']:.4f}",
            f"{of['coverage']:.1%}",
            f"{of['accuracy_when_certain']:.1%}",
        ]
        for name, of in of_each.items()
    ]
    return _table(head, rows)


def _costs(of_each: dict[str, Record]) -> str:
    """Latency is that of the SavedModel, called in one process."""
    head = [
        "network", "artifact MB", "one picture µs", "a batch of 64 µs", "epochs",
        "seconds of training", "on", "command",
    ]  # fmt: skip
    rows = [
        [
            name,
            f"{of['bytes'] / 1e6:.2f}",
            *(f"{of['microseconds'][size]:.0f}" for size in ("1", "64")),
            f"{of['epochs']:.0f}",
            f"{of['seconds']:.0f}",
            f"{of['processor']}, {of['backend']}",
            f"`wardrobe train {name}{_backend(of)}`",
        ]
        for name, of in of_each.items()
    ]
    return _table(head, rows)


def _backend(of: Record) -> str:
    return "" if of["backend"] == "tensorflow" else f" --backend {of['backend']}"


def _accuracy(of: Record) -> str:
    spread = of["test_accuracy_spread"]
    return f"{of['test_accuracy']:.4f}" + (f" ± {spread:.4f}" if spread is not None else "")


def _drawn_anew(runs: list[Record], of: Record) -> str:
    if not runs:
        return "–"
    accuracy = records.summary(runs)["test_accuracy"]
    return f"{accuracy:.4f} ({100 * (accuracy - of['test_accuracy']):+.1f} points)"


def _table(head: list[str], rows: Sequence[list[str]]) -> str:
    are_numbers = [all(cell[0].isdigit() for cell in column) for column in zip(*rows, strict=True)]
    lines = [head, ["---:" if numbers else "---" for numbers in are_numbers], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
