"""A trained model as a script uses it: arrays or pictures in, probabilities or labels out."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from wardrobe.serving.errors import RequestError
from wardrobe.serving.images.classify import TOP, Upload, classify
from wardrobe.serving.images.names import as_text
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.images.prepare import LIMITS
from wardrobe.serving.inference import model as loaded
from wardrobe.serving.inference.graph import STRING, Spec

BATCH = 1000
"""Examples in one call of the network, which bounds the memory for any number of examples."""

TOGETHER = 100
"""Pictures that are read and classified at a time, for the same reason."""

Picture = str | PathLike[str] | bytes | IO[bytes] | Image.Image | NDArray[Any]
"""A path, the bytes of a file, an open file, a Pillow image, or pixels uint8 `[height, width]` or
`[height, width, 3]`, 0–255."""

Row = Mapping[str, float | str | None]
"""A row of a table: its values by column. Whole numbers and flags stand for their texts where a
column holds categories."""

Columns = Mapping[str, Sequence[float | str | None] | NDArray[Any]]
"""The rows of a table, column by column; a pandas data frame or an Arrow table works, too."""


class Model:
    """An artifact, loaded. Made by `wardrobe.load`; safe to use from several threads."""

    def __init__(
        self,
        served: loaded.Model,
        for_photographs: Callable[[], loaded.Model | None] | None = None,
    ) -> None:
        self._served = served
        self._for_photographs = for_photographs

    def __repr__(self) -> str:
        return f"<wardrobe.Model {self._served.artifact}: {self.input}>"

    @property
    def name(self) -> str:
        """The name of the artifact."""
        return self._served.artifact.name

    @property
    def version(self) -> int:
        """The version of the artifact; higher is newer."""
        return self._served.artifact.version

    @property
    def folder(self) -> Path:
        """The artifact's folder, NAME/VERSION."""
        return self._served.artifact.folder

    @property
    def for_photographs(self) -> Model | None:
        """The model that answers photographs instead of this one. None: this model answers them
        itself, as a model loaded by name always does."""
        served = self._for_photographs() if self._for_photographs else None
        return Model(served) if served else None

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """The shape of one example."""
        return self._served.input_shape

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of the classes in the order of the outputs; empty for a regression."""
        return self._served.labels

    @property
    def picture(self) -> PictureInput | None:
        """The pictures that the network takes and how to prepare others; None for a table."""
        return self._served.picture

    def check_takes_pictures(self) -> None:
        """Raises `NotAPictureModelError`, which says why it does not, if it takes none."""
        self._served.check_takes_pictures()

    @property
    def input(self) -> dict[str, Any]:
        """What an example is: `kind` ("image" or "table") and `shape`. Pictures also have
        `channels` (1 or 3), `range` (of the pixels), `ground` ("dark", "light" or "mixed") and
        `prepare`, the way pictures are prepared. A table with named columns has `columns` instead
        of the shape, and a network with several inputs has `inputs`, their names."""
        picture = self.picture
        if self._served.columns:
            return {"kind": "table", "columns": list(self._served.columns)}
        if picture is None and len(self._served.inputs) > 1:
            return {"kind": "table", "inputs": list(self._served.inputs)}
        if picture is None:
            return {"kind": "table", "shape": list(self._served.input_shape)}
        return {
            "kind": "image",
            "shape": list(picture.example_shape),
            "channels": picture.channels,
            "range": [0, 255],
            "ground": picture.polarity,
            "prepare": picture.prepare,
        }

    @property
    def card(self) -> str | None:
        """The model card, in Markdown; None if the artifact has none."""
        file = self.folder / "assets.extra" / "card.md"
        return file.read_text(encoding="utf-8") if file.is_file() else None

    def predict(self, examples: NDArray[Any] | Columns | Sequence[Row]) -> NDArray[np.float32]:
        """Probabilities float32 `[N, classes]`; for a regression, values `[N, outputs]`.

        examples: pictures, float32 or uint8 `[N, height, width]`, 0–255, prepared as the training
            examples were; or rows of a table `[N, inputs]`. For a table with named columns, a
            dictionary for each row, such as `{"age": 39, "city": "Oslo"}`, a dictionary of whole
            columns, or a data frame; None, NaN and "" mean a missing value.

        Raises:
            ServingError: the examples have another shape, hold NaN or are not scaled as pixels, or
                a column is missing.
        """
        batches: Iterable[NDArray[np.float32] | dict[str, NDArray[Any]]]
        if self._served.columns:
            batches = _batches_of(_columns(self._served.columns, examples))
        elif isinstance(examples, list | tuple) or hasattr(examples, "__array__"):
            batches = self._batches(examples)
        else:
            raise RequestError(
                f"{self._served.artifact} takes arrays, not {type(examples).__name__}"
            )
        return np.concatenate([self._served.predict(batch) for batch in batches])

    def classify(
        self, pictures: Iterable[Picture] | Picture, top: int = TOP, explain: bool = False
    ) -> list[dict[str, Any]]:
        """The answers of `POST /predict`: a dictionary for each picture, in the same order.

        Pictures may have any size; they are prepared as the training pictures were. An answer has
        `label`, `class_index`, `probability`, `uncertain`, `top` (the likeliest classes), `model`,
        `version` and `prepared` ("as is", "plain ground" or "photograph"); `most_like` if `label`
        is the class for everything else; `input` and `evidence` with `explain`. A picture that
        cannot be decoded has `error` and `status` instead.

        Raises:
            ServingError: this model does not take pictures, or an argument is not a picture.
            OSError: a file cannot be read.
        """
        if top < 1:
            raise RequestError(f"top is a number of classes, at least 1, not {top}")
        is_one = isinstance(pictures, str | PathLike | bytes | Image.Image)
        is_one = is_one or hasattr(pictures, "read")
        given: Iterator[Any] = iter([pictures] if is_one else pictures)  # type: ignore[arg-type]
        answers: list[dict[str, Any]] = []
        while uploads := [_upload(picture) for picture in islice(given, TOGETHER)]:
            answers += classify(self._served, uploads, LIMITS, top, explain, self._for_photographs)
        return answers

    def explain(self, images: NDArray[Any]) -> NDArray[np.float32] | None:
        """Attribution float32 `[N, height, width]`, in nats: positive if a pixel supports the
        likeliest class, negative if it contradicts it (integrated gradients, Sundararajan et al.
        2017). None if the artifact has no signature `explain`.

        images: float32 or uint8 `[N, *input_shape]`, 0–255.

        Raises:
            ServingError: the images have another shape.
        """
        if self._served.columns:
            return None
        parts = [self._served.explain(batch) for batch in self._batches(images)]
        explained = [part for part in parts if part is not None]
        return np.concatenate(explained) if explained else None

    def _batches(self, examples: Any) -> list[NDArray[np.float32]]:
        try:
            array = np.asarray(examples)
        except ValueError:
            raise RequestError(
                "the examples have different shapes; all must have the same"
            ) from None
        wanted = self.input_shape
        if array.ndim == len(wanted) + 2 and array.shape[-1] == 1:
            array = array[..., 0]  # grey as Keras has it
        if not _fits(array.shape[1:], wanted):
            expected = ", ".join(["N", *("any" if size is None else str(size) for size in wanted)])
            one = "; one alone is given as [example]" if _fits(array.shape, wanted) else ""
            raise RequestError(
                f"{self._served.artifact} takes arrays of shape [{expected}], not "
                f"{list(array.shape)}{one}"
            )
        _check_values(array, self.picture is not None)
        starts = range(0, max(len(array), 1), BATCH)
        return [array[start : start + BATCH].astype(np.float32) for start in starts]


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """Whether a shape is the one wanted; None: any size will do."""
    return len(shape) == len(wanted) and all(
        size in (None, given) for size, given in zip(wanted, shape, strict=True)
    )


def _check_values(array: NDArray[Any], are_pictures: bool) -> None:
    """Raises RequestError for what would be answered wrongly without a word."""
    if array.dtype.kind not in "buif":
        raise RequestError(f"the examples are numbers, not {array.dtype}")
    if array.dtype == np.uint8 or not array.size:
        return
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        where = int(np.argwhere(~np.isfinite(array))[0][0])
        raise RequestError(f"example {where} holds NaN or an infinite number; correct it first")
    least, greatest = array.min(), array.max()
    are_scaled = least >= -1 and greatest <= 1 and (array % 1).any()
    are_deeper = array.dtype.kind in "ui" and greatest > 255
    if are_pictures and (array.dtype.kind == "b" or are_scaled or are_deeper):
        raise RequestError(
            f"a picture's pixels are numbers from 0 to 255, and these, {array.dtype}, are between "
            f"{least:g} and {greatest:g}; scale them first"
        )


def _columns(specs: Mapping[str, Spec], examples: Any) -> dict[str, NDArray[Any]]:
    """The tensors of a table's columns, float32 or bytes `[N]`, from rows or whole columns."""
    if hasattr(examples, "to_pydict"):  # of Arrow
        examples = examples.to_pydict()
    elif hasattr(examples, "notna") and hasattr(examples, "columns"):
        # Of pandas, where NaN, NaT and NA stand for what is missing.
        examples = examples.astype(object).where(examples.notna(), None).to_dict("list")
    if not isinstance(examples, Mapping):
        are_rows = isinstance(examples, Iterable)
        if not are_rows or not all(isinstance(row, Mapping) for row in examples):
            raise RequestError("rows are dictionaries, such as {'age': 39, 'city': 'Oslo'}")
        for index, row in enumerate(examples):
            _check_columns(specs, row, f"row {index}")
        examples = {name: [row[name] for row in examples] for name in specs}
    _check_columns(specs, examples, "the table")
    columns = {name: _tensor(name, spec, examples[name]) for name, spec in specs.items()}
    if len({len(column) for column in columns.values()}) > 1:
        raise RequestError("the columns have different numbers of rows")
    return columns


