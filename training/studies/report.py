"""From the records of a study to its verdicts, its figure and its report."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wardrobe.models import DeclarationError, ErrorDetail
from wardrobe.models.schema.errors import did_you_mean
from wardrobe.models.schema.inheritance import shown
from wardrobe.training.errors import TrainingError
from wardrobe.training.studies.claims import Verdict, judge
from wardrobe.training.studies.records import Record
from wardrobe.training.studies.study import Study

# Shown first in the table, if the variants have them.
_COLUMNS = ("parameters", "train_loss", "train_accuracy", "test_loss", "test_accuracy", "epochs")


@dataclass(frozen=True)
class Report:
    """A finished study: its folder, its verdicts and the table of its numbers."""

    study: Study
    folder: Path
    verdicts: list[Verdict]
    variants: int
    table: list[list[str]]

    @property
    def holds(self) -> bool:
        return all(verdict.holds for verdict in self.verdicts)

    @property
    def figures(self) -> list[Path]:
        """The drawings, as SVG: `figure.svg`, then `figure-2.svg` and so on."""
        numbers = range(1, len(self.study.frame.figure) + 1)
        return [self.folder / f"figure{f'-{n}' if n > 1 else ''}.svg" for n in numbers]


def report(study: Study, records: Sequence[Record], folder: Path, pictures: bool) -> Report:
    """Judges the claim, draws the figure and writes `report.md`.

    `pictures`: whether figures may show examples of the data set.

    Raises:
        DeclarationError: the claim or the figure names something unknown.
        TrainingError: a variant lacks a number that the figure draws.
    """
    try:
        verdicts = [judge(claim, records) for claim in study.frame.claim]
    except ValueError as error:
        line = study.tree.origin_of(("claim",)).line
        raise DeclarationError([ErrorDetail(shown(study.file), line, str(error))]) from None
    done = Report(study, folder, verdicts, len(records), _table(study, records))
    folder.mkdir(parents=True, exist_ok=True)
    for file, (name, options) in zip(done.figures, study.frame.figure.items(), strict=True):
        _draw(study, records, file, name, options | {"pictures": pictures})
    (folder / "report.md").write_text(_markdown(done), encoding="utf-8")
    return done


def _draw(
    study: Study, records: Sequence[Record], file: Path, name: str, options: dict[str, Any]
) -> None:
    """The option `where` of all figures: the labels of the variants to draw."""
    from wardrobe.training.studies.figures import FIGURES
    from wardrobe.training.studies.figures.style import styled

    drawn = [record for record in records if _is_shown(record, options.get("where", {}))]
    if name not in FIGURES:
        line = study.tree.origin_of(("figure",)).line
        hint = did_you_mean(name, FIGURES) or f"; choose from {', '.join(FIGURES)}"
        detail = ErrorDetail(shown(study.file), line, f"no figure '{name}'{hint}")
        raise DeclarationError([detail])
    with styled():
        try:
            figure = FIGURES[name](drawn, options)
        except KeyError as error:
            raise TrainingError(
                f"{study.name}: {name} needs {error}, which no measure provides"
            ) from error
        import matplotlib

        # Gives the ids in each study's drawing a prefix of their own on the page.
        with matplotlib.rc_context(
            {"svg.hashsalt": f"{study.name}{file.stem.removeprefix('figure')}"}
        ):
            figure.savefig(file, metadata={"Date": None})
        figure.savefig(file.with_suffix(".png"), facecolor="white", metadata={"Software": None})


def _is_shown(record: Record, where: dict[str, Any]) -> bool:
    return all(record.labels[axis] == str(label) for axis, label in where.items())


def _table(study: Study, records: Sequence[Record]) -> list[list[str]]:
    """A row for all variants that differ only in their seed: how many, and medians."""
    axes = [axis for axis in (records[0].labels if records else ()) if axis != "seed"]
    groups: dict[tuple[str, ...], list[Record]] = {}
    for record in records:
        groups.setdefault(tuple(record.labels[axis] for axis in axes), []).append(record)
    claimed = " ".join(study.frame.claim)
    names = dict.fromkeys(name for record in records for name in record.numbers)
    columns = [name for name in names if name in _COLUMNS or name in claimed]
    rows = [
        [*labels, str(len(group)), *(_median(group, name) for name in columns)]
        for labels, group in groups.items()
    ]
    return [[*axes, "seeds", *(name.replace("_", " ") for name in columns)], *rows]


def _median(group: Sequence[Record], name: str) -> str:
    values = [record.numbers.get(name, math.nan) for record in group]
    middle = statistics.median(values)
    if math.isnan(middle):
        return "–"
    return f"{middle:,.0f}" if middle.is_integer() and abs(middle) >= 1 else f"{middle:.4g}"


def _markdown(report: Report) -> str:
    study = report.study
    rows = ", ".join(map(str, study.frame.rows))
    of_lecture = f"Lecture, row {rows} · " if rows else ""
    lines: list[Any] = [
        f"# {study.title}",
        f"{of_lecture}variants: {report.variants} · `{command(study)}`",
        study.frame.about.strip(),
        "\n\n".join(f"![figure]({file.with_suffix('.png').name})" for file in report.figures),
        f"## The claim {'holds' if report.holds else 'does not hold'}",
        "\n".join(
            f"- `{verdict.claim}`: {verdict.computed}, "
            f"{'holds' if verdict.holds else '**does not hold**'}"
            for verdict in report.verdicts
        ),
    ]
    if not report.holds and study.frame.otherwise:
        lines.append(study.frame.otherwise.strip())
    head, *body = report.table
    table = [head, ["---"] * len(head), *body]
    lines += ["## Numbers (medians)", "\n".join(f"| {' | '.join(row)} |" for row in table)]
    return "\n\n".join(lines) + "\n"


def command(study: Study) -> str:
    """The command that runs a study again."""
    return f"wardrobe study {study.name}{' --quick' if study.is_quick else ''}"
