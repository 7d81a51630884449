"""Estimates what a study will cost before it starts; imports nothing slow.

The numbers were fitted to trainings on one core of a two-core x86 machine in 2026; other machines
may take half or twice as long.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from wardrobe.models import Declaration
from wardrobe.training.studies.variants import Variant

SECONDS_PER_PROGRAM, MORE_FOR_A_LAYER = 2.5, 0.25
"""To build and compile the program that trains a group of variants."""

SECONDS_PER_EPOCH = 1e-3

SECONDS_PER_STEP = 10e-6
"""For each layer, whatever its size."""

SECONDS_PER_UPDATE = 2.2e-9
"""For each parameter, in a step of the optimizer."""

SECONDS_PER_PRODUCT = 7e-11
"""For each parameter and example, forward and backward."""

SECONDS_PER_COPY = 60e-6
"""For each augmented copy of a picture."""


@dataclass(frozen=True)
class Cost:
    """The number of trainings, of programs that run them, and seconds on one core for all."""

    trainings: int
    programs: int
    seconds: float


def cost(groups: Sequence[Sequence[Variant]], examples_of: Callable[[Declaration], int]) -> Cost:
    """The cost of groups of variants that are trained together.

    examples_of: the number of training examples of a declaration.
    """
    seconds = 0.0
    for first, *others in groups:
        declared, examples = first.declaration, examples_of(first.declaration)
        seconds += SECONDS_PER_PROGRAM + MORE_FOR_A_LAYER * _layers(declared)
        if first.train:
            seconds += (1 + len(others)) * training_seconds(declared, examples)
        if declared.augmentation:
            seconds += SECONDS_PER_COPY * declared.augmentation.copies * examples
    return Cost(sum(map(len, groups)), len(groups), seconds)


def training_seconds(declaration: Declaration, examples: int) -> float:
    """The seconds of one training on one core, up to its last epoch."""
    training, size = declaration.training, parameters(declaration)
    steps = math.ceil(examples / training.batch_size)
    of_step = SECONDS_PER_STEP * _layers(declaration) + SECONDS_PER_UPDATE * size
    of_epoch = SECONDS_PER_EPOCH + steps * of_step + examples * SECONDS_PER_PRODUCT * size
    return training.epochs * of_epoch


def _layers(declaration: Declaration) -> int:
    return 1 + sum(1 for _ in declaration.layers("model", "layers"))


def parameters(declaration: Declaration) -> int:
    """Of the Dense layers, which have nearly all."""
    inputs, found = math.prod(declaration.model.input.shape), 0
    for layer in declaration.layers("model", "layers"):
        if layer.name == "Dense":
            units = int(layer.arguments["units"])
            found += (inputs + 1) * units
            inputs = units
    return found + (inputs + 1) * declaration.model.head.units
