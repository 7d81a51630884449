"""All Keras objects of a declaration: the network and what it is trained with."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import keras

from wardrobe.models.build.callbacks import build_callbacks
from wardrobe.models.build.keras_objects import KerasFactory
from wardrobe.models.build.metrics import build_metrics, try_out
from wardrobe.models.build.network import build_augmentation, build_network
from wardrobe.models.schema.declaration import Declaration, ObjectSpec
from wardrobe.models.schema.errors import DeclarationError
from wardrobe.models.schema.rules import broken_rules

FLOATX = "float32"  # of weights and sums; `precision` says in what layers compute
IMAGE_DATA_FORMAT = "channels_last"
EPSILON = 1e-7


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
    those of wardrobe, for the whole process.

    Raises:
        DeclarationError: with every unknown name, argument and value, and every broken rule.
    """
    _set_keras()
    factory = KerasFactory(steps_per_epoch)
    network = build_network(declaration, factory)
    augmentation = build_augmentation(declaration, factory)
    optimizer = _build_optimizer(declaration, factory)
    loss = factory.create("loss", declaration.loss, ("loss",))
    metrics = build_metrics(declaration, factory)
    if keras.backend.backend() != "jax":  # which would compile each operation
        try_out(declaration, factory, loss, metrics)
    callbacks = build_callbacks(declaration, factory, metrics, folder)
    errors = [declaration.error(path, message) for path, message in factory.errors]
    errors += broken_rules(declaration)
    if errors or network is None:
        raise DeclarationError(sorted(errors))
    return BuiltModel(network, augmentation, optimizer, loss, metrics, callbacks)


def _set_keras() -> None:
    """Sets what decides results and a `keras.json` or a script may have changed."""
    keras.config.set_floatx(FLOATX)
    keras.config.set_image_data_format(IMAGE_DATA_FORMAT)
    keras.config.set_epsilon(EPSILON)
    keras.config.set_dtype_policy(FLOATX)


def _build_optimizer(declaration: Declaration, factory: KerasFactory) -> Any:
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
