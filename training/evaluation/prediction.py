"""Asks a network for its outputs, batch by batch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def predict(
    network: Callable[[NDArray[np.float32]], Any], x: NDArray[Any], batch_size: int = 1000
) -> NDArray[np.float32]:
    """The outputs of a network, or of another function, for examples `[N, ...]`: `[N, outputs]`.

    A call of a Keras model is an inference: nothing is dropped out and no statistics move.
    """
    batches = (x[start : start + batch_size] for start in range(0, len(x), batch_size))
    return np.concatenate([np.asarray(network(batch.astype(np.float32))) for batch in batches])
