"""What a training script calls; the command line calls the same functions.

The rooms are imported inside the functions: most of them load Keras, which takes seconds.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import flask
    import keras

    from wardrobe.model import Model
    from wardrobe.models import Declaration
    from wardrobe.training.data import DataSet, DataUnavailable
    from wardrobe.training.data.download import Progress
    from wardrobe.training.run import Record

PRETRAINED = Path(__file__).parent / "pretrained"
"""The artifacts that ship with wardrobe."""


@dataclass(frozen=True)
class Run:
    """A finished training."""

    network: keras.Sequential
    """The trained network: raw examples in, outputs before calibration out."""
    history: dict[str, list[float]]
    """A value for each epoch, by the name of the measure: `loss`, `val_accuracy`, …"""
    record: Record
    """All that `run.json` says."""
    folder: Path
    artifact: Path
    """The folder NAME/VERSION that a service can load."""

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """The measures of the artifact on the `validation` and the `test` examples."""
        return self.record.metrics


def list_models(pretrained: bool = False) -> list[str]:
    """The names of the networks of the zoo; with `pretrained` those whose weights ship with it."""
    from wardrobe.training.results import zoo

    names = [declaration.name for declaration in zoo.networks()]
    return [name for name in names if not pretrained or (PRETRAINED / name).is_dir()]


def create_model(
    name_or_file: str | PathLike[str], pretrained: bool = False, classes: int | None = None
) -> keras.Sequential:
    """A network of the zoo, or of a declaration file, built and not compiled.

    It takes raw examples, of pictures float32 `[N, 28, 28]`, 0–255, and gives what its head says:
    probabilities float32 `[N, classes]` for most.

    Args:
        pretrained: with the weights of the shipped artifact, as they were before calibration;
            else with fresh weights, drawn from Keras' global seed.
        classes: how many classes the head tells apart; where the data set has another number, the
            head has fresh weights.

    Raises:
        DeclarationError: there is no such declaration, or it has errors.
        ServingError: no weights of it ship with wardrobe.
    """
    import dataclasses

    from wardrobe import models
    from wardrobe.models.build import build
    from wardrobe.training.data.declarations import describe_data

    overrides = [] if classes is None else [f"model.head.classes={classes}"]
    document = models.read(os.fspath(name_or_file), overrides)
    facts = describe_data(document)
    is_new_head = classes not in (None, facts.classes)
    if is_new_head:
        facts = dataclasses.replace(facts, classes=classes)
    declaration = models.resolve(document, facts)
    network = build(declaration).network
    if pretrained:
        _restore(network, declaration.name, without_head=is_new_head)
    return network


def load_declaration(
    name_or_file: str | PathLike[str], set: Mapping[str, Any] | None = None
) -> Declaration:
    """A declaration of the zoo or of a file, checked and with every value filled in.

    Args:
        set: values to change, such as `{"training.epochs": 3}`.

    Raises:
        DeclarationError: with every error, each with its file and line.
    """
    from wardrobe.training.data import declarations

    return declarations.load_declaration(os.fspath(name_or_file), _overrides(set))


def train(
    declaration: Declaration | str | PathLike[str],
    *,
    set: Mapping[str, Any] | None = None,
    data: DataSet | str | PathLike[str] | None = None,
    seed: int | None = None,
    epochs: int | None = None,
    backend: str | None = None,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    runs: str | PathLike[str] = "runs",
    artifacts: str | PathLike[str] = "artifacts",
    resume: bool = False,
    data_folder: str | PathLike[str] | None = None,
    command: str | None = None,
    progress: Progress | None = None,
    on_stand_in: Callable[[DataUnavailable], None] | None = None,
) -> Run:
    """Trains a network: one run, one artifact. The test examples are used once, at the end.

    Args:
        declaration: a name of the zoo, a YAML file, or what `load_declaration` returned.
        set: values of the declaration to change, such as `{"optimizer.Adam.learning_rate": 1e-4}`.
        data: the name or folder of a data set, or a `DataSet`, in place of the declared one.
        seed, epochs: the same as `set={"seed": …, "training.epochs": …}`.
        backend: "tensorflow" or "jax"; default: $KERAS_BACKEND, or TensorFlow. It can be chosen
            only before Keras is imported.
        callbacks: further Keras callbacks, called after the declared ones. The run's record names
            them; with `resume` they begin anew.
        runs, artifacts: the folders to write to.
        resume: go on with the last run of this declaration and seed, if it was interrupted; a
            finished one is returned as it is.
        data_folder: the folder of data sets; default: $WARDROBE_DATA.
        command: what the record says the run was started by; default: this process' command line.
        progress: is told how far a download is: file, bytes so far, bytes in all.
        on_stand_in: allows `silhouettes` to stand in for Fashion-MNIST if that cannot be found;
            it is called with the reason.

    Raises:
        DeclarationError: with every error, before anything is written.
        DataError: the data set cannot be found or used.
        TrainingError: the loss became NaN, a folder cannot be written, or the run cannot be
            resumed. The run's record says why.
    """
    use_backend(backend)
    from wardrobe.training.data.declarations import with_data
    from wardrobe.training.train import train as run_training

    values = dict(set or {})
    values |= {} if seed is None else {"seed": seed}
    values |= {} if epochs is None else {"training.epochs": epochs}
    if isinstance(data, str | PathLike):
        values, data = values | {"data.name": os.fspath(data)}, None
    resolved, examples = with_data(
        declaration,
        _overrides(values),
        data,
        Path(data_folder) if data_folder is not None else None,
        progress=progress,
        on_stand_in=on_stand_in,
    )
    trained = run_training(
        resolved,
        examples,
        runs=Path(runs),
        artifacts=Path(artifacts),
        command=command or shlex.join(sys.orig_argv),
        resume=resume,
        callbacks=callbacks,
    )
    return Run(
        trained.network, trained.history, trained.record, trained.folder, trained.artifact
    )


def load(model: str | PathLike[str]) -> Model:
    """A trained model, ready to answer.

    Args:
        model: the path of an artifact (a folder NAME/VERSION, or NAME for its newest version), or
            the name of a model, or NAME/VERSION, in `artifacts/` or among those that ship with
            wardrobe. $WARDROBE_ARTIFACTS names other folders, as for the service.

    Raises:
        ServingError: there is no such artifact, or it cannot be loaded.
    """
    from wardrobe.model import Model
    from wardrobe.serving.inference import artifacts
    from wardrobe.serving.inference.model import load as load_artifact

    folders = settings().artifacts
    return Model(load_artifact(artifacts.named(os.fspath(model), folders)))


def evaluate(
    model: Model | str | PathLike[str],
    data: DataSet | str | PathLike[str] | None = None,
    data_folder: str | PathLike[str] | None = None,
) -> dict[str, Any]:
    """The measures of an artifact on the test examples of a data set.

    Of a classifier: `examples`, `accuracy`, `negative_log_likelihood` (nats), `calibration_error`,
    `by_class` and `confusion`, whose rows are the true classes.

    Args:
        data: the name or folder of a data set, or a `DataSet`; default: the one it was trained on.
        data_folder: the folder of data sets; default: $WARDROBE_DATA.

    Raises:
        DataError: the data set cannot be found, or has examples of another shape.
        ServingError: there is no such artifact, or it cannot be loaded.
    """
    from wardrobe.training.evaluation.metrics import evaluate_artifact

    loaded = load(model) if isinstance(model, str | PathLike) else model
    return evaluate_artifact(loaded, test_data(loaded, data, data_folder))


def create_app(artifacts: Sequence[str | PathLike[str]] | None = None) -> flask.Flask:
    """The service as a Flask application with all models loaded.

    Args:
        artifacts: folders of artifacts; default: as for `wardrobe serve`. All other settings come
            from the environment variables `WARDROBE_*`.

    Raises:
        ServingError: a setting cannot be used.
    """
    from wardrobe.serving.app import create_app as create

    return create(settings(artifacts))
