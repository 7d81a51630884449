"""The inputs of a table's artifact: a tensor for each column, and the Keras layers that encode it.

They are filled with what `data.columns.Encoding` learnt from the training rows, so that the graph
does to raw rows what was done to the rows that the network was trained on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from wardrobe.training.data.columns import Column

_NAME = re.compile(r"(?!self$)[a-z][a-z0-9_]*")
"""Names that TensorFlow takes for an argument of a signature; it confuses capitals with others."""


class TableInputs:
    """Keras layers from raw columns to the inputs of a network."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = columns
        self.keys = {
            column.name: column.name if _NAME.fullmatch(column.name) else f"column_{index}"
            for index, column in enumerate(columns)
        }
        self.layers = {column.name: _layer(column) for column in columns}

    @property
    def lookups(self) -> list[keras.layers.Layer]:
        """The layers with a table of words, which Keras exports only if they are tracked."""
        return [self.layers[each.name] for each in self.columns if each.categories is not None]

    @property
    def specs(self) -> dict[str, keras.InputSpec]:
        """For each column, numbers float32 `[N]` or categories string `[N]`."""
        return {
            column.name: keras.InputSpec(
                shape=(None,),
                dtype="float32" if column.categories is None else "string",
                name=self.keys[column.name],
            )
            for column in self.columns
        }

    def __call__(self, rows: Mapping[str, Any]) -> Any:
        """Raw columns to the network's inputs, float32 `[N, inputs]`."""
        encoded = [self._encode(column, rows[column.name]) for column in self.columns]
        return keras.ops.concatenate(encoded, axis=1)

    def _encode(self, column: Column, values: Any) -> Any:
        layer, ops = self.layers[column.name], keras.ops
        if column.categories is not None:
            # The first place is that of unknown words: they are none of the categories.
            return ops.one_hot(layer(values) - 1, column.width, dtype="float32")
        missing = ops.isnan(values)
        scaled = layer(ops.where(missing, ops.cast(column.mean, "float32"), values))
        inputs = [scaled, ops.cast(missing, "float32")] if column.has_missing else [scaled]
        return ops.stack(inputs, axis=1)

    def rename(self, folder: Path) -> None:
        """Gives the inputs of a SavedModel's signature the names of their columns.

        Raises:
            OSError: the folder cannot be written.
        """
        from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

        renamed = {key: name for name, key in self.keys.items() if key != name}
        if not renamed:
            return
        file = folder / "saved_model.pb"
        saved = SavedModel.FromString(file.read_bytes())
        inputs = saved.meta_graphs[0].signature_def["serving_default"].inputs
        for key, name in renamed.items():
            inputs[name].CopyFrom(inputs.pop(key))
        file.write_bytes(saved.SerializeToString(deterministic=True))


def _layer(column: Column) -> keras.layers.Layer:
    if column.categories is not None:
        words = keras.layers.StringLookup(vocabulary=list(column.categories), mask_token=None)
        words.build((None,))
        return words
    scale = keras.layers.Normalization(axis=None, mean=column.mean, variance=column.variance)
    scale(np.zeros(1, np.float32))  # computes its constants here, not within the graph
    return scale
