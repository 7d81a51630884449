"""The learning-rate range test: the step size grows with every batch until the loss explodes."""

from __future__ import annotations

import jax
import keras
import numpy as np

from training.fit import arrays
from training.studies.engine import Subject
from training.studies.records import Found

SMALLEST, LARGEST = 1e-5, 10.0
STEPS = 120
SMOOTHING = 0.9


def range_test(subject: Subject) -> Found:
    """Smith 2017 (arXiv 1506.01186), with plain gradient descent on the declared network.

    `steepest_rate`: where the smoothed loss falls quickest; `limit_rate`: where it is lowest, the
    largest step size worth trying.
    """
    network, loss = subject.network, subject.parts.loss
    x, y = arrays(subject.declaration, subject.data.train)
    rest = [variable.value for variable in network.non_trainable_variables]

    @jax.jit
    def step(weights, x, y, rate):  # type: ignore[no-untyped-def]
        def of(weights):  # type: ignore[no-untyped-def]
            outputs, _ = network.stateless_call(weights, rest, x, training=True)
            return keras.ops.mean(loss(y, outputs))

        value, gradients = jax.value_and_grad(of)(weights)
        return value, [w - rate * g for w, g in zip(weights, gradients, strict=True)]

    rates = np.geomspace(SMALLEST, LARGEST, STEPS)
    weights = [variable.value for variable in network.trainable_variables]
    random = np.random.default_rng(subject.declaration.seed)
    losses = []
    for rate in rates:
        chosen = random.choice(len(y), subject.declaration.training.batch_size)
        value, weights = step(weights, x[chosen].astype(np.float32), y[chosen], rate)
        losses.append(float(value))
    return _rates(rates, np.array(losses))


def _rates(rates: np.ndarray, losses: np.ndarray) -> Found:
    smooth = np.empty_like(losses)
    mean = 0.0
    for number, value in enumerate(np.nan_to_num(losses, nan=1e3, posinf=1e3)):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * min(value, 1e3)
        smooth[number] = mean / (1 - SMOOTHING ** (number + 1))
    lowest = int(smooth[10:].argmin()) + 10
    slopes = np.gradient(smooth[: lowest + 1], np.log(rates[: lowest + 1]))
    return {
        "rates": rates,
        "losses": losses,
        "smooth": smooth,
        "limit_rate": float(rates[lowest]),
        "steepest_rate": float(rates[int(slopes.argmin())]),
    }
