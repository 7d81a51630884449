"""The command line: one short function per command.

Results go to stdout, progress and notices to stderr. Exit code 0, 1 for a failure, 2 for wrong
usage. What a command needs is imported inside it, so that help and checks start at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from wardrobe import ERRORS, api, console

if TYPE_CHECKING:
    from wardrobe.training.export.formats import Format
    from wardrobe.training.studies.executor import Engine
    from wardrobe.training.studies.report import Report
    from wardrobe.training.studies.study import Study

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
    type=click.Path(path_type=Path),
    help="Folder of artifacts; may be repeated.  "
    "[default: $WARDROBE_ARTIFACTS, or artifacts and what ships with wardrobe]",
)
Cluster = click.option(
    "--cluster", metavar="ADDRESS", help="Run on a Ray cluster: auto, HOST:PORT or local."
)
Json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")

MOST_PICTURES = 1000
"""From this number on, `predict` refers to `classify`, which keeps nothing in memory."""


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
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] in sys.stdlib_module_names:
                raise
            _fail(
                f"this command needs {error.name}, which is not installed here; "
                "`pip install wardrobe` installs everything for training and serving"
            )
        except OSError as error:
            _fail(f"{error.filename or 'error'}: {error.strerror or error}")
        except Exception as error:
            if isinstance(error, _user_errors()):
                _fail(str(error))
            if wrong := _wrong_keras_settings():
                _fail(wrong)
            raise


def _wrong_keras_settings() -> str:
    """The setting with which Keras or TensorFlow cannot be loaded; empty if none is to blame."""
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    file = Path(home).expanduser() / "keras.json"
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""  # then Keras ignores it, too
    known = {
        "floatx": ("float16", "bfloat16", "float32", "float64"),
        "image_data_format": ("channels_first", "channels_last"),
    }
    wrong = [] if isinstance(settings, dict) else ["it: it is not a mapping"]
    if not wrong:
        wrong = [
            f"{key} {settings[key]!r}"
            for key, values in known.items()
            if settings.get(key, values[0]) not in values
        ]
    return f"{file}: Keras cannot be loaded with {wrong[0]}; correct or remove it" if wrong else ""


def _user_errors() -> tuple[type[Exception], ...]:
    """The exceptions of those modules that the failed command has imported."""
    return tuple(
        getattr(sys.modules[module], name)
        for name, module in ERRORS.items()
        if module in sys.modules
    )


def _fail(message: str) -> NoReturn:
    click.echo(message, err=True)
    sys.exit(1)


@click.group(cls=_Failures, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="wardrobe")
def main() -> None:
    """Declare a fully connected network in YAML, train it, serve it."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)


@main.command("list")
@Json
def list_(as_json: bool) -> None:
    """List the zoo: layers, parameters, measured accuracy, purpose."""
    from wardrobe.training.results import records, zoo

    measured = {name: records.summarize(runs) for name, runs in records.records().items()}
    rows = []
    for declaration in zoo.networks():
        summary = measured.get(declaration.name)
        rows.append(
            {
                "name": declaration.name,
                "layers": declaration.architecture,
                "parameters": summary.parameters if summary else None,
                "accuracy": summary.accuracy if summary else None,
                "what it shows": declaration.about,
            }
        )
    if as_json:
        console.print_json(rows)
    else:
        console.print_table(rows, {"parameters": ",d", "accuracy": ".4f"})


