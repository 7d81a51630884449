"""ONNX: written by tf2onnx, run by onnxruntime."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import tensorflow as tf
from numpy.typing import NDArray
from onnxruntime.quantization import CalibrationDataReader, QuantType, quantize_static
from tf2onnx.convert import from_function

from wardrobe.training.export.formats import Predict, input_of

OPSET = 18
"""Read by onnxruntime since 1.14 and by OpenVINO since 2023."""


def write(folder: Path, calibration: NDArray[np.float32] | None) -> bytes:
    """The SavedModel in `folder` as ONNX; in int8 where there are calibration examples."""
    loaded = tf.saved_model.load(str(folder))  # its variables live as long as it does
    signature = loaded.signatures["serving_default"]
    name, spec = input_of(signature)
    function = tf.function(lambda examples: signature(**{name: examples}), autograph=False)
    taken = [tf.TensorSpec(spec.shape, spec.dtype, name=name)]
    content: bytes = from_function(function, taken, opset=OPSET)[0].SerializeToString()
    return content if calibration is None else _quantized(content, name, calibration)


def _quantized(content: bytes, name: str, calibration: NDArray[np.float32]) -> bytes:
    """Static quantization: the ranges of the activations are those of the calibration examples.

    Of the matrix products only: the rest is little work, and rounding it would turn small
    probabilities into 0.
    """
    with tempfile.TemporaryDirectory() as temporary:  # the functions take files
        given, quantized = (Path(temporary, file) for file in ("float.onnx", "int8.onnx"))
        given.write_bytes(content)
        quantize_static(
            str(given),
            str(quantized),
            _Calibration(name, calibration),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["MatMul", "Gemm"],
        )
        return quantized.read_bytes()


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Hands onnxruntime the calibration examples."""

    def __init__(self, name: str, examples: NDArray[np.float32]) -> None:
        self._batches = iter([{name: examples}])

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._batches, None)


def runner(content: bytes) -> Predict:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    (taken,), (given, *_) = session.get_inputs(), session.get_outputs()
    return lambda examples: np.asarray(session.run([given.name], {taken.name: examples})[0])


def with_metadata(content: bytes, metadata: dict[str, str]) -> bytes:
    """The file with texts by name in its `metadata_props`."""
    model = onnx.load_model_from_string(content)
    model.producer_name = "wardrobe"
    onnx.helper.set_model_props(model, metadata)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
