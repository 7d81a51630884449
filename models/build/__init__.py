"""All Keras objects of a declaration: the network and what it is trained with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from wardrobe.models.build import compilation
from wardrobe.models.build.keras_objects import KerasFactory
from wardrobe.models.build.keras_settings import set_keras
from wardrobe.models.build.metrics import metrics, try_out
from wardrobe.models.build.monitoring import check_callbacks
from wardrobe.models.build.network import build_augmentation, build_network
from wardrobe.models.schema.declaration import Declaration
from wardrobe.models.schema.errors import DeclarationError
from wardrobe.models.schema.rules import broken_rules


@dataclass(frozen=True)
class BuiltModel:
    """A network with fresh weights, not yet compiled, and what it is trained with."""

    network: keras.Sequential
    augmentation: keras.Sequential | None
    optimizer: keras.optimizers.Optimizer
    loss: Any
    metrics: list[Any]
    callbacks: list[keras.callbacks.Callback]


def build(
    declaration: Declaration, steps_per_epoch: int = 100, folder: Path = Path()
) -> BuiltModel:
    """Creates everything that a declaration names; this is also how it is checked.

    Durations given in epochs become optimizer steps by `steps_per_epoch`; files that callbacks
    write go into `folder`. Weights are drawn from Keras' global seed. Keras' global settings become
    those of wardrobe, see `keras_settings`.

    Raises:
        DeclarationError: with every unknown name, argument and value, and every broken rule.
    """
    set_keras()
    factory = KerasFactory(steps_per_epoch)
    network = build_network(declaration, factory)
    augmentation = build_augmentation(declaration, factory)
    optimizer = compilation.optimizer(declaration, factory)
    loss = factory.create("loss", declaration.loss, ("loss",))
    measured = metrics(declaration, factory)
    if keras.backend.backend() != "jax":  # which would compile each operation
        try_out(declaration, factory, loss, measured)
    callbacks = compilation.callbacks(declaration, factory, folder)
    check_callbacks(declaration, factory, measured)
    errors = [declaration.error(path, message) for path, message in factory.errors]
    errors += broken_rules(declaration)
    if errors or network is None:
        raise DeclarationError(sorted(errors))
    return BuiltModel(network, augmentation, optimizer, loss, measured, callbacks)
