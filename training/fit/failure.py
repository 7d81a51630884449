"""The message of a failed training: the reason, and the line that declares what failed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import keras

from wardrobe.models import Declaration
from wardrobe.models.build import BuiltModel
from wardrobe.models.schema.tree import Path
from wardrobe.training.errors import TrainingError, in_words


def as_training_error(
    error: Exception,
    declaration: Declaration,
    parts: BuiltModel,
    callbacks: Sequence[keras.callbacks.Callback] = (),
) -> TrainingError | None:
    """The failure of a training as an error at the line that declares what failed.

    None if the declaration is not to blame: memory and disk have their own messages, and errors in
    `callbacks`, which a script passed, belong to the script.
    """
    frames = list(_frames(error))
    if isinstance(error, (TrainingError, OSError)) or any(
        frame.get("self") is callback for frame in frames for callback in callbacks
    ):
        return None
    path = _declared_at(error, frames, declaration, parts)
    origin = declaration.tree.origin_of(path) if path else declaration.files[0].name
    return TrainingError(f"{origin}: training stopped: {in_words(error)}")


def _declared_at(
    error: Exception, frames: list[dict[str, Any]], declaration: Declaration, parts: BuiltModel
) -> Path | None:
    """The path of the callback, the metric or the layer in which an error arose."""
    owners: list[tuple[Any, Path]] = [
        *((callback, ("callbacks", index)) for index, callback in enumerate(parts.callbacks)),
        *((metric, ("metrics", index)) for index, metric in enumerate(parts.metrics)),
        (parts.loss, ("loss",)),
        (parts.optimizer, ("optimizer",)),
    ]
    for frame in reversed(frames):
        for owner, path in owners:
            if frame.get("self") is owner:
                return path
    declared = [
        *declaration.layers("model", "input", "layers"),
        *declaration.layers("model", "layers"),
    ]
    for layer, spec in zip(parts.network.layers, declared, strict=False):
        if re.search(rf"\b{re.escape(layer.name)}\b", str(error)):
            return spec.path
    return None


def _frames(error: Exception) -> Iterator[dict[str, Any]]:
    traceback = error.__traceback__
    while traceback is not None:
        yield traceback.tb_frame.f_locals
        traceback = traceback.tb_next
