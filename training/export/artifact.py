"""Writes the artifact of a run: `artifacts/NAME/VERSION/`, whole or not at all.

A SavedModel in TensorFlow Serving's folder layout. `assets.extra/` holds what a service must
know beside the graph:

| file | holds |
|---|---|
| `labels.json` | the names of the classes, in the order of the outputs |
| `input.json` | kind and shape of an input, range of its pixels, ground of the pictures |
| `declaration.yaml` | the declaration as resolved |
| `metrics.json` | the measures on validation and test examples |
| `calibration.json` | a classifier's temperature, which the graph applies, and what it does |
| `uncertainty.json` | `{"below": p}`: an answer of less probability is uncertain |
| `card.md` | the model card |
| `run.json` | the `id` of the run that wrote it |
"""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path
from typing import Any

import keras

from wardrobe.models import Declaration
from wardrobe.training.data import DataSet
from wardrobe.training.errors import TrainingError
from wardrobe.training.export import saved_model
from wardrobe.training.export.outputs import Answers


def export(
    network: keras.Sequential,
    declaration: Declaration,
    data: DataSet,
    temperature: float,
    artifacts: Path,
    texts: dict[str, str],
    run_id: str,
) -> Path:
    """Writes the next version of an artifact and returns its folder.

    Its graph divides the logits by the temperature; `texts` are further files of
    `assets.extra/` by name. A run has one artifact: where it was killed after writing it, that one
    is returned.

    Raises:
        TrainingError: the folder cannot be written; nothing of the artifact is left behind.
    """
    models = artifacts / declaration.name
    partial = models / f".partial-{os.getpid()}"
    if written := _written_by(run_id, models):
        return written
    try:
        models.mkdir(parents=True, exist_ok=True)
        _remove_what_killed_processes_left(models)
        answers = Answers(
            declaration.model.head.activation, temperature, 255 if data.ground == "light" else 0
        )
        saved_model.write(network, answers, partial)
        extra = partial / "assets.extra"
        extra.mkdir()
        if data.class_names is not None:
            _write_json(extra / "labels.json", list(data.class_names))
        _write_json(extra / "input.json", _input(data))
        _write_json(extra / "run.json", {"id": run_id})
        for name, text in texts.items():
            (extra / name).write_text(text, encoding="utf-8")
        return _as_next_version(partial, models)
    except OSError as error:
        raise TrainingError(f"cannot write the artifact to {models}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _written_by(run_id: str, models: Path) -> Path | None:
    for file in models.glob("[0-9]*/assets.extra/run.json"):
        if json.loads(file.read_text(encoding="utf-8"))["id"] == run_id:
            return file.parents[1]
    return None


def _remove_what_killed_processes_left(models: Path) -> None:
    """Whatever is still partial after an hour will never be finished."""
    for partial in models.glob(".partial-*"):
        if time.time() - partial.stat().st_mtime < 3600:
            continue
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def _input(data: DataSet) -> dict[str, Any]:
    shape = list(data.input_shape)
    if len(shape) == 1:
        return {"kind": "table", "shape": shape}
    return {"kind": "image", "shape": shape, "range": [0, 255], "ground": data.ground}


def _as_next_version(partial: Path, models: Path) -> Path:
    """Renames the finished folder to the lowest version above all that there are."""
    while True:
        taken = [int(folder.name) for folder in models.iterdir() if folder.name.isdigit()]
        version = models / str(max(taken, default=0) + 1)
        try:
            return partial.rename(version)
        except OSError:
            if not version.exists():  # else another run took the number meanwhile
                raise


def _write_json(file: Path, value: Any) -> None:
    file.write_text(json.dumps(value, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
