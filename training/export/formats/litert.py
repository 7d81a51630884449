"""LiteRT, formerly TensorFlow Lite: written by TensorFlow's converter, run by ai-edge-litert."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import flatbuffers
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray
from tensorflow.lite.python import schema_py_generated as schema

from wardrobe.training.export.formats import Predict, input_of

SIGNATURE = "serving_default"


def write(folder: Path, calibration: NDArray[np.float32] | None) -> bytes:
    """The SavedModel in `folder` for LiteRT; in int8 where there are calibration examples."""
    name, _ = input_of(tf.saved_model.load(str(folder)).signatures[SIGNATURE])
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder), signature_keys=[SIGNATURE])
    if calibration is not None:

        def examples() -> Iterator[dict[str, NDArray[np.float32]]]:
            for example in calibration:
                yield {name: example[None]}

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = examples
    return bytes(converter.convert())


def runner(content: bytes) -> Predict:
    run = Interpreter(model_content=content).get_signature_runner(SIGNATURE)
    (name,) = run.get_input_details()
    return lambda examples: np.asarray(next(iter(run(**{name: examples}).values())))


def with_metadata(content: bytes, metadata: dict[str, str]) -> bytes:
    """The file with an entry `wardrobe` in its metadata: the texts by name, as JSON."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(content, 0))
    buffer, entry = schema.BufferT(), schema.MetadataT()
    buffer.data = np.frombuffer(json.dumps(metadata).encode(), np.uint8)
    entry.name, entry.buffer = "wardrobe", len(model.buffers)
    model.buffers.append(buffer)
    model.metadata = [*(model.metadata or []), entry]
    builder = flatbuffers.Builder(len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())
