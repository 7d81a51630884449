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
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

if TYPE_CHECKING:
    from wardrobe.models import DataFacts, Declaration
    from wardrobe.models.schema.tree import Node
    from wardrobe.serving.settings import Settings
    from wardrobe.training.data import DataSet
    from wardrobe.training.results.table import Entry
    from wardrobe.training.studies.report import Report
    from wardrobe.training.studies.study import Study

PRETRAINED = Path(__file__).parent / "pretrained"

DataDir = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of data sets; default: $WARDROBE_DATA.",
)
Set = click.option(
    "--set", "overrides", multiple=True, metavar="A.B=C", help="Change a value of the declaration."
)
Artifacts = click.option(
    "--artifacts",
    multiple=True,
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of artifacts, can be given several times.  "
    "[default: $WARDROBE_ARTIFACTS, or artifacts and what ships with wardrobe]",
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
        "wardrobe.models.schema.errors": "DeclarationError",
        "wardrobe.training.data.dataset": "DataError",
        "wardrobe.training.errors": "TrainingError",
        "wardrobe.serving.errors": "ServingError",
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
    from wardrobe.training.results import records

    measured = {name: records.summary(runs) for name, runs in records.records().items()}
    rows = []
    for declaration in _zoo():
        of_runs = measured.get(declaration.name, {})
        rows.append(
            {
                "name": declaration.name,
                "layers": declaration.architecture,
                "parameters": of_runs.get("parameters"),
                "accuracy": of_runs.get("test_accuracy"),
                "what it shows": declaration.about,
            }
        )
    if as_json:
        _print_json(rows)
    else:
        forms = {"parameters": ",d", "accuracy": ".4f"}
        _print_table(rows, forms)


@main.command()
@click.argument("name")
@Set
@Json
def show(name: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print a declaration as resolved, each value with where it came from."""
    from wardrobe.models.schema.rendering import annotated

    declaration = _declaration(name, overrides, None)
    if as_json:
        _print_json(declaration.tree.plain)
    else:
        click.echo(annotated(declaration.tree), nl=False)


@main.command()
@click.argument("files", nargs=-1, required=True)
@Set
@DataDir
@Json
def check(
    files: tuple[str, ...], overrides: tuple[str, ...], data_dir: Path | None, as_json: bool
) -> None:
    """Report all errors of declarations, as `file:line: message`."""
    from wardrobe import models

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
@click.option(
    "--backend",
    type=click.Choice(["tensorflow", "jax"]),
    help="What Keras computes with.  [default: $KERAS_BACKEND, or tensorflow]",
)
@DataDir
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option(
    "--artifacts", type=click.Path(path_type=Path), default=Path("artifacts"), show_default=True
)
@click.option(
    "--resume",
    is_flag=True,
    help="Go on with the last run of this declaration and seed, if it was interrupted.",
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
    backend: str | None,
    data_dir: Path | None,
    runs: Path,
    artifacts: Path,
    resume: bool,
    stand_in: bool,
    as_json: bool,
) -> None:
    """Train a network of the zoo or of a file: one run, one artifact."""
    if backend:  # before Keras is imported
        os.environ["KERAS_BACKEND"] = backend
    from wardrobe import models

    given = {"seed": seed, "training.epochs": epochs}
    overrides += tuple(f"{key}={value}" for key, value in given.items() if value is not None)
    declaration, data = _with_data(name_or_file, overrides, data_dir, stand_in)
    from wardrobe.training.train import train as run_training

    trained = run_training(
        declaration,
        data,
        written=models.chain(models.find(name_or_file)),
        runs=runs,
        artifacts=artifacts,
        command=shlex.join(["wardrobe", *sys.argv[1:]]),
        resume=resume,
    )
    if as_json:
        places = {"run": str(trained.run), "artifact": str(trained.artifact)}
        _print_json(trained.record | places)
    else:
        for part, measures in trained.record["metrics"].items():
            click.echo(f"{part}: {_in_words(measures)}")
        click.echo(f"run: {trained.run}\nartifact: {trained.artifact}")


@main.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@DataDir
@Json
def evaluate(artifact: Path, data_dir: Path | None, as_json: bool) -> None:
    """Measure an artifact (a folder NAME/VERSION) on the test examples of its data set."""
    from wardrobe.serving.inference import artifacts
    from wardrobe.serving.inference import model as saved_model
    from wardrobe.training.evaluation.metrics import evaluate as measure

    found = artifacts.at(artifact)
    tested = _with_data(str(found.folder / "assets.extra" / "declaration.yaml"), (), data_dir)[1]
    model = saved_model.load(found)
    if model.input_shape != tested.input_shape:
        _fail(
            f"{found} takes examples of shape {model.input_shape}, those of {tested.name} have "
            f"{tested.input_shape}: it was trained on other data; train it again"
        )
    measures = measure(
        model.predict(tested.test.x.astype("float32")), tested.test.y, tested.class_names
    )
    if as_json:
        _print_json(measures)
        return
    click.echo(f"{found} on {measures['examples']:,} test examples of {tested.name}")
    click.echo(_in_words(measures))
    if tested.class_names is not None:
        forms = dict.fromkeys(("precision", "recall", "f1"), ".4f")
        click.echo()
        _print_table(measures["by_class"], forms)
        click.echo("\nconfusion: a row for each true class, a column for each predicted one")
        _print_table(_confusion_rows(measures["confusion"], tested.class_names), {})


@main.command()
@click.argument(
    "images", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@click.option("--model", help="Name of the model; default: the first that takes pictures.")
@Artifacts
@click.option("--explain", is_flag=True, help="With --json: what it saw, and the evidence.")
@Json
def predict(
    images: tuple[Path, ...],
    model: str | None,
    artifacts: tuple[Path, ...],
    explain: bool,
    as_json: bool,
) -> None:
    """Name the garments in pictures: the same answer as the server gives."""
    from wardrobe.serving.images.classify import Upload, classify
    from wardrobe.serving.inference.repository import Repository

    settings = _settings(artifacts, model=model)
    repository = Repository(settings.artifacts, settings.model)
    repository.check()
    uploads = [Upload(str(image), image.read_bytes()) for image in images]
    answers = classify(repository.get(), uploads, settings.limits, explain=explain)
    if as_json:
        _print_json({"predictions": answers})
    else:
        for answer in answers:
            click.echo(_answer_in_words(answer), err="error" in answer)
    sys.exit(1 if any("error" in answer for answer in answers) else 0)


@main.command()
@Artifacts
@click.option("--model", help="Name of the model that answers when a request names none.")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0: any free one.  [default: 8080]")
@click.option("--workers", type=click.IntRange(min=1), help="Processes.  [default: 2]")
@click.option(
    "--try", "try_it", is_flag=True, help="When ready, send it a drawn garment and show the answer."
)
def serve(
    artifacts: tuple[Path, ...],
    model: str | None,
    host: str | None,
    port: int | None,
    workers: int | None,
    try_it: bool,
) -> None:
    """Serve artifacts over HTTP: gunicorn and the Flask application."""
    from wardrobe.serving.server import serve as run_server

    settings = _settings(artifacts, model=model, host=host, port=port, workers=workers)
    run_server(settings, listening=_try if try_it else None)


@main.group("data")
def data_() -> None:
    """Find, check and download Fashion-MNIST."""


@data_.command()
@DataDir
@Json
def verify(data_dir: Path | None, as_json: bool) -> None:
    """Say where the data set was found, and whether its hashes are right."""
    from wardrobe.training.data import DataUnavailable, fashion_mnist

    place = fashion_mnist.find(data_dir)
    if place is None:
        raise DataUnavailable("fashion-mnist is nowhere on this machine: `wardrobe data fetch`")
    reports = fashion_mnist.verify(place)
    if as_json:
        _print_json(
            [{**vars(report), "path": str(report.path)} | {"ok": report.ok} for report in reports]
        )
    else:
        for report in reports:
            verdict = "right" if report.ok else "missing" if report.actual is None else "WRONG"
            click.echo(f"{verdict:<8}{report.actual or '–':<64}  {report.path}")
    sys.exit(0 if all(report.ok for report in reports) else 1)


@data_.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Put it into fashion-mnist/ in this folder; default: Keras' own cache.",
)
def fetch(data_dir: Path | None) -> None:
    """Download the data set from where Keras downloads it."""
    from wardrobe.training.data import fashion_mnist

    click.echo(_download(data_dir / fashion_mnist.NAME if data_dir else None))


@main.command()
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@Json
def results(runs: Path, as_json: bool) -> None:
    """Write the zoo's tables and figure from the records of its runs."""
    from wardrobe.serving.inference import latency as costs
    from wardrobe.training.results import records, table

    try:
        from wardrobe.training.results import figure
    except ImportError:
        _fail("the figure is drawn with matplotlib: pip install 'wardrobe[lecture]'")
    taken = records.collect(runs, _digest, costs.measure)
    entries = {declaration.name: _entry(declaration) for declaration in _zoo()}
    written = [table.write(entries, _bases(entries)), figure.write(entries)]
    if as_json:
        found = {"written": written, "records": taken}
        _print_json({name: [str(file) for file in files] for name, files in found.items()})
    else:
        click.echo(written[0].read_text(encoding="utf-8"), nl=False)
        places = " and ".join(map(str, written))
        click.echo(f"{len(taken)} records taken up from {runs}; written to {places}", err=True)


@main.command()
@click.argument("name", required=False)
@click.option("--all", "every", is_flag=True, help="All of the lecture, as one HTML page.")
@click.option("--list", "only_list", is_flag=True, help="List the studies of the lecture.")
@click.option("--quick", is_flag=True, help="Fewer and smaller members: under a minute each.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count(),
    help="Processes.  [default: cores]",
)
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs"), show_default=True)
@click.option(
    "--page", type=click.Path(path_type=Path), help="Where --all writes.  [default: below --runs]"
)
@click.option(
    "--pictures/--no-pictures", default=True, help="Whether figures may show the data's pictures."
)
@DataDir
@Json
def study(
    name: str | None,
    every: bool,
    only_list: bool,
    quick: bool,
    jobs: int,
    runs: Path,
    page: Path | None,
    pictures: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Run a study of the lecture: its members, its figure, its claim."""
    from wardrobe.training.studies import study as room

    if data_dir:  # the processes of a study inherit it
        os.environ["WARDROBE_DATA"] = str(data_dir)
    if only_list:
        rows = [_study_row(study) for study in room.read_all()]
        return _print_json(rows) if as_json else _print_table(rows, {})
    if (name is None) is not every:
        raise click.UsageError("give the name of a study, --all or --list")
    from wardrobe.training.studies import runner as conducting

    studies = room.read_all(quick) if every else [room.read(str(name), quick)]
    folder = runs / "studies"
    reports = conducting.conduct(studies, folder, jobs, pictures, _show_progress)
    if every:
        from wardrobe.training.studies.page import write

        click.echo(f"written to {write(reports, page or folder / 'lecture.html')}", err=True)
    verdicts = [_verdict_row(report) for report in reports]
    if as_json:
        _print_json(verdicts)
    else:
        _print_table(verdicts, {})
    return None


def _study_row(study: Study) -> dict[str, Any]:
    return {
        "rows": ", ".join(map(str, study.frame.rows)),
        "study": study.name,
        "what it shows": study.title,
    }


def _verdict_row(report: Report) -> dict[str, Any]:
    return {
        "study": report.study.name,
        "claim": "holds" if report.holds else "does not hold",
        "computed": "; ".join(verdict.computed for verdict in report.verdicts),
        "report": str(report.folder / "report.md"),
    }


def _show_progress(done: int, total: int) -> None:
    click.echo(f"\r{done} of {total} members", err=True, nl=done == total)


def _facts(tree: Node, data_dir: Path | None) -> DataFacts:
    """Shape and classes of a declaration's data, or Fashion-MNIST's where they are not at hand."""
    from wardrobe.training import data

    name = tree.get("data", "name")
    try:
        return data.describe(str(name.value if name else ""), data_dir)
    except data.DataError:
        return data.describe("fashion-mnist")


def _declaration(name: str, overrides: tuple[str, ...], data_dir: Path | None) -> Declaration:
    from wardrobe import models

    tree = models.read(name, overrides)
    return models.resolve(tree, _facts(tree, data_dir))


def _with_data(
    name: str, overrides: tuple[str, ...], data_dir: Path | None, stand_in: bool = False
) -> tuple[Declaration, DataSet]:
    """A declaration and its data set; the stand-in for both where asked for and needed."""
    from wardrobe.training import data

    declaration = _declaration(name, overrides, data_dir)
    wanted = declaration.data
    try:
        if wanted.name == data.fashion_mnist.NAME and not data.fashion_mnist.find(data_dir):
            from wardrobe.models.build.assembly import assemble

            assemble(declaration)  # its mistakes are told before anything is downloaded
            _download(None)
        return declaration, data.load(
            wanted.name,
            validation=declaration.training.validation,
            folder=data_dir,
            resplit=wanted.resplit,
            take=wanted.take,
        )
    except data.DataUnavailable as error:
        if not stand_in:
            raise
        _notice_stand_in(error)
    overrides += (
        "data.name=silhouettes",
        "training.validation=0.1",
        f"name={declaration.name}-silhouettes",
    )
    return _with_data(name, overrides, data_dir)


def _download(place: Path | None) -> Path:
    """Downloads Fashion-MNIST into a folder, or Keras' cache; a bar on a terminal shows how far."""
    from rich.console import Console
    from rich.progress import DownloadColumn, Progress, TextColumn

    from wardrobe.training.data import fashion_mnist

    columns = (TextColumn("{task.description}"), *Progress.get_default_columns()[1:3])
    with Progress(*columns, DownloadColumn(), console=Console(stderr=True)) as bar:
        tasks: dict[str, Any] = {}

        def show(file: str, so_far: int, in_all: int | None) -> None:
            if file not in tasks:
                tasks[file] = bar.add_task(file, total=in_all)
            bar.update(tasks[file], completed=so_far)

        return fashion_mnist.fetch(place, progress=show)


def _settings(artifacts: tuple[Path, ...], **given: Any) -> Settings:
    """The settings of the service; the networks that ship with wardrobe are served by default."""
    from wardrobe.serving.settings import Settings

    if not artifacts and "WARDROBE_ARTIFACTS" not in os.environ:
        artifacts = (Path("artifacts"), PRETRAINED)
    return Settings.from_environment(artifacts=artifacts or None, **given)


def _try(url: str) -> None:
    """Begins a process that shows the service's answer to a garment that this program draws."""
    if os.fork():
        return
    os.closerange(3, 64)  # the address is the server's alone
    from io import BytesIO

    from PIL import Image

    from wardrobe.serving.smoke_test import first_answer
    from wardrobe.training.data import fashion_mnist, silhouettes

    drawn = silhouettes.draw(1, seed=1)
    picture = BytesIO()
    Image.fromarray(drawn.x[0]).save(picture, "png")
    if answer := first_answer(url, picture.getvalue()):
        click.echo(
            f"{url} has answered: a drawn {fashion_mnist.CLASS_NAMES[drawn.y[0]]} is taken for "
            f"{answer['label']}, probability {answer['probability']:.2f}, by {answer['model']}",
            err=True,
        )
    os._exit(0)


def _zoo() -> list[Declaration]:
    """The networks of the zoo; a file without layers is a base that others extend."""
    from wardrobe import models
    from wardrobe.models import zoo

    trees = [models.read(name) for name in zoo.names()]
    return [
        models.resolve(tree, _facts(tree, None)) for tree in trees if tree.get("model", "layers")
    ]


def _digest(name: str, resplit: int | None) -> str | None:
    """The digest of a network of the zoo, on the official test set or on one drawn anew."""
    from wardrobe.models import zoo

    if zoo.path(name) is None:
        return None
    overrides = () if resplit is None else (f"data.resplit={resplit}",)
    return _declaration(name, overrides, None).digest


def _entry(declaration: Declaration) -> Entry:
    """What the tables of results take from a declaration."""
    from wardrobe.models import zoo
    from wardrobe.training.results.table import Entry

    return Entry(
        layers=declaration.architecture,
        about=declaration.about,
        notes=zoo.notes(declaration.name),
        is_teacher=zoo.is_teacher(declaration.name),
    )


def _bases(entries: Collection[str]) -> dict[str, str]:
    """The notes of those files of the zoo that only others extend, where they have any."""
    from wardrobe.models import zoo

    notes = {name: zoo.notes(name) for name in zoo.names() if name not in entries}
    return {name: text for name, text in notes.items() if text}


def _in_words(measures: dict[str, Any]) -> str:
    numbers = {k: v for k, v in measures.items() if isinstance(v, float)}
    return ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in numbers.items())


def _answer_in_words(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return f"{answer['file']}: {answer['error']}"
    likeliest = ", ".join(f"{of['label']} {of['probability']:.2f}" for of in answer["top"])
    return f"{answer['file']}: {answer['label']}  ({likeliest}; {answer['model']})"


def _confusion_rows(confusion: list[list[int]], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"": name} | dict(zip(names, counts, strict=True))
        for name, counts in zip(names, confusion, strict=True)
    ]


def _notice_stand_in(error: Exception) -> None:
    from rich.console import Console
    from rich.panel import Panel

    text = (
        f"{error}.\n\nTraining on SILHOUETTES instead: garments drawn by this program, NOT "
        "Fashion-MNIST. What is trained now knows nothing of real garments; the pretrained "
        "networks that ship with wardrobe do, and are served beside it."
    )
    Console(stderr=True).print(Panel(text, title="FASHION-MNIST NOT FOUND", style="bold yellow"))


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _print_table(rows: list[dict[str, Any]], forms: dict[str, str]) -> None:
    """Rows as aligned columns; `forms` are the formats of columns of numbers."""
    texts = [list(rows[0])] + [
        ["–" if v is None else format(v, forms.get(name, "")) for name, v in row.items()]
        for row in rows
    ]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    for row in texts:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


if __name__ == "__main__":
    main()
