"""Converts an artifact for other runtimes: browsers, Triton and OpenVINO (ONNX), phones (LiteRT).

The converted file is run by its own runtime on the whole test set before it is written. What that
showed stands in the file's metadata, beside the labels and the kind of input. A format is a module
with three functions: `write`, `runner` and `with_metadata`.
"""

from __future__ import annotations

import importlib
import json
import re
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from wardrobe.serving.inference.tensorflow import without_lines
from wardrobe.training.data import DataSet
from wardrobe.training.errors import TrainingError, in_words
from wardrobe.training.evaluation.metrics import evaluate
from wardrobe.training.evaluation.prediction import predict
from wardrobe.training.files import atomic_write

if TYPE_CHECKING:
    from wardrobe.model import Model

Format = Literal["onnx", "litert"]
Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]

NOTICE = re.compile(rb"^[IW]\d{4} |^INFO: |^WARNING:root:Please consider|^fully_quantize: ")
"""Lines on stderr with which converters and runtimes report that all is well."""

CALIBRATION_EXAMPLES = 500
BATCH = 500

LARGEST_LOSS = 0.005
"""Of accuracy, or of R², that an int8 file may lose without `force`."""


@dataclass(frozen=True)
class Converted:
    """What was written, and how it compares with the artifact on the test examples.

    `measure` is "accuracy", or "r_squared" of a regression; `score` is the file's and
    `artifact_score` the artifact's. `largest_difference` is that of a single output.
    """

    file: Path
    format: Format
    int8: bool
    examples: int
    measure: str
    score: float
    artifact_score: float
    largest_difference: float

    @property
    def bytes(self) -> int:
        return self.file.stat().st_size


def convert(
    model: Model, data: DataSet, file: Path, format: Format, int8: bool = False, force: bool = False
) -> Converted:
    """Writes a loaded artifact as a file of another format, which takes the same raw examples.

    int8: 8-bit weights and activations, calibrated on training examples; inputs and outputs stay
        float32.
    force: write an int8 file even if it loses more than half a point on the test examples.

    Raises:
        TrainingError: the packages of `wardrobe[export]` are missing, the network cannot be
            converted, or the int8 file loses too much. Nothing is written then.
    """
    if format not in get_args(Format):
        raise TrainingError(f"no format {format!r}; there are {', '.join(get_args(Format))}")
    if data.encoding is not None:
        raise TrainingError(
            "it takes the columns of a table one by one; only a network with one input can be "
            "exported"
        )
    calibration = data.train.x[:CALIBRATION_EXAMPLES].astype(np.float32) if int8 else None
    with _in_words(format):
        module = importlib.import_module(f"{__name__}.{format}")
        content = module.write(model.folder, calibration)
        outputs = predict(module.runner(content), data.test.x, BATCH)
    expected = model.predict(data.test.x)
    measure = "r_squared" if data.class_names is None else "accuracy"
    score, artifact_score = (
        evaluate(each, data.test.y, data.class_names)[measure] for each in (outputs, expected)
    )
    converted = Converted(
        file=file,
        format=format,
        int8=int8,
        examples=len(data.test),
        measure=measure,
        score=score,
        artifact_score=artifact_score,
        largest_difference=float(np.abs(outputs - expected).max()),
    )
    if int8 and not force:
        _refuse_large_loss(converted)
    _write(file, module.with_metadata(content, _metadata(model, converted)))
    return converted


@contextmanager
def _in_words(format: Format) -> Iterator[None]:
    """Makes one message of a converter's failure, and holds back its notices."""
    try:
        with warnings.catch_warnings(action="ignore"), without_lines(NOTICE):
            yield
    except ImportError as error:
        raise TrainingError(
            f"{error.name or error} is missing; run pip install 'wardrobe[export]'"
        ) from error
    except TrainingError:
        raise
    except Exception as error:  # each converter has types of its own
        raise TrainingError(f"cannot convert it to {format}: {in_words(error)}") from error


def input_of(signature: Any) -> tuple[str, Any]:
    """Name and `tf.TensorSpec` of the only input of a SavedModel's signature."""
    taken = signature.structured_input_signature[1]
    if len(taken) != 1:
        raise TrainingError(
            f"it takes {len(taken)} inputs; only a network with one can be exported"
        )
    ((name, spec),) = taken.items()
    return name, spec


def _refuse_large_loss(converted: Converted) -> None:
    if converted.artifact_score - converted.score > LARGEST_LOSS:
        raise TrainingError(
            f"int8 loses too much on {converted.examples:,} test examples: {converted.measure} "
            f"{converted.artifact_score:.4f} → {converted.score:.4f}; nothing was written. Export "
            "without --int8, or add --force"
        )


def _metadata(model: Model, converted: Converted) -> dict[str, str]:
    """Texts by name: what a program needs to know besides the graph."""
    described = {"artifact": f"{model.name}/{model.version}", "input": model.input}
    described |= {"labels": list(model.labels)} if model.labels else {}
    described |= asdict(converted)
    del described["file"]
    return {
        f"wardrobe.{name}": value if isinstance(value, str) else json.dumps(value)
        for name, value in described.items()
    }


def _write(file: Path, content: bytes) -> None:
    try:
        with atomic_write(file, "wb") as stream:
            stream.write(content)
    except OSError as error:
        raise TrainingError(f"cannot write {file}: {error.strerror}") from error
