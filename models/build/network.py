"""From a declaration to a `keras.Sequential` with fresh weights, and to its augmentation."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import keras

from wardrobe.models.build.keras_objects import KerasFactory, one_line
from wardrobe.models.schema.declaration import Declaration, ObjectSpec
from wardrobe.models.schema.tree import Path

# Layers of the augmentation draw from it: which copies there are does not depend on a run's seed.
AUGMENTATION_SEED = 20_170_825


def build_network(declaration: Declaration, factory: KerasFactory) -> keras.Sequential | None:
    """The network, built; None after an error in a layer, which the factory then has.

    Input: raw values, float32 `[N, *model.input.shape]`. Output: float32 `[N, head.units]`.
    """
    _check_defaults(declaration, factory)
    declared = [
        *declaration.layers("model", "input", "layers"),
        *declaration.layers("model", "layers"),
        _head(declaration),
    ]
    network = keras.Sequential([keras.Input(declaration.model.input.shape)], name="network")
    names = [*_names(declared[:-1]), "head"]
    if not _fill(network, declared, names, declaration, factory):
        return None
    if len(network.output_shape) != 2:
        message = f"the head returns {network.output_shape}: put Flatten before it"
        factory.add_error(("model", "layers"), message)
        return None
    if not network.trainable_weights:
        message = "nothing is left to train: all layers with weights have 'trainable: false'"
        factory.add_error(("model", "layers"), message)
        return None
    return network


def build_augmentation(declaration: Declaration, factory: KerasFactory) -> keras.Sequential | None:
    """The network that augments images, built; None if none is declared, or after an error.

    Input: pixels 0–255, float32 `[N, height, width]` or `[N, height, width, 3]`; output: the same,
    grey ones as `[N, height, width, 1]`.
    """
    if declaration.augmentation is None:
        return None
    declared = list(declaration.layers("augmentation", "layers"))
    shape = tuple(declaration.model.input.shape)
    channel = keras.layers.Reshape(shape if len(shape) == 3 else (*shape, 1))
    network = keras.Sequential([keras.Input(shape), channel], name="augmentation")
    if len(shape) == 1:
        factory.add_error(("augmentation",), "augmentation is for images, not for tables")
        return None
    with _drawing_from(AUGMENTATION_SEED):
        is_complete = _fill(network, declared, _names(declared), declaration, factory)
    if is_complete:
        if network.output_shape == channel.output.shape and not network.trainable_weights:
            return network
        factory.add_error(
            ("augmentation", "layers"),
            "augmentation has no weights and keeps the size of an image: use layers such as "
            "RandomFlip, RandomTranslation, RandomErasing",
        )
    return None


def _check_defaults(declaration: Declaration, factory: KerasFactory) -> None:
    """Checks `model.defaults` of layers that this network, or a child's, may not have."""
    for name, arguments in declaration.model.defaults.items():
        factory.check("layer", ObjectSpec(name, arguments, ("model", "defaults", name)))


@contextmanager
def _drawing_from(seed: int) -> Iterator[None]:
    """Layers created in the block draw their own seeds from this one; see Keras' SeedGenerator."""
    state = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(state)


def _fill(
    network: keras.Sequential,
    declared: list[ObjectSpec],
    names: list[str],
    declaration: Declaration,
    factory: KerasFactory,
) -> bool:
    """Adds the declared layers; False after an error in one, which the factory then has."""
    found_before = len(factory.errors)
    _check_names(declared, names, factory)
    layers = [
        _layer(declaration, factory, spec, name) for spec, name in zip(declared, names, strict=True)
    ]
    return len(factory.errors) == found_before and all(
        _add(network, layer, spec.path, factory, declaration)
        for spec, layer in zip(declared, layers, strict=True)
    )


def _head(declaration: Declaration) -> ObjectSpec:
    """The head as a Dense layer; it computes in float32 also under mixed precision."""
    head = declaration.model.head
    arguments = {
        **head.arguments,
        "units": head.units,
        "activation": head.activation,
        "dtype": "float32",
    }
    spec = ObjectSpec("Dense", arguments, ("model", "head"))
    return spec.with_defaults(declaration.model.defaults)


def _names(declared: list[ObjectSpec]) -> list[str]:
    """A name for each layer that depends on the declaration only: `dense_1`, `dense_2`, …"""
    seen: Counter[str] = Counter()
    names = []
    for spec in declared:
        word = spec.name.lower()
        seen[word] += 1
        names.append(f"{word}_{seen[word]}")
    return names


def _check_names(declared: list[ObjectSpec], names: list[str], factory: KerasFactory) -> None:
    """Reports each name given to a layer that another one has."""
    given = [spec.arguments.get("name", name) for spec, name in zip(declared, names, strict=True)]
    for spec, name in zip(declared, given, strict=True):
        if "name" in spec.arguments and given.count(name) > 1:
            factory.add_error(
                spec.path_of("name"), f"another layer has the name {name!r}: give each its own"
            )


def _layer(declaration: Declaration, factory: KerasFactory, spec: ObjectSpec, name: str) -> Any:
    arguments = {"name": name, **spec.arguments}
    if declaration.precision != "float32":
        arguments.setdefault("dtype", declaration.precision)
    return factory.create("layer", replace(spec, arguments=arguments), spec.path)


def _add(
    network: keras.Sequential,
    layer: Any,
    path: Path,
    factory: KerasFactory,
    declaration: Declaration,
) -> bool:
    kind = type(layer).__name__
    # Before its first layer, a Sequential does not say what goes into it.
    shape = network.output_shape if network.layers else (None, *declaration.model.input.shape)
    if kind.startswith("Random") and len(shape) != 4:
        # Keras would mistake the examples of a batch for the rows of an image.
        factory.add_error(
            path,
            f"{kind} takes pictures with a channel: put it before Flatten and "
            "'Reshape: {target_shape: [height, width, 1]}' before it",
        )
        return False
    try:
        network.add(layer)
    except Exception as error:  # shapes that do not fit; Keras raises several types
        factory.add_error(path, f"{kind} does not fit here: {one_line(error)}")
        return False
    return True
