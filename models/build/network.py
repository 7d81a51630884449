"""From a declaration to a `keras.Sequential` with fresh weights."""

from __future__ import annotations

from collections import Counter
from typing import Any

import keras

from wardrobe.models.schema.declaration import Declaration, Named
from wardrobe.models.build.keras_objects import KerasObjects, one_line
from wardrobe.models.schema.tree import Path


def build(declaration: Declaration, objects: KerasObjects) -> keras.Sequential | None:
    """The network, built; None where a layer has a problem, which `objects` then holds.

    Input: raw values, float32 `[N, *model.input.shape]`. Output: float32 `[N, head.units]`.
    """
    declared = [
        *declaration.layers("model", "input", "layers"),
        *declaration.layers("model", "layers"),
        _head(declaration),
    ]
    network = keras.Sequential([keras.Input(declaration.model.input.shape)], name="network")
    names = [*_names(declared[:-1]), "head"]
    if not _fill(network, declared, names, declaration, objects):
        return None
    if len(network.output_shape) != 2:
        message = f"the head gives {network.output_shape}: put Flatten before it"
        objects.report(("model", "layers"), message)
        return None
    return network


def augmentation(declaration: Declaration, objects: KerasObjects) -> keras.Sequential | None:
    """The declared disturbance of pictures, built; None where there is none, or it has a problem.

    Input: pixels 0–255, float32 `[N, height, width]`; output the same, with a channel at the end.
    """
    if declaration.augmentation is None:
        return None
    declared = list(declaration.layers("augmentation", "layers"))
    shape = tuple(declaration.model.input.shape)
    channel = keras.layers.Reshape((*shape, 1))
    network = keras.Sequential([keras.Input(shape), channel], name="augmentation")
    if len(shape) != 2:
        objects.report(("augmentation",), "augmentation is for pictures, not for tables")
    elif _fill(network, declared, _names(declared), declaration, objects):
        if network.output_shape == channel.output.shape and not network.trainable_weights:
            return network
        objects.report(
            ("augmentation", "layers"),
            "augmentation learns nothing and leaves a picture its size: take layers such as "
            "RandomFlip, RandomTranslation, RandomErasing",
        )
    return None


def _fill(
    network: keras.Sequential,
    declared: list[Named],
    names: list[str],
    declaration: Declaration,
    objects: KerasObjects,
) -> bool:
    """Adds the declared layers; False where one has a problem, which `objects` then holds."""
    found_before = len(objects.problems)
    layers = [
        _layer(declaration, objects, what, name) for what, name in zip(declared, names, strict=True)
    ]
    return len(objects.problems) == found_before and all(
        _add(network, layer, what.path, objects)
        for what, layer in zip(declared, layers, strict=True)
    )


def _head(declaration: Declaration) -> Named:
    """The head as a Dense layer; it computes in float32 also under mixed precision."""
    head = declaration.model.head
    arguments = {
        **declaration.model.defaults.get("Dense", {}),
        **head.arguments,
        "units": head.units,
        "activation": head.activation,
        "dtype": "float32",
    }
    return Named("Dense", arguments, ("model", "head"))


def _names(declared: list[Named]) -> list[str]:
    """A name for each layer that depends on the declaration only: `dense_1`, `dense_2`, …"""
    seen: Counter[str] = Counter()
    names = []
    for what in declared:
        word = what.name.lower()
        seen[word] += 1
        names.append(f"{word}_{seen[word]}")
    return names


def _layer(declaration: Declaration, objects: KerasObjects, what: Named, name: str) -> Any:
    arguments = {"name": name, **what.arguments}
    if declaration.precision != "float32":
        arguments.setdefault("dtype", declaration.precision)
    return objects.create("layer", Named(what.name, arguments, what.path), what.path)


def _add(network: keras.Sequential, layer: Any, path: Path, objects: KerasObjects) -> bool:
    kind = type(layer).__name__
    if kind.startswith("Random") and len(network.output_shape) != 4:
        # Keras would take the rows of a batch for the rows of a picture.
        objects.report(
            path,
            f"{kind} takes pictures with a channel: put it before Flatten and "
            "'Reshape: {target_shape: [height, width, 1]}' before it",
        )
        return False
    try:
        network.add(layer)
    except Exception as error:  # shapes that do not fit; Keras raises several types
        objects.report(path, f"{kind} does not fit here: {one_line(error)}")
        return False
    return True