@main.command()
@click.argument("name", metavar="NAME_OR_FILE")
@Set
@Json
def show(name: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """Print a resolved declaration, each value with its origin."""
    from wardrobe.models.schema.rendering import render

    declaration = api.load_declaration(name, overrides)
    if as_json:
        console.print_json(declaration.tree.plain)
    else:
        click.echo(render(declaration.tree), nl=False)


@main.command()
@click.argument("files", nargs=-1, required=True, metavar="NAME_OR_FILE...")
@Set
@DataDir
@click.option("--no-data", is_flag=True, help="Do not check that the data set is there.")
@Json
def check(
    files: tuple[str, ...],
    overrides: tuple[str, ...],
    data_dir: Path | None,
    no_data: bool,
    as_json: bool,
) -> None:
    """Report all errors in declarations, as `file:line: message`."""
    from wardrobe import models
    from wardrobe.training import transfer
    from wardrobe.training.data.declarations import data_errors, describe_data

    # Any backend of Keras knows all names and arguments; this one is loaded without TensorFlow.
    os.environ["KERAS_BACKEND"] = "numpy"
    errors: list[models.ErrorDetail] = []
    for file in files:
        try:
            document = models.read(file, overrides)
            found = set(models.check(document, describe_data(document, data_dir)))
            found.update(transfer.errors(document, [Path("artifacts")]))
            found.update([] if no_data else data_errors(document, data_dir))
            errors += sorted(found)
        except models.DeclarationError as error:
            errors += error.errors
    if as_json:
        console.print_json([vars(detail) for detail in errors])
    else:
        for detail in errors:
            click.echo(str(detail))
    sys.exit(1 if errors else 0)


@main.command()
def schema() -> None:
    """Print the JSON Schema of declarations, for editors."""
    os.environ["KERAS_BACKEND"] = "numpy"  # as in `check`
    from wardrobe.models.build.json_schema import json_schema

    console.print_json(json_schema())


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write.  [default: NAME.yaml, after the data]",
)
def init(folder: Path, to: Path | None) -> None:
    """Inspect your data and write a first declaration for it.

    FOLDER is a folder of pictures or of files in MNIST's format, or a CSV, Parquet or .npz file.
    """
    from wardrobe.training.files import atomic_write
    from wardrobe.training.first_declaration import first_declaration, name_for

    name = name_for(to or folder)
    file = to or Path(f"{name}.yaml")
    if file.exists():
        _fail(f"{file} already exists; name another file with --to")
    path = folder.expanduser()
    beside = os.path.relpath(path.absolute(), file.absolute().parent)
    written = str(path) if path.is_absolute() else beside if beside[0] == "." else f"./{beside}"
    text = first_declaration(path, name, written)
    try:
        with atomic_write(file) as stream:
            stream.write(text)
    except OSError as error:
        _fail(f"cannot write {file}: {error.strerror}")
    click.echo(f"written to {file}; now type")
    for command in (["check", file], ["train", file], ["evaluate", f"artifacts/{name}/1"]):
        click.echo(f"  {shlex.join(['wardrobe', *map(str, command)])}")


@main.command()
@click.argument("name_or_file")
@Set
@click.option("--seed", type=click.IntRange(min=0), help="Same as --set seed=N.")
@click.option("--epochs", type=click.IntRange(min=1), help="Same as --set training.epochs=N.")
@click.option(
    "--backend",
    type=click.Choice(api.BACKENDS),
    help="Keras' backend.  [default: $KERAS_BACKEND, or tensorflow]",
)
@DataDir
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder for the run.",
)
@click.option(
    "--artifacts",
    type=click.Path(path_type=Path),
    default=Path("artifacts"),
    show_default=True,
    help="The folder for the artifact.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue the last run of this declaration and seed, if interrupted or of fewer epochs.",
)
@click.option("--mlflow", metavar="URI", help="Record the run on this MLflow tracking server.")
@click.option(
    "--stand-in",
    is_flag=True,
    help="Train on `silhouettes` if Fashion-MNIST cannot be found or downloaded.",
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
    mlflow: str | None,
    stand_in: bool,
    as_json: bool,
) -> None:
    """Train a network of the zoo or of a file: one run, one artifact."""
    from wardrobe.training.evaluation.metrics import blind_spots

    with console.progress_bar() as progress:
        run = api.train(
            name_or_file,
            set=overrides,
            seed=seed,
            epochs=epochs,
            backend=backend,
            runs=runs,
            artifacts=artifacts,
            resume=resume,
            mlflow=mlflow,
            data_folder=data_dir,
            command=shlex.join(["wardrobe", *sys.argv[1:]]),
            progress=progress,
            on_stand_in=_notice_stand_in if stand_in else None,
        )
    if as_json:
        paths = {"run": str(run.folder), "artifact": str(run.artifact)}
        console.print_json(run.record.to_json() | paths)
    else:
        for part, measures in run.metrics.items():
            _echo_measures(part, measures)
        click.echo(f"run: {run.folder}\nartifact: {run.artifact}")
    for sentence in blind_spots(run.metrics["test"]):
        click.echo(f"note: {sentence}", err=True)


