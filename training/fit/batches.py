"""How the examples of an epoch fall into batches, as Keras' `fit` asks for it."""

from __future__ import annotations

from keras.src.trainers.data_adapters.data_adapter import DataAdapter

from wardrobe.training.fit.samplers import InTurn, Order


class Batches(DataAdapter):
    """Full batches in the order of `order`, and a partial one at the end if examples are left."""

    def __init__(self, order: Order | InTurn, batch_size: int) -> None:
        self.order, self._batch_size = order, batch_size

    @property
    def batch_size(self) -> int:
        return self._batch_size

    @property
    def full_batches(self) -> int:
        return self.order.count // self._batch_size

    @property
    def num_batches(self) -> int:
        return -(-self.order.count // self._batch_size)

    @property
    def has_partial_batch(self) -> bool:
        return self.partial_batch_size is not None

    @property
    def partial_batch_size(self) -> int | None:
        return self.order.count % self._batch_size or None
