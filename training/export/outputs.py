"""What an artifact answers, from what its network gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras

from wardrobe.training.evaluation.calibration import tempered

_HAS_GRADIENT = ("softmax", "sigmoid")  # a step's probabilities do not change but where they jump


@dataclass(frozen=True)
class Answers:
    """How the outputs of a network become answers.

    `head` is the activation of its last layer, `temperature` that of its calibration (1: none),
    `empty` the pixel, 0–255, of a picture that shows nothing.
    """

    head: str
    temperature: float = 1.0
    empty: int = 0

    def of(self, network: keras.Sequential, examples: Any) -> dict[str, Any]:
        """`{"probabilities": [N, classes]}`, or `{"values": [N, outputs]}` of a regression.

        The one unit of a sigmoid or step head is written out as the probabilities of both classes.
        """
        outputs = network(examples, training=False)
        if self.head == "linear":
            return {"values": outputs}
        if self.head in ("sigmoid", "step"):
            outputs = keras.ops.concatenate([1 - outputs, outputs], axis=-1)
        if self.temperature != 1:
            outputs = tempered(outputs, self.temperature)
        return {"probabilities": outputs}

    @property
    def can_be_explained(self) -> bool:
        """Whether there are gradients that say which pixels spoke for an answer."""
        return self.head in _HAS_GRADIENT

    def explained(self, network: keras.Sequential, images: Any) -> dict[str, Any]:
        """`probabilities`, and `evidence [N, height, width]`; on the TensorFlow backend only."""
        from wardrobe.training.export.attribution import evidence  # imports TensorFlow

        def probabilities(pictures: Any) -> Any:
            return self.of(network, pictures)["probabilities"]

        return {
            "probabilities": probabilities(images),
            "evidence": evidence(images, self.empty, probabilities),
        }
