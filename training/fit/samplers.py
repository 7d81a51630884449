"""The order in which an epoch goes through the examples.

A pure function of seed and epoch, so that a resumed run continues in the same order. Keras' own
shuffling of arrays is not: with a seed set, its TensorFlow backend repeats the order of the first
epoch in all others (Keras 3.15).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


class ShuffledSampler(keras.callbacks.Callback):
    """`indices`, int32 `[count]`: reshuffled at the beginning of each epoch.

    If the examples are `copies` concatenated copies of `count` each, every epoch takes the next
    copy.
    """

    def __init__(self, count: int, seed: int, copies: int = 1) -> None:
        super().__init__()
        self.count, self.seed, self.copies = count, seed, copies
        self.on_epoch_begin(0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        first = self.count * (epoch % self.copies)
        self.indices = first + shuffled(self.count, self.seed, epoch)


class SequentialSampler:
    """`indices`, int32 `[count]`: the numbers from 0, the same in every epoch."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.indices = np.arange(count, dtype=np.int32)


def shuffled(count: int, seed: int, epoch: int) -> NDArray[np.int32]:
    """The numbers from 0 to `count` - 1 in the order of one epoch."""
    generator = np.random.default_rng((seed, epoch))
    return generator.permutation(count).astype(np.int32)


def batches(
    indices: NDArray[np.int32], batch_size: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Full batches `[batches, batch_size]`, and the indices that are left for a partial one."""
    whole, rest = np.split(indices, [len(indices) // batch_size * batch_size])
    return whole.reshape(-1, batch_size), rest
