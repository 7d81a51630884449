"""A slice of the loss surface around the weights that training has found."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import keras
import numpy as np

from wardrobe.training.fit.fit import arrays
from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import Subject

SIDE = 41
REACH = 1.5


def loss_slice(subject: Subject) -> Found:
    """The training loss on a plane through the weights, spanned by two random directions.

    Each direction is scaled to the norm of each weight tensor, after Li et al. 2018 (arXiv
    1712.09913). `bumps`: local minima along the rows of the slice beyond one a row: convex
    functions have none.
    """
    network = subject.network
    x, y = arrays(subject.declaration, subject.data.train)
    centre = [np.asarray(variable.value) for variable in network.trainable_variables]
    rest = [variable.value for variable in network.non_trainable_variables]
    random = np.random.default_rng(1)
    first, second = ([_like(weight, random) for weight in centre] for _ in range(2))

    def loss(a, b):  # type: ignore[no-untyped-def]
        weights = [w + a * f + b * s for w, f, s in zip(centre, first, second, strict=True)]
        outputs, _ = network.stateless_call(weights, rest, x.astype(np.float32))
        return keras.ops.mean(subject.parts.loss(y, outputs))

    steps = jnp.linspace(-REACH, REACH, SIDE)
    surface = np.asarray(jax.jit(jax.vmap(jax.vmap(loss, (0, None)), (None, 0)))(steps, steps))
    inner = surface[:, 1:-1]
    minima = (inner < surface[:, :-2]) & (inner < surface[:, 2:])
    return {"slice": surface, "bumps": float(np.maximum(minima.sum(axis=1) - 1, 0).sum())}


def _like(weight: np.ndarray, random: np.random.Generator) -> np.ndarray:
    direction = random.normal(size=weight.shape)
    scale = max(float(np.linalg.norm(weight)), 0.5) / float(np.linalg.norm(direction))
    return (direction * scale).astype(np.float32)