@main.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--data", help="Another data set, by name or path.  [default: its own]")
@DataDir
@Json
def evaluate(artifact: Path, data: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Measure an artifact on the test examples of a data set.

    ARTIFACT is a folder NAME/VERSION.
    """
    model = api.load(artifact.absolute())  # a folder, even if a model that ships has its name
    with console.progress_bar() as progress:
        examples = api.evaluation_data(model, data, data_dir, progress)
    measures = api.evaluate(model, examples)
    if as_json:
        console.print_json(measures)
        return
    click.echo(
        f"{model.name}/{model.version} on {measures['examples']:,} test examples of {examples.name}"
    )
    _echo_measures("test", measures)
    if examples.class_names is not None:
        click.echo()
        formats = dict.fromkeys(("precision", "recall", "f1"), ".4f")
        console.print_table(measures["by_class"], formats)
        click.echo("\nconfusion: a row for each true class, a column for each predicted one")
        console.print_table(
            [
                {"": name} | dict(zip(model.labels, counts, strict=True))
                for name, counts in zip(model.labels, measures["confusion"], strict=True)
            ]
        )


@main.command()
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--format", type=click.Choice(["onnx", "litert"]), required=True)
@click.option("--int8", is_flag=True, help="8-bit weights and activations.")
@click.option("--to", type=click.Path(path_type=Path, dir_okay=False), required=True)
@click.option(
    "--force", is_flag=True, help="Write an int8 file even if it loses over half a point."
)
@DataDir
@Json
def export(
    artifact: Path,
    format: Format,
    int8: bool,
    to: Path,
    force: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Convert an artifact for another runtime, and test it there.

    ARTIFACT is a folder NAME/VERSION. The file is written after its runtime has answered all test
    examples.
    """
    written = api.export(artifact, format, to, int8=int8, force=force, data_folder=data_dir)
    if as_json:
        console.print_json(vars(written) | {"file": str(written.file), "bytes": written.bytes})
    else:
        click.echo(
            f"{written.file}: {written.bytes:,} bytes; {written.measure} {written.score:.4f} on "
            f"{written.examples:,} test examples ({written.artifact_score:.4f} as a SavedModel); "
            f"largest difference of an output {written.largest_difference:.1g}"
        )


@main.command()
@click.argument("images", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True))
@click.option("--model", help="Name of the model; default: the first that takes pictures.")
@Artifacts
@click.option(
    "--explain",
    is_flag=True,
    help="With --json, add what the network saw and which pixels decided.",
)
@Json
def predict(
    images: tuple[Path, ...],
    model: str | None,
    artifacts: tuple[Path, ...],
    explain: bool,
    as_json: bool,
) -> None:
    """Classify pictures, with the same answers as the service."""
    answers = api.load(model, artifacts).classify(_files(images), explain=explain)
    if as_json:
        console.print_json({"predictions": answers})
    else:
        for answer in answers:
            click.echo(_answer_in_words(answer), err="error" in answer)
    sys.exit(1 if any("error" in answer for answer in answers) else 0)


def _files(images: tuple[Path, ...]) -> list[Path]:
    """The pictures given, and those in the folders given."""
    from wardrobe.serving.offline.inputs import files_below

    found = (files_below(path) if path.is_dir() else [str(path)] for path in images)
    files = [Path(file) for file in islice(chain.from_iterable(found), MOST_PICTURES)]
    if len(files) == MOST_PICTURES:
        _fail(
            f"{MOST_PICTURES:,} pictures or more; use `wardrobe classify "
            f"{shlex.join(map(str, images))} --to answers.csv`"
        )
    return files


@main.command()
@click.argument("inputs", nargs=-1, required=True)
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="The output file: .parquet, .csv or .jsonl.",
)
@click.option("--model", help="Name of the model; default: the first that takes pictures.")
@Artifacts
@click.option("--resume", is_flag=True, help="Continue an interrupted classification.")
@click.option("--jobs", type=click.IntRange(min=1), help="Number of processes.  [default: cores]")
@Cluster
@Json
def classify(
    inputs: tuple[str, ...],
    to: Path,
    model: str | None,
    artifacts: tuple[Path, ...],
    resume: bool,
    jobs: int | None,
    cluster: str | None,
    as_json: bool,
) -> None:
    """Classify many pictures into one table.

    INPUTS are files, folders, globs, lists of files, tar files and Parquet columns.
    """
    with console.picture_progress() as progress:
        written = api.classify(
            inputs, to, model, artifacts, resume=resume, jobs=jobs, cluster=cluster,
            progress=progress,
        )  # fmt: skip
    if as_json:
        console.print_json({"to": str(to), **vars(written)})
    else:
        click.echo(f"{to}: {written.pictures:,} pictures, {written.errors:,} of them with an error")


