"""Batches for Keras' `fit` on TensorFlow, gathered by TensorFlow's own threads.

As Keras' adapter for arrays does it, but in the sampler's order: a dataset of Python batches took
half as long again an epoch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from wardrobe.training.fit.batches import Batches
from wardrobe.training.fit.samplers import ShuffledSampler


class GatheredBatches(Batches):
    """Batches of two arrays for Keras to iterate over, in a new order in each epoch."""

    def __init__(
        self, arrays: tuple[NDArray[Any], NDArray[Any]], sampler: ShuffledSampler, batch_size: int
    ) -> None:
        super().__init__(sampler, batch_size)
        self._arrays = arrays

    def get_tf_dataset(self) -> Any:
        whole = self.full_batches * self.batch_size

        def indices(_: Any) -> Any:
            """The order of the epoch that begins; Keras makes a new iterator for each."""
            drawn = tf.numpy_function(lambda: self.sampler.indices, [], np.int32)
            return tf.ensure_shape(drawn, [self.sampler.count])

        def batches(drawn: Any) -> Any:
            full = tf.reshape(drawn[:whole], [-1, self.batch_size])
            dataset = tf.data.Dataset.from_tensor_slices(full)
            if self.has_partial_batch:
                dataset = dataset.concatenate(tf.data.Dataset.from_tensors(drawn[whole:]))
            return dataset

        examples = tf.data.Dataset.from_tensors(self._arrays).repeat()
        chosen = tf.data.Dataset.range(1).map(indices).flat_map(batches)
        return (
            tf.data.Dataset.zip((chosen, examples))
            .map(
                lambda index, arrays: tuple(tf.gather(array, index) for array in arrays),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            .prefetch(tf.data.AUTOTUNE)
        )
