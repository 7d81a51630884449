"""Calibration: a classifier's probabilities are scaled so that they can be trusted.

Two numbers are fitted on the validation examples. The temperature is applied by the artifact's
graph: of the answers given with probability 0.8, about 80 % are right. Below the limit an answer
is called uncertain; a service reads it from `assets.extra/uncertainty.json`. Where one of the
classes stands for everything else, an answer of that class is always uncertain, and the limit is
fitted on the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from wardrobe.training.evaluation.metrics import (
    calibration_error,
    is_right,
    negative_log_likelihood,
)

RIGHT_WHEN_CERTAIN = 0.95
"""The share of right answers to aim at, among those not called uncertain, unless declared."""

COLDEST, HOTTEST = 0.2, 5.0
"""Without bounds, a few examples that are all right would give a temperature of 0."""

_SMALLEST = 1e-30


@dataclass(frozen=True)
class Calibration:
    """`temperature` of the logits, and the probability below which an answer is uncertain.

    `unknown` is the index of the class for everything else, if there is one.
    """

    temperature: float
    uncertain_below: float
    unknown: int | None = None

    @classmethod
    def fit(
        cls,
        probabilities: NDArray[np.float32],
        targets: NDArray[Any],
        right_when_certain: float = RIGHT_WHEN_CERTAIN,
        unknown: int | None = None,
    ) -> Calibration:
        """Fits both numbers to a network's outputs for examples it was not trained on.

        probabilities: `[N, classes]`. targets: class indices `[N]`, or rows `[N, classes]` with
            a 1 for each class that is right.
        """
        temperature = fit_temperature(probabilities, targets)
        scaled = np.asarray(apply_temperature(probabilities, temperature))
        named = scaled.argmax(axis=1) != unknown
        limit = fit_limit(scaled[named], targets[named], right_when_certain)
        return cls(temperature, limit, unknown)

    def apply(self, probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
        """The artifact's probabilities, from those that the network gives."""
        return np.asarray(apply_temperature(probabilities, self.temperature))

    def effect(self, probabilities: NDArray[np.float32], targets: NDArray[Any]) -> dict[str, Any]:
        """The measures before and after, for one part of the data.

        `coverage` is the share of the answers that are not uncertain.
        """
        scaled = self.apply(probabilities)
        named = scaled.argmax(axis=1) != self.unknown
        certain = named & (scaled.max(axis=1) >= self.uncertain_below)
        right = is_right(scaled, targets)
        return {
            "calibration_error_before": calibration_error(probabilities, targets),
            "calibration_error": calibration_error(scaled, targets),
            "negative_log_likelihood_before": negative_log_likelihood(probabilities, targets),
            "negative_log_likelihood": negative_log_likelihood(scaled, targets),
            "coverage": float(certain.mean()),
            "accuracy_when_certain": float(right[certain].mean()) if certain.any() else None,
            "accuracy_when_uncertain": float(right[~certain].mean()) if not certain.all() else None,
        }


def apply_temperature(probabilities: Any, temperature: float) -> Any:
    """The probabilities `[N, classes]` that the logits, divided by the temperature, would give.

    For softmax and, expanded to both classes, sigmoid: up to a constant, a logit is the logarithm
    of its probability, so the logits themselves are not needed.
    """
    powers = keras.ops.power(keras.ops.maximum(probabilities, _SMALLEST), 1 / temperature)
    return powers / keras.ops.sum(powers, axis=-1, keepdims=True)


def fit_temperature(probabilities: NDArray[np.float32], targets: NDArray[Any]) -> float:
    """The temperature with the least negative log-likelihood (Guo et al. 2017, 1706.04599, 4.2).

    Above 1 the network was overconfident, below 1 underconfident.
    """
    logits = np.log(np.maximum(probabilities.astype(np.float64), _SMALLEST))
    logits -= logits.max(axis=1, keepdims=True)
    of_target = logits[np.arange(len(targets)), targets] if targets.ndim == 1 else None

    def slope(sharpness: float) -> float:
        """Derivative of the loss by 1 / temperature; where one class is right, it is convex."""
        weights = np.exp(sharpness * logits)
        expected = (weights * logits).sum(axis=1) / weights.sum(axis=1)
        if of_target is not None:
            return float((expected - of_target).mean())
        of_right = weights * targets
        return float((expected - (of_right * logits).sum(axis=1) / of_right.sum(axis=1)).mean())

    low, high = 1 / HOTTEST, 1 / COLDEST
    for _ in range(50):  # bisection, to the precision of the numbers
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return 2 / (low + high)


def fit_limit(
    probabilities: NDArray[np.float32],
    targets: NDArray[Any],
    right_when_certain: float = RIGHT_WHEN_CERTAIN,
) -> float:
    """The lowest limit with such a share of right answers at or above it; 1 if there is none.

    4 decimals.

    It leaves as few answers as possible uncertain: selective classification at a given risk
    (Geifman and El-Yaniv 2017, 1705.08500), without their bound.
    """
    confidence = probabilities.max(axis=1)
    surest_first = np.argsort(-confidence, kind="stable")
    right = is_right(probabilities, targets)[surest_first]
    enough = np.flatnonzero(np.cumsum(right) >= right_when_certain * np.arange(1, len(right) + 1))
    if not len(enough):
        return 1.0
    if enough[-1] == len(right) - 1:
        return 0.0
    # Between the last answer that is certain and the first that is not.
    return round(float(confidence[surest_first[enough[-1] : enough[-1] + 2]].mean()), 4)