@main.command()
@Artifacts
@click.option("--model", help="The model that answers if a request names none.")
@click.option("--host", help="Address to listen on.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0: any free one.  [default: 8080]")
@click.option("--workers", type=click.IntRange(min=1), help="Number of processes.  [default: 2]")
@click.option(
    "--try", "try_it", is_flag=True, help="When ready, send a drawn garment and show the answer."
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
    from importlib.util import find_spec

    from wardrobe.serving.server import serve as run_server

    if try_it and not find_spec("wardrobe.training"):
        _fail(
            "--try draws a garment with wardrobe.training, which is not installed here;"
            " start without it, then send a picture: curl -F file=@boot.png URL/predict"
        )
    settings = api.service_settings(artifacts, model=model, host=host, port=port, workers=workers)
    run_server(settings, listening=_try if try_it else None)


@main.group("data")
def data_() -> None:
    """Find, check and download Fashion-MNIST."""


@data_.command()
@DataDir
@Json
def verify(data_dir: Path | None, as_json: bool) -> None:
    """Print where the data set is and whether its hashes are right."""
    from wardrobe.training.data import DataUnavailable, fashion_mnist

    folder = fashion_mnist.find(data_dir)
    if folder is None:
        raise DataUnavailable(
            "fashion-mnist is not on this machine; download it with `wardrobe data fetch`"
        )
    reports = fashion_mnist.verify(folder)
    if as_json:
        console.print_json(
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
    help="Download to fashion-mnist/ in this folder; default: Keras' own cache.",
)
def fetch(data_dir: Path | None) -> None:
    """Download the data set, from the same place as Keras does."""
    from wardrobe.training.data import fashion_mnist

    with console.progress_bar() as progress:
        folder = data_dir / fashion_mnist.NAME if data_dir else None
        fetched = fashion_mnist.fetch(folder, progress=progress)
    click.echo(fetched)


@main.command()
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder of runs.",
)
@Json
def results(runs: Path, as_json: bool) -> None:
    """Write the zoo's tables and figure from the records of its runs."""
    from wardrobe.serving.inference.model import size_and_latency
    from wardrobe.training.results import records, table

    try:
        from wardrobe.training.results import figure
    except ImportError:
        _fail("the figure is drawn with matplotlib: pip install 'wardrobe[lecture]'")
    taken = records.collect(runs, size_and_latency)
    written = [table.write(), figure.write()]
    if as_json:
        found = {"written": written, "records": taken}
        console.print_json({name: [str(file) for file in files] for name, files in found.items()})
    else:
        click.echo(written[0].read_text(encoding="utf-8"), nl=False)
        files = " and ".join(map(str, written))
        click.echo(f"{len(taken)} records read from {runs}; written to {files}", err=True)


