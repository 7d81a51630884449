"""The command line: one short function a command.

Results go to stdout, progress and notices to stderr. Exit code 0, 1 for a failure, 2 for wrong
usage. The rooms are imported inside the commands, so that help and checks start at once.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from models import DataFacts, Declaration
    from models.tree import Node

PRETRAINED = Path(__file__).parent / "pretrained"

DataDir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of data sets; default: $WARDROBE_DATA.",
)
Set = click.option(
    "--set", "overrides", multiple=True, metavar="A.B=C", help="Change a value of the declaration."
)
Json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class _Failures(click.Group):
    """Turns every failure that a user can cause into one clear message and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _fail("interrupted")
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            sys.exit(1)
        except OSError as error:
            _fail(f"{error.filename or 'error'}: {error.strerror or error}")
        except Exception as error:
            if isinstance(error, _user_errors()):
                _fail(str(error))
            raise


def _user_errors() -> tuple[type[Exception], ...]:
    """The exceptions of those rooms that the failed command has imported."""
    names = {
        "models.problems": "DeclarationError",
        "training.data.dataset": "DataError",
        "training.errors": "TrainingError",
        "serving.errors": "ServingError",
    }
    return tuple(
        getattr(sys.modules[module], name)
        for module, name in names.items()
        if module in sys.modules
    )


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(1)