def _check_columns(specs: Mapping[str, Spec], given: Mapping[str, Any], what: str) -> None:
    if given.keys() != specs.keys():
        wrong = sorted(given.keys() ^ specs.keys())[0]
        fault = "has no" if wrong in specs else "has an unknown"
        raise RequestError(f"{what} {fault} column {wrong!r}; there must be {', '.join(specs)}")


def _tensor(name: str, spec: Spec, values: Any) -> NDArray[Any]:
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise RequestError(
            f"column {name!r} takes a value for each row, not {values!r}; give a single row as "
            "a list, [row]"
        )
    values = [None if value != value else value for value in values]  # NaN
    is_text = spec.dtype == STRING
    if is_text:  # codes and flags, as a CSV file has them
        values = [str(each) if isinstance(each, Integral | np.bool_) else each for each in values]
    for value in values:
        if value is not None and isinstance(value, str) is not is_text:
            wanted = "text" if is_text else "numbers"
            raise RequestError(f"column {name!r} holds {wanted}, not {value!r}")
        if value in (math.inf, -math.inf):
            raise RequestError(f"column {name!r} holds an infinite number; correct it first")
    if is_text:
        return np.array([(value or "").encode() for value in values], object)
    return np.array([np.nan if value is None else value for value in values], np.float32)


