"""`results/README.md`, written from the records beside it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import mean

from wardrobe.training.files import atomic_write
from wardrobe.training.markdown import table
from wardrobe.training.record import Record
from wardrobe.training.results import records, zoo
from wardrobe.training.results.records import Summary, summarize, summarize_all
from wardrobe.training.results.zoo import Entry

BUDGETS = {"at most 250,000": 250_000, "at most 1,000,000": 1_000_000, "any number": 10**12}


def write() -> Path:
    """Writes the tables, one row for each network of the zoo, best first; returns the file."""
    entries = zoo.entries()
    students, teachers = summarize_all(), summarize_all(teachers=True)
    parts = [
        _HEAD,
        "## The best of each size\n\nChosen by the likelihood of the validation examples.\n\n"
        + _best(students),
        "## Scores\n\n" + _scores(students, entries),
        "## Size and latency\n\n" + _size_and_latency(students),
    ]
    if teachers:
        parts.append(
            "## Teachers\n\nConvolutional: other networks are distilled from them.\n\n"
            + _scores(teachers, entries)
            + "\n\n"
            + _size_and_latency(teachers)
        )
    others = records.of_other_data()
    parts += [_of_other_data(name, runs, entries) for name, runs in others.items()]
    parts.append("## Recipes")
    parts += [
        f"### {name}\n\n{entries[name].about}\n\n{entries[name].notes}"
        for name in (*students, *teachers, *others)
    ]
    parts += [
        f"### {name}\n\nExtended by others.\n\n{notes}" for name, notes in zoo.bases().items()
    ]
    file = records.FOLDER / "README.md"
    file.parent.mkdir(exist_ok=True)
    with atomic_write(file) as stream:
        stream.write("\n\n".join(part.strip() for part in parts) + "\n")
    return file


def best_of_each_size(summaries: dict[str, Summary]) -> Iterator[tuple[str, str]]:
    """Budget and name of the network within it that is best on the validation examples.

    By the likelihood, which early stopping on the validation accuracy has not pushed upwards.
    """
    for budget, most in BUDGETS.items():
        within = [name for name, summary in summaries.items() if summary.parameters <= most]
        if within:
            yield (
                budget,
                min(within, key=lambda name: summaries[name].validation_negative_log_likelihood),
            )


_HEAD = """\
# Results of the zoo on Fashion-MNIST

Written by `wardrobe results` from the records beside it; do not edit. Measured on the official test
set, once, at the end of each run. Mean ± standard deviation over the seeds.

![Test accuracy against the number of parameters](accuracy.svg)"""


def _best(summaries: dict[str, Summary]) -> str:
    rows = [
        [budget, best, _accuracy(summaries[best])] for budget, best in best_of_each_size(summaries)
    ]
    return table(["parameters", "network", "test accuracy"], rows)


def _scores(summaries: dict[str, Summary], entries: dict[str, Entry]) -> str:
    """Test measures are after the temperature; 'on a new test set' is one of other examples."""
    head = [
        "network", "layers", "parameters", "teacher", "seeds", "test accuracy",
        "validation accuracy", "on a new test set", "negative log-likelihood",
        "calibration error before temperature scaling", "after", "certain answers",
        "right among these",
    ]  # fmt: skip
    drawn_anew = records.records(resplit=True)
    rows = [
        [
            name,
            entries[name].layers,
            f"{summary.parameters:,}",
            summary.teacher or "–",
            str(summary.seeds),
            _accuracy(summary),
            f"{summary.validation_accuracy:.4f}",
            _drawn_anew(drawn_anew.get(name, []), summary),
            f"{summary.negative_log_likelihood:.3f}",
            f"{summary.calibration_error_before:.4f}",
            f"{summary.calibration_error:.4f}",
            f"{summary.coverage:.1%}",
            f"{summary.accuracy_when_certain:.1%}",
        ]
        for name, summary in summaries.items()
    ]
    return table(head, rows)


def _of_other_data(name: str, runs: list[Record], entries: dict[str, Entry]) -> str:
    """A section on a network for other data than Fashion-MNIST: its test examples are others, and
    its figures cannot be compared with those above."""
    summary = {name: summarize(runs)}
    data = " and ".join(runs[0].metrics["test"].get("by_set", {})) or runs[0].data.name
    return (
        f"## {name}\n\n{entries[name].about}. Measured on {runs[0].metrics['test']['examples']:,} "
        f"test examples of {data}. If a class stands for several classes of the network, their "
        f"probabilities are added.\n\n{_scores(summary, entries)}\n\n{_recall(runs)}\n\n"
        f"{_size_and_latency(summary)}"
    )


def _recall(runs: Sequence[Record]) -> str:
    """The recall of each class on the test examples, in the classes of each data set."""
    tests = [run.metrics["test"] for run in runs]
    sets = [list(test.get("by_set", {"": test}).values()) for test in tests]
    rows = []
    for measured in zip(*sets, strict=True):
        for classes in zip(*(each["by_class"] for each in measured), strict=True):
            found = [one["recall"] for one in classes if one["recall"] is not None]
            if found:
                head = [classes[0]["label"], f"{classes[0]['examples']:,}"]
                rows.append([*head, f"{mean(found):.1%}", f"{min(found):.1%}–{max(found):.1%}"])
    return table(["class", "test examples", "right", "over the seeds"], rows)


def _size_and_latency(summaries: dict[str, Summary]) -> str:
    """Latency is that of the SavedModel, called in one process."""
    head = [
        "network", "artifact MB", "one picture µs", "a batch of 64 µs", "epochs",
        "seconds of training", "on", "command",
    ]  # fmt: skip
    rows = [
        [
            name,
            f"{summary.bytes / 1e6:.2f}",
            *(f"{summary.microseconds[size]:.0f}" for size in ("1", "64")),
            f"{summary.epochs:.0f}",
            f"{summary.seconds:.0f}",
            f"{summary.processor}, {summary.backend}",
            f"`wardrobe train {name}{_backend(summary)}`",
        ]
        for name, summary in summaries.items()
    ]
    return table(head, rows)


def _backend(summary: Summary) -> str:
    return "" if summary.backend == "tensorflow" else f" --backend {summary.backend}"


def _accuracy(summary: Summary) -> str:
    spread = summary.accuracy_spread
    return f"{summary.accuracy:.4f}" + (f" ± {spread:.4f}" if spread is not None else "")


def _drawn_anew(runs: list[Record], summary: Summary) -> str:
    if not runs:
        return "–"
    accuracy = summarize(runs).accuracy
    return f"{accuracy:.4f} ({100 * (accuracy - summary.accuracy):+.1f} points)"