@main.command()
@click.argument("name", required=False, metavar="[NAME_OR_FILE]")
@click.option(
    "--all", "every", is_flag=True, help="Run all studies of the lecture into one HTML page."
)
@click.option("--list", "only_list", is_flag=True, help="List the studies of the lecture.")
@click.option("--quick", is_flag=True, help="Fewer and smaller variants: under a minute each.")
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    default=os.cpu_count(),
    help="Number of processes.  [default: cores]",
)
@Cluster
@click.option(
    "--storage",
    metavar="URL",
    help="Where a search keeps its trials: a journal file, or the URL of a PostgreSQL or MySQL "
    "database; several machines may work in it at once.",
)
@click.option(
    "--runs",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="The folder for results, in studies/.",
)
@click.option(
    "--page",
    type=click.Path(path_type=Path),
    help="The file that --all writes.  [default: studies/lecture.html in --runs]",
)
@click.option(
    "--pictures/--no-pictures",
    default=True,
    help="Whether figures may show pictures from the data set.",
)
@DataDir
@Json
def study(
    name: str | None,
    every: bool,
    only_list: bool,
    quick: bool,
    jobs: int,
    cluster: str | None,
    storage: str | None,
    runs: Path,
    page: Path | None,
    pictures: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Run a study: train its variants, draw a figure, check a claim.

    NAME_OR_FILE is a study of the lecture or a YAML file.
    """
    from wardrobe.training.studies.study import read, read_all

    if data_dir:  # the processes of a study inherit it
        os.environ["WARDROBE_DATA"] = str(data_dir)
    if only_list:
        rows = [_study_row(study) for study in read_all()]
        return console.print_json(rows) if as_json else console.print_table(rows)
    if (name is None) is not every:
        raise click.UsageError("give the name of a study, --all or --list")
    from wardrobe.training.studies import executor, runner

    studies = read_all(quick) if every else [read(str(name), quick)]
    if storage and not any(study.trials for study in studies):
        raise click.UsageError(f"--storage is for searches; {name} has no `search:`")
    folder = runs / "studies"
    engine = on_cluster(cluster) if cluster else executor.processes(jobs)
    announce = partial(console.announce_cost, processes=None if cluster else jobs)
    reports = runner.run(
        studies, folder, engine, pictures, console.show_variants_done, storage, announce
    )
    if every:
        from wardrobe.training.studies.page import write

        click.echo(f"written to {write(reports, page or folder / 'lecture.html')}", err=True)
    verdicts = [_verdict_row(report) for report in reports]
    if as_json:
        console.print_json(verdicts)
    else:
        console.print_table(verdicts)
    return None


@main.command()
@click.option("--port", type=click.IntRange(0, 65535), default=8081, show_default=True,
              help="0: any free one.")  # fmt: skip
@click.option("--open/--no-open", "opens", default=True, help="Whether to open it in the browser.")
@DataDir
def lab(port: int, opens: bool, data_dir: Path | None) -> None:
    """Open a web page to change a declaration, train it and watch.

    The page is for this machine only.
    """

    def listening(url: str) -> None:
        click.echo(f"the lab is at {url} (Ctrl-C ends it)", err=True)
        if opens:
            click.launch(url)

    with contextlib.suppress(KeyboardInterrupt):
        api.lab(port=port, data_folder=data_dir, listening=listening)


@contextmanager
def on_cluster(address: str) -> Iterator[Engine]:
    """The engine of studies on a Ray cluster, connected while the block runs.

    Raises:
        ClusterError: the cluster cannot be reached.
    """
    from wardrobe.cluster import connected

    with connected(address):
        from wardrobe.training.studies.ray_engine import RayEngine

        yield RayEngine()


def _echo_measures(part: str, measures: dict[str, Any]) -> None:
    """The numbers of a part of the examples; of several data sets also those of each."""
    click.echo(f"{part}: {console.measures_in_words(measures)}")
    for name, of_set in measures.get("by_set", {}).items():
        click.echo(f"{part}, {name}: {console.measures_in_words(of_set)}")


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


def _try(url: str) -> None:
    """Starts a process that shows the service's answer to a garment that this program draws."""
    if os.fork():
        return
    os.closerange(3, 64)  # the address is the server's alone
    from io import BytesIO

    from PIL import Image

    from wardrobe.serving.server import first_answer
    from wardrobe.training.data import fashion_mnist, silhouettes

    drawn = silhouettes.draw(1, seed=1)
    picture = BytesIO()
    Image.fromarray(drawn.x[0]).save(picture, "png")
    if answer := first_answer(url, picture.getvalue()):
        click.echo(
            f"{url} has answered: {answer['model']} takes a drawn "
            f"{fashion_mnist.CLASS_NAMES[drawn.y[0]]} for {answer['label']}, "
            f"probability {answer['probability']:.2f}",
            err=True,
        )
    os._exit(0)


def _answer_in_words(answer: dict[str, Any]) -> str:
    if "error" in answer:
        return f"{answer['file']}: {answer['error']}"
    likeliest = ", ".join(f"{each['label']} {each['probability']:.2f}" for each in answer["top"])
    label, closest = answer["label"], answer.get("most_like")
    if closest:
        label += f", none of the known classes, most like {closest['label']}"
    return f"{answer['file']}: {label}  ({likeliest}; {answer['model']})"


def _notice_stand_in(error: Exception) -> None:
    console.print_notice(
        "FASHION-MNIST NOT FOUND",
        f"{error}.\n\nTraining on SILHOUETTES instead: garments drawn by this program, NOT "
        "Fashion-MNIST. What is trained now knows nothing of real garments; the pretrained "
        "networks that ship with wardrobe do, and are served beside it.",
    )


if __name__ == "__main__":
    main()