def _batches_of(columns: dict[str, NDArray[Any]]) -> Iterator[dict[str, NDArray[Any]]]:
    count = len(next(iter(columns.values())))
    for start in range(0, max(count, 1), BATCH):
        yield {name: column[start : start + BATCH] for name, column in columns.items()}


def _upload(picture: Picture) -> Upload:
    """A picture of any kind as the bytes of a file, as the service would receive it."""
    if isinstance(picture, bytes | bytearray):
        return Upload(None, bytes(picture))
    if isinstance(picture, str | PathLike):
        return Upload(as_text(picture), Path(picture).read_bytes())
    if not isinstance(picture, Image.Image):
        if hasattr(picture, "read"):
            return Upload(None, picture.read())
        picture = Image.fromarray(_pixels(picture))
    encoded = io.BytesIO()
    upright = ImageOps.exif_transpose(picture)
    if upright.mode == "HSV":
        upright = upright.convert("RGB")
    # PNG has neither CMYK nor 32-bit numbers; TIFF, which is not compressed, has both.
    upright.save(encoded, "png" if upright.mode in _OF_PNG else "tiff")
    return Upload(getattr(picture, "filename", None) or None, encoded.getvalue())


_OF_PNG = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")


def _pixels(array: NDArray[Any]) -> NDArray[np.uint8]:
    """Pixels as uint8; numbers of other types must already be in the range 0–255."""
    pixels = np.asarray(array)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    if pixels.dtype == object:
        raise RequestError(
            "a picture is a path, the bytes of a file, an open file, a Pillow image or an array, "
            f"not {type(array).__name__}"
        )
    if pixels.dtype.kind not in "uif" or pixels.ndim not in (2, 3):
        raise RequestError(
            f"a picture is an array [height, width] of numbers from 0 to 255, not {pixels.dtype} "
            f"{list(pixels.shape)}"
        )
    if pixels.size and not (pixels.min() >= 0 and pixels.max() <= 255):
        raise RequestError("a picture's pixels are numbers from 0 to 255; scale them first")
    if pixels.size and pixels.max() <= 1 and (pixels % 1).any():
        raise RequestError("a picture's pixels are numbers from 0 to 255; multiply these by 255")
    return pixels.round().astype(np.uint8)
