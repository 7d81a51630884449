"""The learning-rate range test: the step size grows with every batch until the loss explodes."""

from __future__ import annotations

import jax
import keras
import numpy as np

from wardrobe.training.fit.fit import arrays
from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import Subject

SMALLEST, LARGEST = 1e-5, 10.0
STEPS = 120
SMOOTHING = 0.9
SKIPPED = 10  # steps at the beginning, before so much is averaged that slopes mean something
KEPT_STEPS = 80  # of one size, to try what the test advises
DIVERGED = 1e3  # stands for a loss that is no number any more


def range_test(subject: Subject) -> Found:
    """Smith 2017 (arXiv 1506.01186), with plain gradient descent on the declared network.

    `steepest_rate`: where the smoothed loss falls quickest; `limit_rate`: where it is lowest, the
    largest step size worth trying; `loss_at_…`: the loss after 80 steps of one size from the start,
    that of the steepest, a tenth and ten times of it.
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

    def losses(rates: np.ndarray) -> np.ndarray:
        """The loss of each batch from the initial weights on, at these step sizes."""
        weights = [variable.value for variable in network.trainable_variables]
        random = np.random.default_rng(subject.declaration.seed)
        found: list[float] = []
        for rate in rates:
            chosen = random.choice(len(y), subject.declaration.training.batch_size)
            value, weights = step(weights, x[chosen].astype(np.float32), y[chosen], rate)
            found.append(float(value))
        return np.array([loss if np.isfinite(loss) else DIVERGED for loss in found])

    rates = np.geomspace(SMALLEST, LARGEST, STEPS)
    found = _rates(rates, losses(rates))
    for name, factor in (("steepest", 1.0), ("a_tenth", 0.1), ("tenfold", 10.0)):
        kept = losses(np.full(KEPT_STEPS, factor * found["steepest_rate"]))
        found[f"loss_at_{name}"] = float(kept[-20:].mean())
    return found


def _rates(rates: np.ndarray, losses: np.ndarray) -> Found:
    smooth = np.empty_like(losses)
    mean = 0.0
    for number, value in enumerate(np.minimum(losses, DIVERGED)):
        mean = SMOOTHING * mean + (1 - SMOOTHING) * value
        smooth[number] = mean / (1 - SMOOTHING ** (number + 1))
    lowest = int(smooth[SKIPPED:].argmin()) + SKIPPED
    slopes = np.gradient(smooth, np.log(rates))[SKIPPED : lowest + 1]
    return {
        "rates": rates,
        "losses": losses,
        "smooth": smooth,
        "limit_rate": float(rates[lowest]),
        "steepest_rate": float(rates[int(slopes.argmin()) + SKIPPED]),
    }
