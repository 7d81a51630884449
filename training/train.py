"""One training, from a declaration to an artifact, in the order in which it happens."""

from __future__ import annotations

import csv
import logging
import shlex
import subprocess
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import keras

from wardrobe.models import Declaration
from wardrobe.training.callbacks.mlflow import MLflowRecorder
from wardrobe.training.data import DataSet
from wardrobe.training.data.dataset import file_hash
from wardrobe.training.errors import TrainingError
from wardrobe.training.evaluation.calibration import RIGHT_WHEN_CERTAIN, Calibration
from wardrobe.training.evaluation.metrics import evaluate_split
from wardrobe.training.evaluation.prediction import predict
from wardrobe.training.export import another_process, saved_model
from wardrobe.training.export.artifact import export, refuse_unwritable
from wardrobe.training.export.outputs import Outputs
from wardrobe.training.fit.distillation import overrides_of_teacher, teacher_of
from wardrobe.training.fit.fit import Fit, Fitted
from wardrobe.training.record import DataRecord, Record, TeacherRecord
from wardrobe.training.run import Run, new_folder

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TrainedRun:
    """A finished run: its folder and record, its network and its artifact."""

    folder: Path
    record: Record

    def __repr__(self) -> str:
        accuracy = self.metrics.get("test", {}).get("accuracy")
        measured = "" if accuracy is None else f", test accuracy {accuracy:.4f}"
        return f"<wardrobe.TrainedRun {self.folder}: artifact {self.artifact}{measured}>"

    @property
    def artifact(self) -> Path:
        """The folder NAME/VERSION of its SavedModel."""
        return Path(self.record.artifact)

    @property
    def metrics(self) -> dict[str, dict[str, Any]]:
        """The metrics on the `validation` and `test` examples, by name."""
        return self.record.metrics

    @cached_property
    def network(self) -> keras.Sequential:
        """The trained network, from `model.keras`: compiled, not calibrated."""
        return keras.models.load_model(self.folder / "model.keras")

    @cached_property
    def history(self) -> dict[str, list[float]]:
        """One value per epoch for each metric, by Keras' names, from `history.csv`."""
        with (self.folder / "history.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        return {name: [float(row[name]) for row in rows] for name in rows[0]}


def train(
    declaration: Declaration,
    data: DataSet,
    *,
    runs: Path,
    artifacts: Path,
    command: str,
    served_beside: Sequence[Path] = (),
    resume: bool = False,
    extend: bool = True,
    callbacks: Sequence[keras.callbacks.Callback] = (),
    mlflow: str | None = None,
    exporter: subprocess.Popen[str] | None = None,
) -> TrainedRun:
    """Trains, evaluates and exports; the test examples are used once, at the end.

    Args:
        declaration: what to train, resolved for the data; the run keeps a copy of its files.
        data: the examples, split.
        runs: the folder of runs; this one gets a new folder below it.
        artifacts: the folder of artifacts; this run's becomes the next version of its name.
        command: how the run was started, for its record.
        served_beside: further folders of the same service; the new version is above theirs, so that
            a version number never refers to two networks.
        resume: continue the last run of this declaration and seed where it was interrupted. If
            there is none, a new one is started; if it has finished, it is returned.
        extend: when resuming, continue from the end of a run that differs only in fewer epochs.
        callbacks: Keras callbacks that follow the declared ones. The record names their classes;
            their state is not restored when the run is resumed.
        mlflow: the URI of an MLflow tracking server to record the run; None to record it only if
            the declaration has the callback MLflow.
        exporter: the process that will write the SavedModel, if one is waiting already.

    Raises:
        DeclarationError: before anything is written.
        TrainingError: the loss became NaN, a folder cannot be written, or the run cannot be
            resumed with this data and backend, or MLflow does not answer. The record says so, and
            there is no artifact.
    """
    interrupted = Run.latest(runs, declaration) if resume else None
    if interrupted and interrupted.record.status == "finished":
        return TrainedRun(interrupted.folder, interrupted.record)
    started = datetime.now(UTC)
    run: Run | None = None
    while run is None:
        folder = interrupted.folder if interrupted else new_folder(runs, declaration, started)
        fit = Fit(declaration, data, folder, callbacks, [artifacts])
        refuse_unwritable(artifacts)
        recorder = MLflowRecorder.wanted(fit.parts.callbacks, mlflow)
        teacher = train_teacher(declaration, data, runs, artifacts, served_beside, mlflow)
        record = Record.of(
            declaration,
            data,
            _record_of_teacher(teacher) if teacher else None,
            started=started,
            command=command,
            callbacks=[type(callback).__name__ for callback in callbacks],
            transferred=fit.transferred,
        )
        with suppress(FileExistsError):  # a run of the same second was faster: under another name
            run = interrupted or _begin(fit, record, runs, continues=resume and extend)
    if interrupted:
        run.resume(record)
    if fit.transferred:
        logger.warning("%s %s", declaration.name, fit.transferred)
    if recorder:
        fit.watchers.append(recorder)
    recording = recorder.recording(run, declaration) if recorder else nullcontext()
    exporting = nullcontext(exporter) if exporter else another_process.waiting()
    with run.recorded(), recording, exporting as process:
        fitted = fit.run(teacher.folder if teacher else None)
        run.keep(fitted.network)
        _refuse_divergence(fitted, folder)
        run.note(
            parameters=fitted.network.count_params(),
            epochs=fitted.epochs,
            seconds=round(fitted.seconds, 2),
            **_evaluate(fitted.network, declaration, data),
        )
        write = saved_model.writer(process)
        artifact = export(
            fitted.network, declaration, data, run.record, artifacts, write, served_beside
        )
        run.note(artifact=str(artifact))
    return TrainedRun(folder, run.record)


def _begin(fit: Fit, record: Record, runs: Path, continues: bool) -> Run:
    """Starts a new run, from the end of a shorter one if it may and there is one.

    Raises:
        FileExistsError: another run, begun in the same second, has taken the folder.
    """
    if continues and (shorter := Run.shorter(runs, fit.declaration)):
        shorter.hand_on(fit.folder, record)
        _tell_continuation(shorter, fit)
        record = replace(record, continues=shorter.record.id)
    elif continues:
        _tell_new_run(runs, fit.declaration)
    return Run.start(fit.folder, record, fit.declaration)


def _tell_continuation(shorter: Run, fit: Fit) -> None:
    epochs = shorter.declared["training"]["epochs"]
    logger.warning("continues from the end of %s, after %s epochs", shorter.folder, epochs)
    for difference in fit.what_depends_on_epochs(epochs):
        logger.warning("%s", difference)


def _tell_new_run(runs: Path, declaration: Declaration) -> None:
    """Logs why `--resume` starts a new run, if it may have been meant for an earlier one."""
    if found := Run.declared_otherwise(runs, declaration):
        run, differences = found
        logger.warning(
            "a new run begins: %s was declared with another %s; drop --resume if that is meant",
            run.folder, ", ".join(differences),
        )  # fmt: skip


def train_teacher(
    declaration: Declaration,
    data: DataSet,
    runs: Path,
    artifacts: Path,
    served_beside: Sequence[Path] = (),
    mlflow: str | None = None,
) -> TrainedRun | None:
    """The teacher's last run on the same data, trained or finished first if necessary; None
    without a teacher.

    Args and errors are those of `train`; `declaration` is the student's.
    """
    teacher = teacher_of(declaration)
    if teacher is None:
        return None
    settings = [f"--set={setting}" for setting in overrides_of_teacher(declaration)]
    trained = train(
        teacher,
        data,
        runs=runs,
        artifacts=artifacts,
        served_beside=served_beside,
        command=shlex.join(["wardrobe", "train", teacher.name, *settings]),
        resume=True,
        extend=False,
        mlflow=mlflow,
    )
    if trained.record.data != DataRecord.of(data):
        raise TrainingError(
            f"{trained.folder} was trained on data that have changed since; remove it to train "
            f"{teacher.name} again"
        )
    return trained


def _record_of_teacher(teacher: TrainedRun) -> TeacherRecord:
    record = teacher.record
    return TeacherRecord(
        name=record.name,
        seed=record.seed,
        declaration=record.declaration,
        started=record.started,
        parameters=record.parameters,
        weights=file_hash(teacher.folder / "model.keras"),
    )


def _refuse_divergence(fitted: Fitted, folder: Path) -> None:
    if fitted.diverged_in is not None:
        raise TrainingError(
            f"the loss became NaN in epoch {fitted.diverged_in}: try a smaller learning_rate, or "
            f"clipnorm in the optimizer; the best weights so far are in {folder / 'model.keras'}"
        )


def _evaluate(
    network: keras.Sequential, declaration: Declaration, data: DataSet
) -> dict[str, dict[str, Any]]:
    """The `metrics` of the artifact's answers, and the `calibration` of a classifier."""
    uncalibrated = Outputs.of_head(declaration.model.head.activation, data.encoding)
    parts = {"validation": data.validation, "test": data.test}
    parts = {name: examples for name, examples in parts.items() if len(examples)}
    outputs = {
        name: predict(partial(uncalibrated.of, network), examples.x)
        for name, examples in parts.items()
    }
    found: dict[str, dict[str, Any]] = {}
    if uncalibrated.head in ("softmax", "sigmoid") and "validation" in parts:
        calibration = Calibration.fit(
            outputs["validation"],
            data.validation.y,
            declaration.training.certain or RIGHT_WHEN_CERTAIN,
            data.unknown_index,
        )
        numbers = {"temperature": calibration.temperature}
        numbers |= {"uncertain_below": calibration.uncertain_below}
        unknown = {} if data.unknown is None else {"unknown": data.unknown}
        effects = {name: calibration.effect(outputs[name], parts[name].y) for name in parts}
        found["calibration"] = numbers | unknown | effects
        outputs = {name: calibration.apply(given) for name, given in outputs.items()}
    found["metrics"] = {name: evaluate_split(outputs[name], data, name) for name in parts}
    return found
