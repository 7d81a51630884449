"""The Python API, on which the command line is built.

Imports are inside the functions, because most of them load Keras, which takes seconds.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wardrobe import PRETRAINED as PRETRAINED

if TYPE_CHECKING:
    import flask
    import keras

    from wardrobe.model import Model
    from wardrobe.models import Declaration
    from wardrobe.serving.offline import Classified, Engine
    from wardrobe.serving.settings import Settings
    from wardrobe.training.data import DataSet, DataUnavailable
    from wardrobe.training.data.download import Progress
    from wardrobe.training.export.formats import Converted, Format
    from wardrobe.training.train import TrainedRun

BACKENDS = ("tensorflow", "jax")
"""The Keras backends that can train."""

Overrides = Mapping[str, Any] | Sequence[str]
"""Values of a declaration by path, or strings `PATH=VALUE`, as for `--set`. NumPy numbers are
allowed."""

Paths = Sequence[str | PathLike[str]] | str | PathLike[str]
"""Several paths, or one."""


def list_models(pretrained: bool = False) -> list[str]:
    """The names of the networks in the zoo; with `pretrained`, of those that ship with weights."""
    from wardrobe.training.results import zoo

    names = [declaration.name for declaration in zoo.networks()]
    return [name for name in names if not pretrained or (PRETRAINED / name).is_dir()]


def create_model(
    name_or_file: str | PathLike[str], pretrained: bool = False, classes: int | None = None
) -> keras.Sequential:
    """A network of the zoo or of a declaration file, built but not compiled.

    It takes raw examples, for pictures float32 `[N, 28, 28]`, 0–255, and returns what its head
    computes, usually probabilities, float32 `[N, classes]`.

    Args:
        name_or_file: the name of a network in the zoo, or a YAML file.
        pretrained: use the weights of the artifact that ships with wardrobe, before calibration;
            otherwise weights are drawn from Keras' global seed.
        classes: the number of classes of the head. If it differs from that of the data set, the
            head starts from random weights.

    Raises:
        DeclarationError: there is no such declaration, or it has errors.
        ServingError: no weights for it ship with wardrobe.
    """
    from wardrobe import models
    from wardrobe.training.data.declarations import describe_data

    overrides = [] if classes is None else [f"model.head.classes={classes}"]
    document = models.read(os.fspath(name_or_file), overrides)
    facts = describe_data(document)
    if classes is not None:
        facts = replace(facts, classes=classes)
    declaration = models.resolve(document, facts)
    _choose_backend(None)
    _load_backend()
    from wardrobe.models.build import build

    network = build(declaration).network
    if pretrained:
        _restore_weights(network, declaration.name)
    return network


def _restore_weights(network: keras.Sequential, name: str) -> None:
    """Gives a network the weights of the shipped artifact, except to a head with other classes."""
    from wardrobe.serving.errors import ModelNotFoundError
    from wardrobe.training import transfer

    if not (PRETRAINED / name).is_dir():
        known = ", ".join(list_models(pretrained=True))
        raise ModelNotFoundError(f"no weights of {name} ship with wardrobe; there are: {known}")
    transfer.transfer(network, transfer.find(name).read())


def load_declaration(
    name_or_file: str | PathLike[str], set: Overrides | None = None
) -> Declaration:
    """A declaration of the zoo or of a file, checked and with all values filled in.

    Args:
        name_or_file: the name of a network in the zoo, or a YAML file.
        set: values to change, such as `{"training.epochs": 3}`, or strings as for `--set`, such as
            `["training.epochs=3"]`.

    Raises:
        DeclarationError: lists every error with its file and line.
    """
    from wardrobe.training.data import declarations

    return declarations.load_declaration(os.fspath(name_or_file), _overrides(set))


def load_data(
    name_or_folder: str | PathLike[str],
    *,
    validation: int | float | None = None,
    take: int | None = None,
    data_folder: str | PathLike[str] | None = None,
    progress: Progress | None = None,
    **declared: Any,
) -> DataSet:
    """A data set, split as a run splits it; Fashion-MNIST is downloaded if necessary.

    `train`, `validation` and `test` have inputs `x` and targets `y`. Pictures are uint8
    `[N, height, width]` or, in colour, `[N, height, width, 3]`, 0–255; targets are class indices,
    int32 `[N]`, with names in `class_names`. Tables have float32 rows `[N, inputs]` and, for
    regression, float32 targets `[N, outputs]`.

    Args:
        name_or_folder: "fashion-mnist", "silhouettes", another name from `docs/data.md`, or the
            path of a folder or a file.
        validation: the number of training examples to hold out, or a fraction of them; default: a
            fifth, at most 5,000.
        take: use only the first so many training examples; default: all.
        data_folder: the folder of data sets; default: $WARDROBE_DATA.
        progress: as for `train`.
        declared: other keys of `data` in a declaration, such as `size=[28, 28]`.

    Raises:
        DataError: the data set cannot be found, downloaded, read or split.
        DeclarationError: `data` has no such key, or a value is not allowed.
    """
    from wardrobe.training.data import DataError, DataSet, load

    if isinstance(name_or_folder, DataSet) or name_or_folder is None:
        raise DataError(
            f"load_data takes the name of a data set or a path, not {type(name_or_folder).__name__}"
        )
    _check_data(name_or_folder)
    return load(
        os.fspath(name_or_folder),
        validation=validation,
        take=take,
        folder=_path(data_folder),
        progress=progress,
        **declared,
    )


def train(
    declaration: Declaration | str | PathLike[str],
    *,
    set: Overrides | None = None,
    data: DataSet | str | PathLike[str] | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    backend: str | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    runs: str | PathLike[str] = "runs",
    artifacts: str | PathLike[str] = "artifacts",
    resume: bool = False,
    mlflow: str | None = None,
    data_folder: str | PathLike[str] | None = None,
    command: str | None = None,
    progress: Progress | None = None,
    on_stand_in: Callable[[DataUnavailable], None] | None = None,
) -> TrainedRun:
    """Trains a network and makes one run and one artifact. Test examples are used once, at the end.

    Args:
        declaration: the name of a network in the zoo, a YAML file, or a result of
            `load_declaration`.
        set: values of the declaration to change, such as `{"optimizer.Adam.learning_rate": 1e-4}`.
        data: the name or path of a data set, or a `DataSet`, instead of the declared one.
        seed, epochs: the same as `set={"seed": …, "training.epochs": …}`.
        backend: "tensorflow" or "jax"; default: $KERAS_BACKEND, or TensorFlow. Choose it before
            Keras is imported.
        callbacks: additional Keras callbacks, called after the declared ones. The run's record
            lists them; with `resume` they start without their earlier state.
        runs, artifacts: the folders to write to. The artifact's version is above every version of
            its name there, in $WARDROBE_ARTIFACTS and among the artifacts that ship with wardrobe.
        resume: continue the last run of this declaration and seed if it was interrupted or has
            fewer epochs; a run that is finished is returned as it is.
        mlflow: the URI of an MLflow tracking server to record the run; default: none, unless the
            declaration has the callback MLflow.
        data_folder: the folder of data sets; default: $WARDROBE_DATA.
        command: the command to put into the run's record; default: that of this process.
        progress: called during a download with the file's name, the bytes so far and the total;
            while a folder of pictures is read, with its name and `/`, the pictures so far and the
            total.
        on_stand_in: if given, `silhouettes` replaces Fashion-MNIST if that cannot be found; it is
            called with the reason.

    Raises:
        DeclarationError: lists every error, before anything is written.
        DataError: the data set cannot be found or used.
        TrainingError: the loss became NaN, a folder cannot be written, or the run cannot be
            resumed. The run's record says why.
    """
    _choose_backend(backend, trains=True)
    overrides = _overrides(set)
    overrides += [] if seed is None else [f"seed={seed}"]
    overrides += [] if epochs is None else [f"training.epochs={epochs}"]
    from wardrobe.models import Declaration

    declared = declaration if isinstance(declaration, Declaration) else os.fspath(declaration)
    folder = _path(data_folder)
    from wardrobe.training.export import another_process

    with another_process.waiting() as exporter:  # before anything that takes long
        resolved, examples = _with_data(declared, overrides, data, folder, progress, on_stand_in)
        _load_backend()
        _check_callbacks(callbacks)
        from wardrobe.training.train import train as run_training

        return run_training(
            resolved,
            examples,
            runs=Path(runs),
            artifacts=Path(artifacts),
            served_beside=(PRETRAINED, *_folders_of_environment()),
            command=command or shlex.join(sys.orig_argv),
            resume=resume,
            callbacks=callbacks,
            mlflow=mlflow,
            exporter=exporter,
        )


def load(
    model: str | PathLike[str] | None = None,
    artifacts: Paths | None = None,
) -> Model:
    """A trained model, ready to use.

    Args:
        model: NAME or NAME/VERSION among the `artifacts`, or the path of an artifact's folder.
            Default: the model that would answer as the service's default, with the one that would
            answer photographs, see `Model.for_photographs`.
        artifacts: folders of artifacts; default: $WARDROBE_ARTIFACTS, or `artifacts/` and what
            ships with wardrobe.

    Raises:
        ServingError: there is no such artifact, or it cannot be loaded.
    """
    from wardrobe.model import Model
    from wardrobe.serving.inference import artifacts as on_disk
    from wardrobe.serving.inference.model import load as load_artifact
    from wardrobe.serving.inference.repository import Repository

    settings = service_settings(artifacts)
    name, _, version = os.fspath(model or "").partition("/")
    names = {artifact.name for artifact in on_disk.find(settings.artifacts, settings.model)}
    may_be_name = version.isdigit() or not version
    is_name = may_be_name and name in names
    if model is not None and not is_name and (not may_be_name or Path(model).is_dir()):
        return Model(load_artifact(on_disk.at(Path(model))))
    repository = Repository(settings.artifacts, settings.model)
    repository.check()
    served = repository.get(name or None, int(version) if version.isdigit() else None)
    return Model(served, None if name else partial(repository.for_photographs, served))


def evaluate(
    model: Model | str | PathLike[str],
    data: DataSet | str | PathLike[str] | None = None,
    data_folder: str | PathLike[str] | None = None,
) -> dict[str, Any]:
    """The metrics of an artifact on the test examples of a data set, prepared as for the artifact.

    For a classifier: `examples`, `accuracy`, `negative_log_likelihood` (nats), `calibration_error`,
    `by_class` and `confusion`, whose rows are the true classes.

    Args:
        model: a loaded model, or as for `load`.
        data: the name or path of a data set, or a `DataSet`; default: the one it was trained on.
        data_folder: the folder of data sets; default: $WARDROBE_DATA.

    Raises:
        DataError: the data set cannot be found, or has examples of another shape.
        ServingError: there is no such artifact, or it cannot be loaded.
    """
    from wardrobe.training.evaluation.metrics import evaluate_artifact

    loaded = load(model) if isinstance(model, str | PathLike) else model
    examples = evaluation_data(loaded, data, data_folder)
    if len(examples.input_shape) > 1:
        loaded.check_takes_pictures()
    return evaluate_artifact(loaded, examples)


def export(
    model: Model | str | PathLike[str],
    format: Format,
    to: str | PathLike[str],
    *,
    int8: bool = False,
    force: bool = False,
    data: DataSet | str | PathLike[str] | None = None,
    data_folder: str | PathLike[str] | None = None,
) -> Converted:
    """Converts an artifact for another runtime, which first answers all test examples.

    The file takes the same input as the artifact, for pictures float32 `[N, 28, 28]`, 0–255. Its
    metadata gives the labels, the accuracy and the largest difference from the artifact's outputs.

    Args:
        model: a loaded model, or as for `load`.
        format: "onnx" (onnxruntime, browsers, Triton, OpenVINO) or "litert" (phones).
        to: the file to write.
        int8: 8-bit weights and activations, a quarter of the size.
        force: write an int8 file even if it loses more than half a point of accuracy.
        data, data_folder: as for `evaluate`.

    Raises:
        DataError: the data set cannot be found, or has examples of another shape.
        ServingError: there is no such artifact, or it cannot be loaded.
        TrainingError: the packages of `wardrobe[export]` are missing, the network cannot be
            converted, or the int8 file loses too much accuracy. Nothing is written then.
    """
    from wardrobe.training.export.formats import convert

    loaded = load(model) if isinstance(model, str | PathLike) else model
    examples = evaluation_data(loaded, data, data_folder)
    return convert(loaded, examples, Path(to), format, int8, force)


def classify(
    inputs: Paths,
    to: str | PathLike[str],
    model: str | PathLike[str] | None = None,
    artifacts: Paths | None = None,
    *,
    resume: bool = False,
    jobs: int | None = None,
    cluster: str | None = None,
    progress: Callable[[int, int | None], None] | None = None,
) -> Classified:
    """Classifies any number of pictures, in constant memory.

    A file that cannot be read or is not a picture gets an answer with an error. The output file
    appears when it is complete.

    Args:
        inputs: files, folders, globs, lists of files (`.txt`), tar files, Parquet files.
        to: the output file: `.parquet`, `.csv` or `.jsonl`. Answers are in the order of the
            pictures.
        model, artifacts: as for `load`.
        resume: continue an interrupted classification of the same inputs.
        jobs: the number of processes, fewer if there are few pictures; default: one per core.
        cluster: a Ray cluster to use instead: "auto", "HOST:PORT" or "local".
        progress: called with the number of pictures answered so far and the total, None if unknown.

    Raises:
        ClusterError: the cluster cannot be reached.
        ServingError: an input or the model does not exist, or the output cannot be written.
    """
    from wardrobe.serving.offline import classify_all
    from wardrobe.serving.offline.answers import check_output

    check_output(Path(to))
    choose = partial(_answering, model, artifacts)
    several = _several(inputs)
    with _engine(choose, several, jobs or os.cpu_count() or 1, cluster) as engine:
        return classify_all(
            several, Path(to), engine, resume, progress or (lambda done, total: None)
        )


def _answering(
    model: str | PathLike[str] | None, artifacts: Paths | None
) -> tuple[Path, Path | None]:
    """The folder of the artifact that `load` finds, and that of the one for photographs."""
    found = load(model, artifacts)
    companion = found.for_photographs
    return found.folder, companion.folder if companion else None


@contextmanager
def _engine(
    choose: Callable[[], tuple[Path, Path | None]],
    inputs: Sequence[str],
    jobs: int,
    cluster: str | None,
) -> Iterator[Engine]:
    """What classifies: processes on this machine, or a cluster."""
    if cluster is None:
        from wardrobe.serving.offline.processes import Processes, useful

        with Processes(useful(inputs, jobs)) as processes:
            artifact, companion = processes.call(choose)
            yield lambda unanswered: processes.answers(unanswered, artifact, companion)
        return
    from wardrobe.cluster import connected

    artifact, companion = choose()
    with connected(cluster):
        from wardrobe.serving.offline import ray_data

        yield lambda unanswered: ray_data.answers(unanswered, artifact, for_photographs=companion)


def lab(
    *,
    port: int = 0,
    data_folder: str | PathLike[str] | None = None,
    listening: Callable[[str], None] = lambda url: None,
) -> None:
    """Serves the lab, a web page for experiments, on this machine until it is interrupted.

    Args:
        port: the port on 127.0.0.1; 0 for any free one.
        data_folder: the folder of data sets; default: $WARDROBE_DATA.
        listening: called with the address.

    Raises:
        TrainingError: the port is in use, or Keras' backend cannot train.
    """
    _choose_backend(None, trains=True)
    backend = os.environ.get("KERAS_BACKEND", "tensorflow")
    os.environ["KERAS_BACKEND"] = "numpy"  # this process only checks declarations
    if folder := data_folder or os.environ.get("WARDROBE_DATA"):
        # Each training works in a folder of its own.
        os.environ["WARDROBE_DATA"] = str(Path(folder).absolute())
    from wardrobe.training.lab.app import run

    run(port, backend, listening)


def create_app(artifacts: Paths | None = None) -> flask.Flask:
    """The service as a Flask application with all models loaded.

    Args:
        artifacts: folders of artifacts; default: as for `wardrobe serve`. All other settings come
            from the environment variables `WARDROBE_*`.

    Raises:
        ServingError: a setting is invalid.
    """
    from wardrobe.serving.app import create_app as create

    return create(service_settings(artifacts))


def service_settings(artifacts: Paths | None = None, **given: Any) -> Settings:
    """The settings of the service; by default it also serves the artifacts that ship with wardrobe.

    Raises:
        ServingError: a setting is invalid.
    """
    from wardrobe.serving.settings import Settings

    folders = tuple(map(Path, _several(artifacts)))
    if not folders and "WARDROBE_ARTIFACTS" not in os.environ:
        folders = (Path("artifacts"), PRETRAINED)
    return Settings.from_environment(artifacts=folders or None, **given)


def _folders_of_environment() -> list[Path]:
    """The folders of `$WARDROBE_ARTIFACTS`."""
    folders = os.environ.get("WARDROBE_ARTIFACTS", "").split(os.pathsep)
    return [Path(folder) for folder in folders if folder]


def evaluation_data(
    model: Model,
    data: DataSet | str | PathLike[str] | None = None,
    data_folder: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> DataSet:
    """The data set whose test examples `evaluate` uses, with the same arguments; `progress` as for
    `train`."""
    from wardrobe.training.data import declarations
    from wardrobe.training.data import load as load_declared
    from wardrobe.training.data.dataset import checked

    _check_data(data)
    if data is not None and not isinstance(data, str | PathLike):
        return checked(data)
    if data is None or "columns" in model.input:  # another table has the same target
        name = None if data is None else os.fspath(data)
        return declarations.data_of_artifact(
            model.folder, model.picture, _path(data_folder), progress, name
        )
    return load_declared(
        os.fspath(data), folder=_path(data_folder), picture=model.picture, progress=progress
    )


def _with_data(
    declared: Declaration | str,
    overrides: list[str],
    data: DataSet | str | PathLike[str] | None,
    folder: Path | None,
    progress: Progress | None,
    on_stand_in: Callable[[DataUnavailable], None] | None,
) -> tuple[Declaration, DataSet]:
    """A declaration resolved for its data, or for the data given instead."""
    from wardrobe import models
    from wardrobe.training.data import DataError, declarations
    from wardrobe.training.data.dataset import checked

    _check_data(data)
    if data is None or isinstance(data, str | PathLike):
        overrides += [] if data is None else [f"data={json.dumps(os.fspath(data))}"]
        resolved = declarations.load_declaration(declared, overrides, folder)
        _load_backend()  # only now, so that a misspelt declaration is reported at once
        return declarations.with_data(resolved, folder, progress=progress, on_stand_in=on_stand_in)
    data = checked(data)
    for part in ("train", "test"):
        if not len(getattr(data, part)):
            raise DataError(f"data: {part} has no examples; give some")
    overrides.append(f"data={json.dumps(data.name)}")
    document = declarations.read_document(declared, overrides)
    return models.resolve(
        document, models.DataFacts(data.input_shape, data.classes, data.class_names)
    ), data


def _check_data(data: Any) -> None:
    """Raises DataError for anything but a name, a path, a `DataSet` or None."""
    from wardrobe.training.data import DataError, DataSet

    if data is not None and not isinstance(data, str | PathLike | DataSet):
        cure = (
            "to use a data frame, save it with .to_csv('mine.csv', index=False) and give "
            "data='mine.csv'"
            if hasattr(data, "to_csv")
            else "to use arrays, save them with numpy.savez('mine.npz', x_train=…, y_train=…) and "
            "give data='mine.npz'"
        )
        raise DataError(
            "data takes the name of a data set, a path or a wardrobe.DataSet, not "
            f"{type(data).__name__}; {cure}"
        )


def _check_callbacks(callbacks: Sequence[keras.callbacks.Callback]) -> None:
    """Raises TrainingError for anything but callbacks, such as their classes."""
    import keras

    from wardrobe.training.errors import TrainingError

    for each in callbacks:
        if not isinstance(each, keras.callbacks.Callback):
            raise TrainingError(
                "callbacks takes a list of Keras callbacks, such as [keras.callbacks.CSVLogger("
                f"'log.csv')], not {each!r}"
            )


def _path(given: str | PathLike[str] | None) -> Path | None:
    return None if given is None else Path(given)


def _several(given: Paths | None) -> list[str]:
    """Several paths, or one: a string is a path here, not a sequence of letters."""
    paths = [given] if isinstance(given, str | PathLike) else given or ()
    return [os.fspath(path) for path in paths]


def _overrides(set: Overrides | None) -> list[str]:
    """Strings `PATH=VALUE`.

    Raises:
        DeclarationError: a declaration cannot contain one of the values.
    """
    if isinstance(set, Mapping):
        return [f"{path}={_as_json(path, value)}" for path, value in set.items()]
    texts = [set] if isinstance(set, str) else list(set or ())
    if wrong := [text for text in texts if not isinstance(text, str)]:
        raise _wrong("set", 'a mapping such as {"training.epochs": 3}', wrong[0])
    return texts


def _as_json(path: str, value: Any) -> str:
    def plain(value: Any) -> Any:
        if isinstance(value, PathLike):
            return os.fspath(value)
        if hasattr(value, "tolist"):  # NumPy numbers and arrays, such as a grid search uses
            return value.tolist()
        raise _wrong(f"set {path}", "a number, a string, a list or a mapping", value)

    return json.dumps(value, default=plain)


def _wrong(argument: str, wanted: str, given: Any) -> Exception:
    """The error for an argument of another type."""
    from wardrobe.models import DeclarationError, ErrorDetail

    message = f"takes {wanted}, not {type(given).__name__} {given!r:.60}"
    return DeclarationError([ErrorDetail(argument, None, message)])


def _choose_backend(backend: str | None, trains: bool = False) -> None:
    """Chooses Keras' backend.

    Raises:
        TrainingError: Keras already uses another backend, or cannot train with this one.
    """
    from wardrobe.training.errors import TrainingError
    from wardrobe.training.fit.compilation_cache import keep_programs

    chosen = backend or os.environ.get("KERAS_BACKEND") or "tensorflow"
    if "keras" in sys.modules:
        import keras

        chosen = backend or keras.backend.backend()
    if trains and chosen not in BACKENDS:
        raise TrainingError(
            f"wardrobe trains with {' or '.join(BACKENDS)}, not with Keras' backend {chosen!r}: "
            "use --backend tensorflow, or set KERAS_BACKEND=tensorflow"
        )
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = chosen
        keep_programs()
    elif chosen != keras.backend.backend():
        raise TrainingError(
            f"Keras already uses {keras.backend.backend()} in this process; choose {chosen} "
            f"before Keras is imported, or set KERAS_BACKEND={chosen}"
        )


def _load_backend() -> None:
    """Imports Keras with its backend.

    Raises:
        TrainingError: a script of TensorFlow 1 has disabled eager execution.
    """
    from wardrobe.serving.inference.tensorflow import load_keras
    from wardrobe.training.errors import TrainingError

    if "keras" not in sys.modules:
        load_keras()
    if "tensorflow" in sys.modules:
        import tensorflow as tf

        if not tf.executing_eagerly():
            raise TrainingError(
                "TensorFlow does not execute eagerly in this process, which Keras needs: remove "
                "tf.compat.v1.disable_eager_execution() or disable_v2_behavior()"
            )
