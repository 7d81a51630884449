"""All Keras objects of a declaration together: what a training run needs of `models`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from wardrobe.models.build import compilation as objective
from wardrobe.models.schema.declaration import Declaration
from wardrobe.models.build.keras_objects import KerasObjects
from wardrobe.models.build.network import augmentation, build
from wardrobe.models.schema.errors import DeclarationError
from wardrobe.models.schema.rules import broken_rules


@dataclass(frozen=True)
class Assembly:
    """A network with fresh weights and what it is trained with."""

    network: keras.Sequential
    optimizer: keras.optimizers.Optimizer
    loss: Any
    metrics: list[Any]
    callbacks: list[keras.callbacks.Callback]


def assemble(
    declaration: Declaration, steps_per_epoch: int = 100, folder: Path = Path()
) -> Assembly:
    """Creates everything that a declaration names; this is also how it is checked.

    Durations given in epochs become optimizer steps by `steps_per_epoch`; files that callbacks
    write go into `folder`. Weights are drawn from Keras' global seed.

    Raises:
        DeclarationError: with every unknown name, argument and value, and every broken rule.
    """
    objects = KerasObjects(steps_per_epoch)
    network = build(declaration, objects)
    augmentation(declaration, objects)
    optimizer = objective.optimizer(declaration, objects)
    loss = objective.loss(declaration, objects)
    metrics = objective.metrics(declaration, objects)
    callbacks = objective.callbacks(declaration, objects, folder)
    problems = [declaration.problem(path, message) for path, message in objects.problems]
    problems += broken_rules(declaration)
    if problems or network is None:
        raise DeclarationError(sorted(problems))
    return Assembly(network, optimizer, loss, metrics, callbacks)
