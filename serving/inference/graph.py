"""A SavedModel's graph and its signatures.

The graph is loaded into a session, as in TensorFlow Serving. A call takes about half the CPU time
of one through `tf.saved_model.load`, a dropped graph is freed, and the SavedModel's own signature
definitions hold everything that the protocols report about a signature.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wardrobe.serving.errors import ArtifactError, RequestError
from wardrobe.serving.inference.tensorflow import load_tensorflow

Array = npt.NDArray[Any]
DEFAULT = "serving_default"
STRING = "string"
CALLING_THREAD = -1
"""TensorFlow's `inter_op_thread_pool` that runs a graph in the calling thread. A thread of
TensorFlow's own spins after each call, waiting for another, for longer than the call takes."""


@dataclass(frozen=True)
class Spec:
    """One input or output: TensorFlow's name of its dtype, and its shape, in which None is an axis
    of any size. A shape of None admits any rank."""

    dtype: str
    shape: tuple[int | None, ...] | None

    @property
    def numpy(self) -> npt.DTypeLike:
        """NumPy's dtype; strings are objects of type `bytes`."""
        return object if self.dtype == STRING else np.dtype(self.dtype)

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Whether an array of this shape fits."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            expected in (None, size) for expected, size in zip(self.shape, shape, strict=True)
        )

    @property
    def sizes(self) -> list[int]:
        """The shape as the protocols write it: -1 for an axis of any size."""
        return [-1 if size is None else size for size in self.shape or ()]

    @property
    def is_batched(self) -> bool:
        """Whether the first axis is the batch."""
        return bool(self.shape) and self.shape is not None and self.shape[0] is None


@dataclass(frozen=True)
class Signature:
    """One way to call a network."""

    inputs: Mapping[str, Spec]
    outputs: Mapping[str, Spec]
    method: str
    """TensorFlow Serving's name of its API, such as `tensorflow/serving/predict`."""

    @cached_property
    def is_batched(self) -> bool:
        """Whether every input and output has a batch axis, so that calls can share a batch."""
        return all(spec.is_batched for spec in (*self.inputs.values(), *self.outputs.values()))


class Network:
    """A loaded graph, safe to call from several threads; freed with its last reference."""

    def __init__(self, folder: Path) -> None:
        """Load the SavedModel in `folder` and call `serving_default` once with zeros: the first
        call is slow, and reveals what is broken.

        Raises `ArtifactError` with the reason if it cannot be loaded or called.
        """
        tensorflow = load_tensorflow()
        self._invalid = tensorflow.errors.InvalidArgumentError
        try:
            session = tensorflow.compat.v1.Session(graph=tensorflow.Graph(), config=_threads())
            with session.graph.as_default():
                meta = tensorflow.compat.v1.saved_model.load(session, ["serve"], str(folder))
            self.definitions = {
                name: _as_json(meta.signature_def[name]) for name in sorted(meta.signature_def)
            }
            # The signature without inputs is the SavedModel's own initialisation.
            callable_ = {name: each for name, each in meta.signature_def.items() if each.inputs}
            self.signatures = {name: _signature(each) for name, each in callable_.items()}
            self._calls = {name: _callable(session, each) for name, each in callable_.items()}
            self.example = self._call_with_zeros()
        except Exception as error:  # a broken file can fail anywhere below TensorFlow's loader
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise ArtifactError(
                f"TensorFlow cannot load it and call its signature {DEFAULT} ({reason});"
                " copy it again or delete it"
            ) from error

    def call(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a signature, for arrays of its inputs' dtypes and shapes.

        Raises `RequestError` for values that the graph itself rejects.
        """
        signature = self.signatures[name]
        try:
            outputs = self._calls[name](*(inputs[key] for key in signature.inputs))
        except self._invalid as error:
            raise RequestError(str(error).strip().splitlines()[0]) from error
        return dict(zip(signature.outputs, outputs, strict=True))

    def _call_with_zeros(self) -> dict[str, Array]:
        """The outputs for one example of zeros."""
        return self.call(
            DEFAULT,
            {
                name: np.full([side or 1 for side in spec.shape or ()], _zero(spec), spec.numpy)
                for name, spec in self.signatures[DEFAULT].inputs.items()
            },
        )


def example_type() -> Any:
    """`tf.train.Example`, the message that `:classify` and `:regress` pass to a graph."""
    return load_tensorflow().train.Example


def _threads() -> Any:
    """Threads of a call, as the server has set them; 0, all cores, if it has not."""
    return load_tensorflow().compat.v1.ConfigProto(
        intra_op_parallelism_threads=int(os.environ.get("TF_NUM_INTRAOP_THREADS", 0)),
        inter_op_parallelism_threads=int(os.environ.get("TF_NUM_INTEROP_THREADS", 0)),
    )


def _as_json(definition: Any) -> dict[str, Any]:
    """A SignatureDef as TensorFlow Serving prints it."""
    from google.protobuf.json_format import MessageToDict

    document: dict[str, Any] = MessageToDict(
        definition, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    return {key: document[key] for key in ("inputs", "outputs", "method_name")}


def _signature(definition: Any) -> Signature:
    return Signature(
        inputs={name: _spec(definition.inputs[name]) for name in sorted(definition.inputs)},
        outputs={name: _spec(definition.outputs[name]) for name in sorted(definition.outputs)},
        method=definition.method_name,
    )


def _spec(info: Any) -> Spec:
    shape = info.tensor_shape
    sizes = tuple(None if axis.size < 0 else int(axis.size) for axis in shape.dim)
    dtype = load_tensorflow().dtypes.as_dtype(info.dtype).name
    return Spec(dtype, None if shape.unknown_rank else sizes)


def _callable(session: Any, definition: Any) -> Callable[..., list[Array]]:
    """A function that calls a signature with arrays in the alphabetical order of its inputs.

    `Session.make_callable` would look up feeds and fetches at every call, at three times the cost.
    """
    from tensorflow.core.protobuf.config_pb2 import CallableOptions

    options = CallableOptions(
        feed=[definition.inputs[name].name for name in sorted(definition.inputs)],
        fetch=[definition.outputs[name].name for name in sorted(definition.outputs)],
    )
    options.run_options.inter_op_thread_pool = CALLING_THREAD
    call: Callable[..., list[Array]] = session._make_callable_from_options(options)
    return call


def _zero(spec: Spec) -> bytes | int:
    return b"" if spec.dtype == STRING else 0
