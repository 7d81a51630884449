"""From what a network gives to what its artifact gives: probabilities or values, by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from wardrobe.training.data.columns import Encoding
from wardrobe.training.evaluation.calibration import apply_temperature

_HAS_GRADIENT = ("softmax", "sigmoid")  # a step function's gradient is 0


@dataclass(frozen=True)
class Outputs:
    """How an artifact's outputs follow from its network's.

    head: the activation of the last layer.
    temperature: that of the calibration; 1: not calibrated.
    empty: the pixel, 0–255, of a picture that shows nothing.
    mean, deviation: of the numbers that a regression learnt scaled.
    """

    head: str
    temperature: float = 1.0
    empty: int = 0
    mean: float = 0.0
    deviation: float = 1.0

    @classmethod
    def of_head(cls, head: str, encoding: Encoding | None, **further: Any) -> Outputs:
        """The outputs of a head that learnt what a table's encoding makes of the targets."""
        if encoding is None or encoding.target.kind == "category":
            return cls(head, **further)
        target = encoding.target
        return cls(head, mean=target.mean, deviation=target.deviation, **further)

    def of(self, network: keras.Sequential, examples: Any) -> Any:
        """Probabilities `[N, classes]`, or values `[N, outputs]` of a regression.

        The single unit of a sigmoid or step head is expanded to the probabilities of both classes.
        """
        outputs = network(examples, training=False)
        if self.head == "linear":
            is_scaled = (self.mean, self.deviation) != (0, 1)
            return outputs * self.deviation + self.mean if is_scaled else outputs
        if self.head in ("sigmoid", "step"):
            outputs = keras.ops.concatenate([1 - outputs, outputs], axis=-1)
        return outputs if self.temperature == 1 else apply_temperature(outputs, self.temperature)

    def named(self, network: keras.Sequential, examples: Any) -> dict[str, Any]:
        """The signature `serving_default`: `probabilities`, or `values` of a regression."""
        name = "values" if self.head == "linear" else "probabilities"
        return {name: self.of(network, examples)}

    @property
    def can_be_explained(self) -> bool:
        """Whether gradients tell which pixels decided an output."""
        return self.head in _HAS_GRADIENT

    def explained(self, network: keras.Sequential, images: Any) -> dict[str, Any]:
        """The signature `explain`: `probabilities`, and `evidence [N, height, width]` in nats.

        On the TensorFlow backend only.
        """
        from wardrobe.training.export.attribution import integrated_gradients  # imports TensorFlow

        def probabilities(pictures: Any) -> Any:
            return self.of(network, pictures)

        return {
            "probabilities": probabilities(images),
            "evidence": integrated_gradients(images, self.empty, probabilities),
        }
