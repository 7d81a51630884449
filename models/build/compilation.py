"""What a network is trained with: its optimizer and callbacks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras

from wardrobe.models.build.keras_objects import KerasFactory
from wardrobe.models.schema.declaration import FILE_ARGUMENTS, Declaration, ObjectSpec


def optimizer(declaration: Declaration, factory: KerasFactory) -> Any:
    """The optimizer; `exclude_from_weight_decay` lists names of weights, as Keras' method does."""
    spec = ObjectSpec.parse(declaration.optimizer, ("optimizer",))
    arguments = dict(spec.arguments)
    excluded = arguments.pop("exclude_from_weight_decay", None)
    accumulated = arguments.get("gradient_accumulation_steps") or 1
    if isinstance(accumulated, int) and accumulated > 1:
        # A schedule counts updates of the weights, not batches.
        updates = max(1, factory.steps_per_epoch // accumulated)
        factory = KerasFactory(updates, factory.errors)
    created = factory.create("optimizer", replace(spec, arguments=arguments), spec.path)
    if excluded is not None and created is not None:
        path = (*spec.path, "exclude_from_weight_decay")
        if not (isinstance(excluded, list) and all(isinstance(name, str) for name in excluded)):
            factory.add_error(path, "takes a list of names of weights, such as [bias, gamma, beta]")
        elif not getattr(created, "weight_decay", None):
            factory.add_error(path, f"{spec.name} has no weight_decay to exclude anything from")
        else:
            created.exclude_from_weight_decay(var_names=excluded)
    return created


def callbacks(
    declaration: Declaration, factory: KerasFactory, folder: Path
) -> list[keras.callbacks.Callback]:
    """The declared callbacks, in their order; the files that they write go into the folder."""
    created = []
    for index, callback in enumerate(declaration.callbacks):
        spec = ObjectSpec.parse(callback, ("callbacks", index))
        arguments = {"log_dir": "tensorboard"} if spec.name == "TensorBoard" else {}
        arguments |= spec.arguments
        for argument in FILE_ARGUMENTS & set(arguments):
            arguments[argument] = str(folder / str(arguments[argument]))
        spec = replace(spec, arguments=arguments)
        created.append(factory.create("callback", spec, spec.path))
    return created