@click.group(cls=_Failures, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wardrobe")
def main() -> None:
    """Declare a fully connected network in YAML, train it, serve it."""
    # Before TensorFlow is loaded: its notices are of no use to who trains or serves.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@main.command("list")
@Json
def list_(as_json: bool) -> None:
    """Show the zoo: name, layers, parameters, measured accuracy, what it shows."""
    from training import results

    records = results.records()
    rows = []
    for declaration in _zoo():
        measured = results.summary(records[declaration.name]) if declaration.name in records else {}
        rows.append(
            {
                "name": declaration.name,
                "layers": _layers(declaration),
                "parameters": measured.get("parameters"),
                "test_accuracy": measured.get("test_accuracy"),
                "about": declaration.about,
            }
        )
    if as_json:
        return _print_json(rows)
    numbers = [_number(row["parameters"], ",d") for row in rows]
    scores = [_number(row["test_accuracy"], ".4f") for row in rows]
    _print_table(
        ["name", "layers", "parameters", "accuracy", "what it shows"],
        [
            [row["name"], row["layers"], number, score, row["about"]]
            for row, number, score in zip(rows, numbers, scores, strict=True)
        ],
    )


@main.command()
@click.argument("name")
@Set
@Json
def show(name: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print a declaration as resolved, each value with where it came from."""
    declaration = _declaration(name, overrides, None)
    if as_json:
        return _print_json(declaration.tree.plain)
    for text, origin in _lines(declaration.tree):
        click.echo(f"{text:<60} # {origin}" if origin else text)


@main.command()
@click.argument("files", nargs=-1, required=True)
@Set
@DataDir
@Json
def check(
    files: tuple[str, ...], overrides: tuple[str, ...], data_dir: Path | None, as_json: bool
) -> None:
    """Report all errors of declarations, as `file:line: message`."""
    import models

    # Any backend of Keras knows all names and arguments; this one is loaded without TensorFlow.
    os.environ["KERAS_BACKEND"] = "numpy"
    problems = []
    for file in files:
        try:
            tree = models.read(file, overrides)
            problems += models.check(tree, _facts(tree, data_dir))
        except models.DeclarationError as error:
            problems += error.problems
    if as_json:
        _print_json([vars(problem) for problem in problems])
    else:
        for problem in problems:
            click.echo(str(problem))
    sys.exit(1 if problems else 0)


@main.command()
@click.argument("name_or_file")
@Set
@click.option("--seed", type=click.IntRange(min=0), help="Same as --set seed=N.")
@click.option("--epochs", type=click.IntRange(min=1), help="Same as --set training.epochs=N.")
@DataDir
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option(
    "--artifacts", type=click.Path(path_type=Path), default=Path("artifacts"), show_default=True
)
@click.option(
    "--stand-in",
    is_flag=True,
    help="Where the data set is to be had nowhere, train on `silhouettes` instead.",
)
@Json
def train(
    name_or_file: str,
    overrides: tuple[str, ...],
    seed: int | None,
    epochs: int | None,
    data_dir: Path | None,
    runs: Path,
    artifacts: Path,
    stand_in: bool,
    as_json: bool,
) -> None:
    """Train a network of the zoo or of a file: one run, one artifact."""
    import models
    from training import data

    given = {"seed": seed, "training.epochs": epochs}
    overrides += tuple(f"{key}={value}" for key, value in given.items() if value is not None)
    declaration = _declaration(name_or_file, overrides, data_dir)
    try:
        loaded = _load(declaration, data_dir)
    except data.DataUnavailable as error:
        if not stand_in:
            raise
        _notice_stand_in(error)
        name = f"{declaration.name}-silhouettes"
        overrides += ("data.name=silhouettes", "training.validation=0.1", f"name={name}")
        declaration = _declaration(name_or_file, overrides, data_dir)
        loaded = _load(declaration, data_dir)

    from training.train import train as run_training

    trained = run_training(
        declaration,
        loaded,
        written=models.chain(models.find(name_or_file)),
        runs=runs,
        artifacts=artifacts,
        command=shlex.join(["wardrobe", *sys.argv[1:]]),
    )
    if as_json:
        return _print_json(
            {"run": str(trained.run), "artifact": str(trained.artifact), **trained.record}
        )
    for part, measures in trained.record["metrics"].items():
        click.echo(f"{part}: {_in_words(measures)}")
    click.echo(f"run: {trained.run}\nartifact: {trained.artifact}")


@main.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@DataDir
@Json
def evaluate(artifact: Path, data_dir: Path | None, as_json: bool) -> None:
    """Measure an artifact on the test examples of its data set."""
    raise NotImplementedError


@main.command()
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@Json
def results(runs: Path, as_json: bool) -> None:
    """Write the zoo's results table from the records of its runs."""
    from training import results as room

    zoo = list(_zoo())
    taken = room.collect(runs, {declaration.name: declaration.digest for declaration in zoo})
    table = room.write_table({declaration.name: _layers(declaration) for declaration in zoo})
    if as_json:
        return _print_json({"table": str(table), "records": [str(file) for file in taken]})
    click.echo(table.read_text(encoding="utf-8"), nl=False)
    click.echo(f"{len(taken)} records taken up from {runs}; written to {table}", err=True)


def _facts(tree: Node, data_dir: Path | None) -> DataFacts:
    """Shape and classes of a declaration's data, or Fashion-MNIST's where they are not at hand."""
    from training import data

    name = tree.get("data", "name")
    try:
        return data.describe(str(name.value if name else ""), data_dir)
    except data.DataError:
        return data.describe("fashion-mnist")


def _declaration(name: str, overrides: tuple[str, ...], data_dir: Path | None) -> Declaration:
    import models

    tree = models.read(name, overrides)
    return models.resolve(tree, _facts(tree, data_dir))


def _load(declaration: Declaration, data_dir: Path | None) -> Any:
    from training import data

    return data.load(
        declaration.data.name,
        validation=declaration.training.validation,
        folder=data_dir,
        resplit=declaration.data.resplit,
    )


def _zoo() -> list[Declaration]:
    """The networks of the zoo; a file without layers is a base that others extend."""
    import models
    from models import zoo

    trees = [models.read(name) for name in zoo.names()]
    return [
        models.resolve(tree, _facts(tree, None)) for tree in trees if tree.get("model", "layers")
    ]


def _layers(declaration: Declaration) -> str:
    """`784-256-128-100-10`, equal neighbours counted: `784-3×256-10`."""
    inputs = 1
    for size in declaration.model.input.shape:
        inputs *= size
    counted: list[list[int]] = []
    for width in (inputs, *declaration.widths):
        if counted and counted[-1][1] == width:
            counted[-1][0] += 1
        else:
            counted.append([1, width])
    return "-".join(f"{n}×{width}" if n > 1 else str(width) for n, width in counted)


def _lines(node: Node, indent: str = "", before: str = "") -> list[tuple[str, str]]:
    """A tree as YAML lines, each with the origin of the value that stands on it."""
    if isinstance(node.value, dict) and node.value:
        lines = []
        for number, (key, child) in enumerate(node.value.items()):
            lead = before if before and number == 0 else indent
            lines += _entry(child, indent, f"{lead}{key}:")
        return lines
    if isinstance(node.value, list) and any(isinstance(c.value, (dict, list)) for c in node.value):
        return [
            line for child in node.value for line in _lines(child, indent + "  ", f"{indent}- ")
        ]
    return [(f"{before or indent}{_scalar(node.plain)}", str(node.origin))]


def _entry(child: Node, indent: str, key: str) -> list[tuple[str, str]]:
    nested = isinstance(child.value, dict) or (
        isinstance(child.value, list) and any(isinstance(c.value, dict) for c in child.value)
    )
    if nested and child.value:
        return [(key, ""), *_lines(child, indent + "  ")]
    return [(f"{key} {_scalar(child.plain)}", str(child.origin))]


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _in_words(measures: dict[str, Any]) -> str:
    numbers = {k: v for k, v in measures.items() if isinstance(v, float)}
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in numbers.items())


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else format(value, form)


def _notice_stand_in(error: Exception) -> None:
    from rich.console import Console
    from rich.panel import Panel

    text = (
        f"{error}\n\nTraining on SILHOUETTES instead: garments drawn by this program, NOT "
        "Fashion-MNIST.\nWhat is trained now knows nothing of real garments; the pretrained "
        "networks that ship\nwith wardrobe do, and are served beside it."
    )
    Console(stderr=True).print(Panel(text, title="FASHION-MNIST NOT FOUND", style="bold yellow"))


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(head: list[str], rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


if __name__ == "__main__":
    main()
