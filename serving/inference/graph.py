"""A SavedModel's graph and its signatures.

The graph is loaded into a session, as in TensorFlow Serving. A call takes about half the CPU time
of one through `tf.saved_model.load`, a dropped graph is freed, and the SavedModel's own signature
definitions hold everything that the protocols report about a signature.
"""

import base64
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
OPEN_SIDES = (1, 32, 224)
"""Sizes to try if a signature leaves one open: some graphs need a few pixels."""
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcCAAAAABXZoBIAAAAEElEQVR4nGNgGAWjYBQQAwADLAABPwpG8wAAAABJRU5E"
    "rkJggg=="
)
"""A black picture of 28×28 pixels."""
Call = Callable[..., list[Array]]
"""Calls a signature with arrays in the alphabetical order of its inputs; returns its outputs in
alphabetical order, too."""
WHERE = ("Graph execution error", "Detected at node", "<stack traces")
"""Beginnings of the lines that TensorFlow puts before the cause of an error."""
CALLING_THREAD = -1
"""The `inter_op_thread_pool` with which TensorFlow runs a graph in the calling thread. A thread of
its own would spin after each call, waiting for another, for longer than the call takes."""


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
    def is_open(self) -> bool:
        """Whether the shape of an example is not known."""
        return self.shape is None or None in self.shape[1:]

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

    def __init__(self, folder: Path, default: str | None = None) -> None:
        """Load the SavedModel in `folder` and call its signature `default` once with zeros: the
        first call is slow, and reveals what is broken. None is `serving_default`, or else the only
        one.

        Raises `ArtifactError` with the reason if it cannot be loaded or called.
        """
        errors = load_tensorflow().errors
        self._invalid = errors.InvalidArgumentError
        self.default = default or DEFAULT
        self.takes_png = False
        """Whether its input is encoded pictures."""
        try:
            self._load(folder, _load_into_session)
            self.default = _default(self.signatures, default)
            try:
                self.example = self._call_with_zeros()
            except errors.FailedPreconditionError:
                # `tf.saved_model.save` of a Keras 3 model: a session does not find its variables.
                self._load(folder, _load_as_functions)
                self.example = self._call_with_zeros()
        except ArtifactError:
            raise
        except Exception as error:  # a broken file can fail anywhere below TensorFlow's loader
            raise ArtifactError(
                f"TensorFlow cannot load it and call its signature {self.default}"
                f" ({_reason(error)}); copy it again, export it again for TensorFlow"
                f" {load_tensorflow().__version__}, or delete it"
            ) from error

    def _load(self, folder: Path, load: Callable[[Path], tuple[Any, Mapping[str, Call]]]) -> None:
        definitions, self._calls = load(folder)
        self.definitions = {name: _as_json(definitions[name]) for name in sorted(definitions)}
        self.signatures = {name: _signature(definitions[name]) for name in self._calls}

    def call(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs of a signature, for arrays of its inputs' dtypes and shapes.

        Raises `RequestError` for values that the graph itself rejects.
        """
        signature = self.signatures[name]
        try:
            outputs = self._calls[name](*(inputs[key] for key in signature.inputs))
        except self._invalid as error:
            raise RequestError(_reason(error)) from error
        return dict(zip(signature.outputs, outputs, strict=True))

    def _call_with_zeros(self) -> dict[str, Array]:
        """The outputs for one example of zeros; for sizes that the signature leaves open, the first
        that the graph accepts. A graph that rejects an empty string may take a picture's bytes; a
        graph that rejects both, or whose signature leaves the shape open, remains unknown."""
        specs = self.signatures[self.default].inputs
        has_choice = any(spec.dtype == STRING or spec.is_open for spec in specs.values())
        for side in OPEN_SIDES:
            try:
                return self.call(
                    self.default, {name: _zeros(spec, side) for name, spec in specs.items()}
                )
            except RequestError:
                if side == OPEN_SIDES[-1] and not has_choice:
                    raise
        try:
            inputs = {name: _zeros(spec, 1, PNG) for name, spec in specs.items()}
            example = self.call(self.default, inputs)
        except RequestError:
            return {}
        self.takes_png = len(specs) == 1
        return example


def _reason(error: Exception) -> str:
    """The line of a TensorFlow error that says what is wrong: above it may stand where."""
    lines = [line.strip() for line in str(error).splitlines()]
    told = (line for line in lines if line and not line.startswith(WHERE))
    return next(told, type(error).__name__)


def _default(signatures: Mapping[str, Signature], declared: str | None) -> str:
    """The signature to call if a request names none.

    Raises `ArtifactError` if the network does not say which.
    """
    if declared is not None and declared not in signatures:
        raise ArtifactError(
            f"input.json names the signature {declared!r}; there are {sorted(signatures)}"
        )
    others = [name for name in signatures if name != "explain"]
    for name in (declared, DEFAULT, *(others if len(others) == 1 else ())):
        if name in signatures:
            return str(name)
    if not signatures:
        raise ArtifactError(
            "the SavedModel has no signature to call; save it with `model.export(FOLDER)`, or with"
            " `signatures=` in tf.saved_model.save"
        )
    raise ArtifactError(
        f"the SavedModel has the signatures {sorted(signatures)}, none of them {DEFAULT}; name one"
        ' in its assets.extra/input.json: {"signature": NAME}'
    )


def example_type() -> Any:
    """`tf.train.Example`, the message that `:classify` and `:regress` pass to a graph."""
    return load_tensorflow().train.Example


def _threads() -> Any:
    """The number of threads of a call, as set by the server; by default 0, all cores."""
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


def _load_into_session(folder: Path) -> tuple[Any, Mapping[str, Call]]:
    """The signature definitions of a SavedModel, and functions that call the signatures."""
    v1 = load_tensorflow().compat.v1
    session = v1.Session(graph=load_tensorflow().Graph(), config=_threads())
    with session.graph.as_default():
        definitions = v1.saved_model.load(session, ["serve"], str(folder)).signature_def
    return definitions, {
        name: _callable(session, definitions[name]) for name in _callable_names(definitions)
    }


def _load_as_functions(folder: Path) -> tuple[Any, Mapping[str, Call]]:
    """The same with TensorFlow 2's own loader, whose calls take twice as long."""
    from tensorflow.core.protobuf.saved_model_pb2 import SavedModel

    saved = SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    definitions = saved.meta_graphs[0].signature_def
    loaded = load_tensorflow().saved_model.load(str(folder))

    def caller(name: str) -> Call:
        inputs, outputs = sorted(definitions[name].inputs), sorted(definitions[name].outputs)

        def call(*arrays: Array) -> list[Array]:
            constant = load_tensorflow().constant
            arguments = {key: constant(array) for key, array in zip(inputs, arrays, strict=True)}
            results = loaded.signatures[name](**arguments)
            return [results[key].numpy() for key in outputs]

        return call

    return definitions, {name: caller(name) for name in _callable_names(definitions)}


def _callable_names(definitions: Any) -> list[str]:
    """A signature without inputs is the SavedModel's own initialisation."""
    return sorted(name for name in definitions if definitions[name].inputs)


def _callable(session: Any, definition: Any) -> Call:
    """A function that calls a signature with arrays in the alphabetical order of its inputs.

    `Session.make_callable` would look up feeds and fetches at every call, at three times the cost.
    """
    from tensorflow.core.protobuf.config_pb2 import CallableOptions

    options = CallableOptions(
        feed=[definition.inputs[name].name for name in sorted(definition.inputs)],
        fetch=[definition.outputs[name].name for name in sorted(definition.outputs)],
    )
    options.run_options.inter_op_thread_pool = CALLING_THREAD
    call: Call = session._make_callable_from_options(options)
    return call


def _zeros(spec: Spec, side: int, text: bytes = b"") -> Array:
    """One example of zeros, or of `text`; `side` is the size of the axes after the first that the
    signature leaves open."""
    shape = list(spec.shape or ())
    sizes = [size or (side if axis else 1) for axis, size in enumerate(shape)]
    return np.full(sizes, text if spec.dtype == STRING else 0, spec.numpy)
