"""A folder of pictures, with a subfolder for each class: `CLASS/*.png`, `.jpg` or `.jpeg`."""

import hashlib
import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wardrobe.models import DataFacts
from wardrobe.training.data.dataset import Collection, DataError, Examples

ENDINGS = {".png", ".jpg", ".jpeg"}


def describe(folder: Path) -> DataFacts:
    """Picture size and number of classes, from the names of files and the first picture's header.

    Raises DataError if the folder holds no such pictures.
    """
    classes = _classes(folder)
    first = next(iter(classes.values()))[0]
    with _reading(first), Image.open(first) as picture:
        return DataFacts((picture.height, picture.width), len(classes), tuple(classes))


def collect(folder: Path) -> Collection:
    """All pictures, grey: uint8 [N, H, W], 0–255; classes in the order of their names.

    Raises DataError naming the first file that cannot be read or is of another size.
    """
    classes = _classes(folder)
    digest = hashlib.sha256()
    images: list[NDArray[np.uint8]] = []
    for file in chain.from_iterable(classes.values()):
        with _reading(file):
            content = file.read_bytes()
            images.append(_grey(content))
        name = file.relative_to(folder).as_posix()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
        if images[-1].shape != images[0].shape:
            (height, width), (first_height, first_width) = images[-1].shape, images[0].shape
            raise DataError(
                f"{file}: is {width}×{height} pixels, the pictures before it "
                f"{first_width}×{first_height}; bring all to one size"
            )
    y = np.repeat(np.arange(len(classes)), [len(files) for files in classes.values()])
    return Collection(
        examples=Examples(np.stack(images), y.astype(np.int32)),
        test_size=None,
        class_names=tuple(classes),
        hashes={f"{folder.name}/": digest.hexdigest()},
        source=str(folder),
    )


def _classes(folder: Path) -> dict[str, list[Path]]:
    """The pictures of each class, classes and pictures in the order of their names."""
    try:
        classes = {
            inner.name: sorted(f for f in inner.iterdir() if f.suffix.lower() in ENDINGS)
            for inner in sorted(folder.iterdir())
            if inner.is_dir() and not inner.name.startswith(".")
        }
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error})") from error
    if len(classes) < 2:
        raise DataError(
            f"{folder}: not a data set; it must hold either the four files of MNIST "
            "(train-images-idx3-ubyte.gz, …) or a folder of .png or .jpg pictures for each class"
        )
    for name, files in classes.items():
        if not files:
            raise DataError(
                f"{folder / name}: holds no .png or .jpg picture; add some or remove it"
            )
    return classes


@contextmanager
def _reading(file: Path) -> Iterator[None]:
    """Turns whatever Pillow raises on a bad file into a DataError that names it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise DataError(
            f"{file}: cannot be read as a picture ({error}); repair or remove it"
        ) from error


def _grey(content: bytes) -> NDArray[np.uint8]:
    """An encoded picture's grey values, uint8 [H, W]; transparent pixels count as white paper."""
    picture: Image.Image = Image.open(io.BytesIO(content))
    if picture.mode.startswith("I"):  # 16 bits, which convert("L") would clip
        return (np.asarray(picture) >> 8).astype(np.uint8)
    if picture.has_transparency_data:
        paper = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(paper, picture.convert("RGBA"))
    return np.asarray(picture.convert("L"))
