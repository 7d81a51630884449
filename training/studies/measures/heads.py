"""What the lecture says of softmax, on the network itself."""

from __future__ import annotations

import keras
import numpy as np

from wardrobe.training.studies.records import Found
from wardrobe.training.studies.trained_model import Subject


def softmax_identities(subject: Subject) -> Found:
    """How far the outputs are from adding up to 1, and from exp zⱼ / Σ exp zₖ by hand.

    With two classes also `sigmoid_error`: how far from the sigmoid of the difference of logits.
    """
    network, head = subject.network, subject.network.layers[-1]
    x = subject.data.test.x
    hidden = x
    if len(network.layers) > 1:
        hidden = subject.outputs(x, keras.Model(network.inputs[0], network.layers[-2].output))
    kernel, bias = head.get_weights()
    logits = hidden.astype(np.float64) @ kernel.astype(np.float64) + bias
    outputs = subject.outputs(x).astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    found: Found = {
        "sum_error": float(np.abs(outputs.sum(axis=1) - 1).max()),
        "softmax_error": float(np.abs(outputs - powers / powers.sum(axis=1, keepdims=True)).max()),
        "outputs": outputs[:200],
        "logits": logits[:200],
    }
    if logits.shape[1] == 2:
        sigmoid = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
        found["sigmoid_error"] = float(np.abs(outputs[:, 1] - sigmoid).max())
    return found
