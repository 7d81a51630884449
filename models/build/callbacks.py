"""Callbacks, and whether what they watch is measured, has a direction and can be written."""

from __future__ import annotations

import string
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from wardrobe.models.build.keras_objects import KerasFactory
from wardrobe.models.build.metrics import direction
from wardrobe.models.schema.declaration import FILE_ARGUMENTS, Declaration, ObjectSpec
from wardrobe.models.schema.errors import did_you_mean, suggestion

_MODES = ("auto", "min", "max")


def build_callbacks(
    declaration: Declaration, factory: KerasFactory, metrics: list[Any], folder: Path
) -> list[keras.callbacks.Callback]:
    """The declared callbacks, in their order; the files that they write go into the folder.

    Reports what they would stumble over after the first epoch, or misjudge in silence, given the
    `metrics` that are measured.
    """
    directions = {"loss": "down"} | dict(_directions(metrics))
    created = []
    for index, callback in enumerate(declaration.callbacks):
        spec = ObjectSpec.parse(callback, ("callbacks", index))
        created.append(factory.create("callback", _within(folder, spec), spec.path))
        if spec.name in ("EarlyStopping", "ReduceLROnPlateau", "ModelCheckpoint"):
            _check_monitor(declaration, factory, spec, directions)
        if spec.name == "ModelCheckpoint":
            _check_pattern(declaration, factory, spec, list(directions))
    return created


def _within(folder: Path, spec: ObjectSpec) -> ObjectSpec:
    """The callback with the paths of its files below the folder."""
    arguments = {"log_dir": "tensorboard"} if spec.name == "TensorBoard" else {}
    arguments |= spec.arguments
    for argument in FILE_ARGUMENTS & set(arguments):
        arguments[argument] = str(folder / str(arguments[argument]))
    return replace(spec, arguments=arguments)


def _directions(metrics: list[Any]) -> Iterator[tuple[str, str | None]]:
    """Each name under which Keras reports a metric, and which way it gets better."""
    seen: dict[str, int] = {}
    for metric in metrics:
        if metric is None:
            continue
        name = getattr(metric, "name", metric)
        seen[name] = seen.get(name, 0) + 1
        if seen[name] > 1:  # Keras appends a number, and then knows no direction
            yield f"{name}_{seen[name] - 1}", None
        else:
            yield name, "up" if metric == "accuracy" else direction(metric)


def _check_monitor(
    declaration: Declaration,
    factory: KerasFactory,
    spec: ObjectSpec,
    directions: dict[str, str | None],
) -> None:
    monitor = spec.arguments.get("monitor", "val_loss")
    mode = spec.arguments.get("mode", "auto")
    is_used = spec.name != "ModelCheckpoint" or spec.arguments.get("save_best_only")
    if mode not in _MODES:
        hint = did_you_mean(str(mode), _MODES) or ": use auto, min or max"
        factory.add_error(spec.path_of("mode"), f"{spec.name} has no mode {mode!r}{hint}")
    if not is_used and "monitor" not in spec.arguments:
        return
    path = spec.path_of("monitor")
    name = str(monitor).removeprefix("val_")
    if name not in directions:
        known = _reported(declaration, list(directions))
        hint = suggestion(str(monitor), known)
        factory.add_error(path, f"there is no metric '{monitor}'{hint}")
    elif name != monitor and not declaration.training.validation:
        factory.add_error(path, f"{spec.name} monitors '{monitor}', but 'training.validation' is 0")
    elif mode == "auto" and directions[name] is None:
        factory.add_error(
            path,
            f"it is not known whether a high or a low '{monitor}' is better: give {spec.name} "
            "'mode: max' or 'mode: min'",
        )


def _reported(declaration: Declaration, measured: list[str]) -> list[str]:
    validated = [f"val_{name}" for name in measured] if declaration.training.validation else []
    return [*measured, *validated]


def _check_pattern(
    declaration: Declaration, factory: KerasFactory, spec: ObjectSpec, measured: list[str]
) -> None:
    """Whether the fields of a file name, such as `{epoch}`, will have values."""
    pattern = spec.arguments.get("filepath")
    if not isinstance(pattern, str):
        return
    by_batch = {"save_freq", "save_epochs"} & set(spec.arguments)
    known = ["epoch", *(["batch"] if by_batch else []), *_reported(declaration, measured)]
    path = spec.path_of("filepath")
    try:
        fields = [
            field for _, field, _, _ in string.Formatter().parse(pattern) if field is not None
        ]
        for field in fields:
            if field not in known:
                hint = suggestion(field, known)
                factory.add_error(path, f"nothing fills in '{{{field}}}' in the file name{hint}")
        if set(fields) <= set(known):
            pattern.format(**dict.fromkeys(known, 0.5) | {"epoch": 1, "batch": 1})
    except (ValueError, KeyError, IndexError) as error:
        factory.add_error(path, f"the file's name '{pattern}' cannot be filled in: {error}")
