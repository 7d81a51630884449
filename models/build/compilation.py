"""What a network is trained with: its optimizer, loss, metrics and callbacks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras

from wardrobe.models.schema.declaration import FILE_ARGUMENTS, Declaration, Named, named
from wardrobe.models.build.keras_objects import KerasObjects


def optimizer(declaration: Declaration, objects: KerasObjects) -> Any:
    """The optimizer; `exclude_from_weight_decay` takes names of weights, as Keras' method does."""
    what = named(declaration.optimizer, ("optimizer",))
    arguments = dict(what.arguments)
    excluded = arguments.pop("exclude_from_weight_decay", None)
    accumulated = arguments.get("gradient_accumulation_steps") or 1
    if isinstance(accumulated, int) and accumulated > 1:
        # A schedule counts updates of the weights, not batches.
        updates = max(1, objects.steps_per_epoch // accumulated)
        objects = KerasObjects(updates, objects.problems)
    made = objects.create("optimizer", Named(what.name, arguments, what.path), what.path)
    if excluded is not None and made is not None:
        path = (*what.path, "exclude_from_weight_decay")
        if not (isinstance(excluded, list) and all(isinstance(name, str) for name in excluded)):
            objects.report(path, "takes a list of names of weights, such as [bias, gamma, beta]")
        elif not getattr(made, "weight_decay", None):
            objects.report(path, f"{what.name} has no weight_decay to exclude anything from")
        else:
            made.exclude_from_weight_decay(var_names=excluded)
    return made


def loss(declaration: Declaration, objects: KerasObjects) -> Any:
    """The loss as an object or a function of Keras."""
    return objects.create("loss", declaration.loss, ("loss",))


def takes_class_indices(declaration: Declaration) -> bool:
    """Whether the loss wants int32 class indices `[N]` rather than one-hot rows `[N, classes]`."""
    name = named(declaration.loss, ()).name.lower()
    return declaration.model.head.activation != "softmax" or name.startswith("sparse")


def metrics(declaration: Declaration, objects: KerasObjects) -> list[Any]:
    """The metrics; `accuracy` is left to Keras, which picks the one that fits the loss."""
    return [
        "accuracy" if spec == "accuracy" else objects.create("metric", spec, ("metrics", number))
        for number, spec in enumerate(declaration.metrics)
    ]


def callbacks(
    declaration: Declaration, objects: KerasObjects, folder: Path
) -> list[keras.callbacks.Callback]:
    """The declared callbacks, in their order; the files they write stay in the folder."""
    made = []
    for number, spec in enumerate(declaration.callbacks):
        what = named(spec, ("callbacks", number))
        arguments = {"log_dir": "tensorboard"} if what.name == "TensorBoard" else {}
        arguments |= what.arguments
        for argument in FILE_ARGUMENTS & set(arguments):
            arguments[argument] = str(folder / str(arguments[argument]))
        made.append(objects.create("callback", Named(what.name, arguments, what.path), what.path))
    return made
