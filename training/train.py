"""One training, from a declaration to an artifact, in the order in which it happens."""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.models import Declaration
from wardrobe.training import environment
from wardrobe.training.data import DataSet
from wardrobe.training.data.hashes import file_hash
from wardrobe.training.errors import TrainingError
from wardrobe.training.evaluation.calibration import Calibration
from wardrobe.training.evaluation.metrics import evaluate
from wardrobe.training.export.artifact import export
from wardrobe.training.export.model_card import card
from wardrobe.training.export.outputs import Answers
from wardrobe.training.fit.distillation import overrides_of_teacher, teacher_of
from wardrobe.training.fit.fit import Fit, Fitted
from wardrobe.training.run import Run, as_yaml

_BATCH = 1000


@dataclass(frozen=True)
class Trained:
    """What a training leaves: the run's folder and record, and the artifact."""

    run: Path
    artifact: Path
    record: dict[str, Any]


def train(
    declaration: Declaration,
    data: DataSet,
    *,
    runs: Path,
    artifacts: Path,
    command: str,
    resume: bool = False,
) -> Trained:
    """Trains, measures and exports; the test examples are looked at once, at the end.

    The run keeps a copy of the declaration's files. With `resume` the last run of the same
    declaration and seed goes on where it was interrupted; where there is none, one begins, and
    one that is finished is returned as it is.

    Raises:
        DeclarationError: before anything is written.
        TrainingError: the loss became NaN, or a folder cannot be written. The run's record says
            so, and there is no artifact. Or the run cannot go on with this data and backend.
    """
    interrupted = Run.latest(runs, declaration) if resume else None
    if interrupted and interrupted.is_finished:
        return Trained(interrupted.folder, Path(interrupted.record["artifact"]), interrupted.record)
    run = interrupted or Run(runs, declaration)
    fit = Fit(declaration, data, run.folder)
    teacher = _teacher(declaration, data, runs, artifacts)
    decisive = {"data": _data_facts(data), "teacher": _teacher_facts(teacher)}
    if interrupted:
        run.resume(**decisive, versions=environment.versions())
    else:
        run.start(declaration.files, command=command, **decisive, **environment.describe())
    with run.recorded():
        fitted = fit.run(teacher.run if teacher else None)
        run.keep(fitted.network)
        _refuse_divergence(fitted, run.folder)
        run.note(
            parameters=fitted.network.count_params(),
            epochs=fitted.epochs,
            seconds=round(fitted.seconds, 2),
            **_measures(fitted.network, declaration, data),
        )
        temperature = run.record.get("calibration", {}).get("temperature", 1.0)
        texts = _texts(declaration, data, run.record)
        artifact = export(
            fitted.network, declaration, data, temperature, artifacts, texts, run.record["id"]
        )
        run.note(artifact=str(artifact))
    return Trained(run.folder, artifact, run.record)


def _teacher(
    declaration: Declaration, data: DataSet, runs: Path, artifacts: Path
) -> Trained | None:
    """The teacher's last run on the same data, finished or trained now; None without teacher."""
    teacher = teacher_of(declaration)
    if teacher is None:
        return None
    settings = [f"--set={setting}" for setting in overrides_of_teacher(declaration)]
    trained = train(
        teacher,
        data,
        runs=runs,
        artifacts=artifacts,
        command=shlex.join(["wardrobe", "train", teacher.name, *settings]),
        resume=True,
    )
    if trained.record["data"] != _data_facts(data):
        raise TrainingError(
            f"{trained.run} was trained on data that have changed since; remove it, and "
            f"{teacher.name} is trained anew"
        )
    return trained


def _teacher_facts(teacher: Trained | None) -> dict[str, Any]:
    if teacher is None:
        return {}
    keys = ("name", "seed", "declaration", "started", "parameters")
    weights = file_hash(teacher.run / "model.keras")
    return {key: teacher.record[key] for key in keys} | {"weights": weights}


def _refuse_divergence(fitted: Fitted, folder: Path) -> None:
    if fitted.diverged_in is not None:
        raise TrainingError(
            f"the loss became NaN in epoch {fitted.diverged_in}: try a smaller learning_rate, or "
            f"clipnorm in the optimizer; the best weights so far are in {folder / 'model.keras'}"
        )


def _measures(
    network: keras.Sequential, declaration: Declaration, data: DataSet
) -> dict[str, dict[str, Any]]:
    """`metrics` of what the artifact will answer, and the `calibration` of a classifier."""
    head = declaration.model.head.activation
    parts = {"validation": data.validation, "test": data.test}
    parts = {name: examples for name, examples in parts.items() if len(examples)}
    outputs = {name: _outputs(network, head, examples.x) for name, examples in parts.items()}
    found: dict[str, dict[str, Any]] = {}
    if head in ("softmax", "sigmoid") and "validation" in parts:
        fitted = Calibration.fitted(outputs["validation"], data.validation.y)
        effects = {name: fitted.effect(outputs[name], parts[name].y) for name in parts}
        found["calibration"] = vars(fitted) | effects
        outputs = {name: fitted.answers(given) for name, given in outputs.items()}
    found["metrics"] = {
        name: evaluate(outputs[name], examples.y, data.class_names)
        for name, examples in parts.items()
    }
    return found


def _outputs(network: keras.Sequential, head: str, x: NDArray[Any]) -> NDArray[np.float32]:
    """What the network gives, not yet calibrated."""
    answers = Answers(head)
    given = [next(iter(answers.of(network, batch).values())) for batch in _batches(x)]
    return np.concatenate([keras.ops.convert_to_numpy(output) for output in given])


def _batches(x: NDArray[Any]) -> list[NDArray[np.float32]]:
    return [x[at : at + _BATCH].astype(np.float32) for at in range(0, len(x), _BATCH)]


def _texts(declaration: Declaration, data: DataSet, record: dict[str, Any]) -> dict[str, str]:
    """The files of the artifact's `assets.extra/` that tell how it came about, by name."""
    values = {"metrics.json": record["metrics"]}
    if calibration := record.get("calibration"):
        values["calibration.json"] = calibration
        values["uncertainty.json"] = {"below": calibration["uncertain_below"]}
    return {
        "declaration.yaml": as_yaml(declaration),
        "card.md": card(declaration, data, record),
        **{name: json.dumps(value, indent=2) + "\n" for name, value in values.items()},
    }


def _data_facts(data: DataSet) -> dict[str, Any]:
    return {
        "name": data.name,
        "source": data.source,
        "files": data.hashes,
        "split": data.split_hash,
        "examples": {
            "train": len(data.train),
            "validation": len(data.validation),
            "test": len(data.test),
        },
    }
