"""Writes the artifact of a run: `artifacts/NAME/VERSION/`, whole or not at all.

A SavedModel in TensorFlow Serving's folder layout. `assets.extra/` holds what a service must know
besides the graph:

| file | holds |
|---|---|
| `labels.json` | the names of the classes, in the order of the outputs |
| `input.json` | kind and shape of an input; of pictures channels, range, `ground`, `prepare` and,
if garments were cut out of its own, `preparation`, the version that did; of a table of one's own
its columns and its target |
| `declaration.yaml` | the declaration as resolved |
| `metrics.json` | the measures on the validation and test examples |
| `calibration.json` | a classifier's temperature, which the graph applies, and its effect |
| `uncertainty.json` | `{"below": p}`: an answer with a lower probability is uncertain; with
`"unknown": label`, one with that label is too, whatever its probability |
| `card.md` | the model card |
| `run.json` | the `id` of the run that wrote it, and where its `data` lie, if they are one's own |
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import keras

from wardrobe.models import Declaration
from wardrobe.training.data import DataSet, names
from wardrobe.training.data.columns import Encoding
from wardrobe.training.errors import TrainingError
from wardrobe.training.export import saved_model
from wardrobe.training.export.model_card import model_card
from wardrobe.training.export.outputs import Outputs
from wardrobe.training.record import Record
from wardrobe.training.run import as_yaml


def export(
    network: keras.Sequential,
    declaration: Declaration,
    data: DataSet,
    record: Record,
    artifacts: Path,
    write: saved_model.Write,
    served_beside: Sequence[Path] = (),
) -> Path:
    """Writes the next version of an artifact and returns its folder.

    The version is above every one of this name, those in the folders `served_beside` included.

    Its graph divides the logits by the temperature in the record. A run has one artifact: if the
    run was killed after writing it, that one is returned.

    Raises:
        TrainingError: the folder cannot be written; nothing of the artifact is left behind.
    """
    versions = artifacts / declaration.name
    # Named at random: threads share the number of their process, and containers all have number 1.
    partial = versions / f".partial-{secrets.token_hex(8)}"
    if written := _written_by(record.id, versions):
        return written
    outputs = Outputs.of_head(
        declaration.model.head.activation,
        data.encoding,
        temperature=record.calibration.get("temperature", 1.0),
        empty=255 if data.polarity == "light" else 0,
    )
    try:
        versions.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(versions)
        columns = data.encoding.columns if data.encoding else ()
        write(network, outputs, partial, columns)
        (partial / "assets.extra").mkdir()
        for name, text in _extra(declaration, data, record).items():
            (partial / "assets.extra" / name).write_text(text, encoding="utf-8")
        beside = [folder / declaration.name for folder in served_beside]
        return _as_next_version(partial, versions, beside)
    except OSError as error:
        raise TrainingError(f"cannot write the artifact to {versions}: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def refuse_unwritable(artifacts: Path) -> None:
    """Raises TrainingError, before anything is trained, if a folder cannot be made or written."""
    existing = next(path for path in (artifacts, *artifacts.absolute().parents) if path.exists())
    if not existing.is_dir():
        raise TrainingError(f"cannot write the artifact to {artifacts}: {existing} is no folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise TrainingError(
            f"cannot write the artifact to {artifacts}: {existing} cannot be written; give another "
            "folder of artifacts"
        )


def _extra(declaration: Declaration, data: DataSet, record: Record) -> dict[str, str]:
    """The files of `assets.extra/`, by name."""
    values: dict[str, Any] = {
        "input.json": _input(data),
        "run.json": {"id": record.id, **_where(declaration, data)},
        "metrics.json": record.metrics,
    }
    if data.class_names is not None:
        values["labels.json"] = list(data.class_names)
    if calibration := record.calibration:
        values["calibration.json"] = calibration
        unknown = {"unknown": data.unknown} if data.unknown is not None else {}
        values["uncertainty.json"] = {"below": calibration["uncertain_below"], **unknown}
    return {
        "declaration.yaml": as_yaml(declaration),
        "card.md": model_card(declaration, data, record),
        **{
            name: json.dumps(value, indent=2, ensure_ascii=False) + "\n"
            for name, value in values.items()
        },
    }


def _where(declaration: Declaration, data: DataSet) -> dict[str, Any]:
    """Where own data lie, for `evaluate`: their path may be relative to the declaration; and the
    hashes of their files, by which it knows them again."""
    is_own = declaration.data.sets is None and declaration.data.name not in names()
    return {"data": data.source, "files": data.hashes} if is_own else {}


def _written_by(run_id: str, versions: Path) -> Path | None:
    """The artifact that a run has written; broken ones beside it do not matter."""
    for file in versions.glob("[0-9]*/assets.extra/run.json"):
        with suppress(OSError, ValueError, LookupError, TypeError, RecursionError):
            if file.is_file() and json.loads(file.read_text(encoding="utf-8"))["id"] == run_id:
                return file.parents[1]
    return None


def _remove_abandoned(versions: Path) -> None:
    """Removes what killed processes left: what is partial after an hour will never be finished."""
    for partial in versions.glob(".partial-*"):
        if time.time() - partial.stat().st_mtime < 3600:
            continue
        if partial.is_dir():
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)


def _input(data: DataSet) -> dict[str, Any]:
    shape = list(data.input_shape)
    if data.encoding is not None:
        return {"kind": "table", **_table(data.encoding)}
    if len(shape) == 1:
        return {"kind": "table", "shape": shape}
    return {
        "kind": "image",
        "shape": shape,
        "channels": 1 if len(shape) == 2 else shape[2],
        "range": [0, 255],
        "ground": data.polarity,
        "prepare": data.prepare,
        **({} if data.preparation is None else {"preparation": data.preparation}),
    }


def _table(encoding: Encoding) -> dict[str, Any]:
    """The columns that a table's artifact takes, and what it answers about."""
    columns: list[dict[str, Any]] = [
        {"name": column.name, "kind": "number"}
        if column.categories is None
        else {"name": column.name, "kind": "category", "categories": list(column.categories)}
        for column in encoding.columns
    ]
    return {
        "columns": columns,
        "target": {"name": encoding.target.name, "kind": encoding.target.kind},
    }


def _as_next_version(partial: Path, versions: Path, beside: Sequence[Path]) -> Path:
    """Renames the finished folder to the version after the highest."""
    while True:
        newest = max(map(_newest, (versions, *beside)))
        version = versions / str(newest + 1)
        try:
            return partial.rename(version)
        except OSError:
            if not version.exists():  # otherwise another run took the number meanwhile
                raise


def _newest(versions: Path) -> int:
    """The highest version in a model's folder; 0 if there is none."""
    names = [path.name for path in versions.glob("*")]
    return max((int(name) for name in names if name.isascii() and name.isdigit()), default=0)
