"""The order in which an epoch goes through the examples.

A pure function of seed and epoch, so that a resumed run continues in the same order. Keras' own
shuffling of arrays is not: with a seed set, its TensorFlow backend repeats the order of the first
epoch in all others (Keras 3.15).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray


class Sampler(keras.callbacks.Callback):
    """`indices`, int32 `[count]`: the numbers from 0, the same in every epoch."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self.indices = np.arange(count, dtype=np.int32)


class ShuffledSampler(Sampler):
    """`indices` are reshuffled at the beginning of each epoch.

    If the examples are `copies` concatenated copies of `count` each, every epoch takes the next
    copy.
    """

    def __init__(self, count: int, seed: int, copies: int = 1) -> None:
        super().__init__(count)
        self.seed, self.copies = seed, copies
        self.on_epoch_begin(0)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        first = self.count * (epoch % self.copies)
        self.indices = first + shuffled(self.count, self.seed, epoch)


class MixedSampler(ShuffledSampler):
    """Draws from several concatenated sets, each with its share of every batch.

    An epoch has as many examples as all sets together. A set is reshuffled whenever all of its
    examples have been drawn: examples of a small set occur several times in an epoch, and those of
    a large set continue in the next epoch.
    """

    def __init__(
        self, sizes: Sequence[int], shares: Sequence[float], seed: int, copies: int = 1
    ) -> None:
        self.sizes = sizes
        self.sets = interleaved(shares, sum(sizes))
        super().__init__(sum(sizes), seed, copies)

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.indices = np.empty(self.count, np.int32)
        start = self.count * (epoch % self.copies)
        for number, size in enumerate(self.sizes):
            places = np.flatnonzero(self.sets == number)
            if len(places):
                drawn = self._drawn(number, epoch * len(places), (epoch + 1) * len(places))
                self.indices[places] = start + drawn
            start += size

    def _drawn(self, number: int, first: int, last: int) -> NDArray[np.int32]:
        """The examples of a set that are drawn from the `first` time up to the `last`."""
        size = self.sizes[number]
        rounds = range(first // size, -(-last // size))
        orders = [shuffled(size, self.seed, number, each) for each in rounds]
        return np.concatenate(orders)[first - rounds.start * size : last - rounds.start * size]


def interleaved(shares: Sequence[float], count: int) -> NDArray[np.int64]:
    """Which set each of `count` examples is drawn from, so that any stretch has their shares."""
    places = [(np.arange(math.ceil(share * count)) + 0.5) / share for share in shares]
    sets = np.repeat(np.arange(len(shares)), [len(of_set) for of_set in places])
    return sets[np.argsort(np.concatenate(places), kind="stable")][:count]


def shuffled(count: int, *seed: int) -> NDArray[np.int32]:
    """The numbers from 0 to `count` - 1 in an order that depends on the seed and the epoch."""
    generator = np.random.default_rng(seed)
    return generator.permutation(count).astype(np.int32)


def batches(
    indices: NDArray[np.int32], batch_size: int
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Full batches `[batches, batch_size]`, and the indices that are left for a partial one."""
    whole, rest = np.split(indices, [len(indices) // batch_size * batch_size])
    return whole.reshape(-1, batch_size), rest
