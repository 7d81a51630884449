"""What the command line shows: tables, notices and progress bars, drawn by rich.

Results go to stdout, everything else to stderr, so that a pipe carries results only.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from wardrobe.training.studies.cost import Cost

WIDEST = 1000
"""Columns where the output goes into a file or a pipe: no row is cut or folded there."""


def print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(rows: Sequence[Mapping[str, Any]], formats: Mapping[str, str] = {}) -> None:
    """Rows as aligned columns, named by the keys of the first.

    formats: format specifications of columns of numbers, such as `{"accuracy": ".4f"}`.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDEST)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for name in rows[0]:
        table.add_column(Text(name), justify="right" if name in formats else "left")
    for row in rows:
        cells = (
            "–" if value is None else format(value, formats.get(name, ""))
            for name, value in row.items()
        )
        table.add_row(*map(Text, cells))
    with console.capture() as capture:
        console.print(table)
    for line in capture.get().splitlines():
        click.echo(line.rstrip())


def print_notice(title: str, text: str) -> None:
    """A notice that cannot be overlooked, on stderr."""
    from rich.console import Console
    from rich.panel import Panel

    Console(stderr=True).print(Panel(text, title=title, style="bold yellow"))


def measures_in_words(measures: Mapping[str, Any]) -> str:
    """The numbers among measures, such as `accuracy 0.8947, calibration error 0.0061`."""
    numbers = {name: value for name, value in measures.items() if isinstance(value, float)}
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in numbers.items())


@contextmanager
def progress_bar() -> Iterator[Callable[[str, int, int | None], None]]:
    """A bar on stderr. Calls say the name of a file, its bytes so far and in all; or that of a
    folder, which ends in `/`, its pictures so far and in all."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, Task, TextColumn
    from rich.text import Text

    class Amount(DownloadColumn):
        def render(self, task: Task) -> Text:
            if not task.description.endswith("/"):
                return super().render(task)
            return Text(f"{task.completed:,.0f} of {task.total:,.0f} pictures")

    columns = (TextColumn("{task.description}"), *Progress.get_default_columns()[1:3])
    bar = Progress(*columns, Amount(), console=Console(stderr=True))
    tasks: dict[str, Any] = {}

    def show(name: str, so_far: int, in_all: int | None) -> None:
        bar.start()  # not before: a bar of nothing is an empty line
        if name not in tasks:
            tasks[name] = bar.add_task(name, total=in_all)
        bar.update(tasks[name], completed=so_far)

    try:
        yield show
    finally:
        if tasks:
            bar.stop()


@contextmanager
def picture_progress() -> Iterator[Callable[[int, int | None], None]]:
    """A progress bar on stderr, with pictures a second and the time left."""
    from rich.console import Console
    from rich.progress import (
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.0f} pictures/s" if task.speed else "")

    columns = (*Progress.get_default_columns()[1:2], MofNCompleteColumn(), Rate())
    bar = Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True))

    def show(done: int, total: int | None) -> None:
        bar.start()  # as above
        if not bar.tasks:
            bar.add_task("pictures", total=None)
        bar.update(bar.task_ids[0], completed=done, total=total)

    try:
        yield show
    finally:
        if bar.tasks:
            bar.stop()


def announce_cost(cost: Cost, processes: int | None) -> None:
    """What a study will cost on so many processes; None: on a cluster."""
    if not cost.trainings:
        return
    cores = min(processes or 1, os.cpu_count() or 1, cost.programs)
    minutes = cost.seconds / cores / 60
    time = (
        f"{minutes:.0f} minutes" if minutes >= 1.5 else f"{max(10, round(60 * minutes, -1)):.0f} s"
    )
    where = f"on {cores} core{'s' if cores > 1 else ''}" if processes else "of one core"
    click.echo(
        f"{cost.trainings} variants to train, in {cost.programs} programs: about {time} {where}",
        err=True,
    )


def show_variants_done(done: int, total: int) -> None:
    """How much of a study has run, on one line of stderr."""
    if total:  # a search has none
        click.echo(f"\r{done} of {total} variants", err=True, nl=done == total)
