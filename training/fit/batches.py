"""The batches of an epoch, as Keras' `fit` asks for them."""

from __future__ import annotations

from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from wardrobe.training.fit.samplers import SequentialSampler, ShuffledSampler


class Batches(DataAdapter):
    """Full batches in the sampler's order, and a partial one at the end if examples are left."""

    def __init__(self, sampler: ShuffledSampler | SequentialSampler, batch_size: int) -> None:
        self.sampler, self._batch_size = sampler, batch_size

    @property
    def batch_size(self) -> int:
        return self._batch_size

    @property
    def full_batches(self) -> int:
        return self.sampler.count // self._batch_size

    @property
    def num_batches(self) -> int:
        return -(-self.sampler.count // self._batch_size)

    @property
    def has_partial_batch(self) -> bool:
        return self.partial_batch_size is not None

    @property
    def partial_batch_size(self) -> int | None:
        return self.sampler.count % self._batch_size or None
