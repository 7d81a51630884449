"""Pictures below a folder, listed with their classes, read as the service reads them."""

import hashlib
import math
import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from wardrobe.models import DataFacts
from wardrobe.models.schema.declaration import Copies, Data
from wardrobe.serving.errors import PictureError
from wardrobe.serving.images.decode import decode
from wardrobe.serving.images.names import as_text
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.images.prepare import LIMITS, least_side, prepare
from wardrobe.training.data import memory
from wardrobe.training.data.copies import with_copies
from wardrobe.training.data.dataset import Collection, DataError, Examples, counted, file_hash
from wardrobe.training.data.download import Progress
from wardrobe.training.data.listing import Listing, Pictures

NAMED = 20
"""Files that an error names; of any more it says how many there are."""
QUICK = 1.0
"""Seconds of reading without a word on how far it is."""


def describe(folder: Path, listing: Listing, wanted: Data) -> DataFacts:
    """Shape and number of classes: of the pictures, at most the first readable one is opened.

    Raises DataError if none can be read.
    """
    names = listing.class_names
    return DataFacts(_target(folder, listing, wanted).example_shape, len(names), names)


def collect(
    folder: Path,
    listing: Listing,
    wanted: Data,
    picture: PictureInput | None = None,
    progress: Progress | None = None,
) -> Collection:
    """All pictures, uint8 [N, H, W] or, in colour, [N, H, W, 3], 0–255, in the order train,
    validation, test, then by class and name.

    picture: what they are brought to; None: as declared.

    Raises DataError naming all files that cannot be read, or that differ in size where none is
    declared.
    """
    parts = [listing.parts.get(part, {}) for part in ("train", "validation", "test")]
    files = [file for part in parts for file in chain.from_iterable(part.values())]
    target = picture or _target(folder, listing, wanted)
    only_this_size = picture is None and wanted.size is None
    images, digest = read_all(folder, files, target, only_this_size, progress, wanted.copies)
    copies = images[:, 1:] if wanted.copies else None
    _, *sizes = (sum(map(len, part.values())) for part in parts)
    y = np.concatenate([_indices(part, listing.class_names) for part in parts])
    return Collection(
        examples=Examples(images[:, 0], y, copies),
        test_size=sizes[1] or None,
        class_names=listing.class_names,
        hashes={f"{as_text(folder.name)}/": digest}
        | {as_text(table.name): file_hash(table) for table in listing.tables},
        source=as_text(listing.source),
        validation_size=sizes[0] or None,
        prepare=target.prepare,
        notes=listing.notes,
        doubts=listing.doubts,
    )


def read_all(
    folder: Path,
    files: Sequence[Path],
    target: PictureInput,
    only_this_size: bool = False,
    progress: Progress | None = None,
    copies: Copies | None = None,
) -> tuple[NDArray[np.uint8], str]:
    """The pixels of files and of their `copies`, uint8 [N, 1 + copies, *target.example_shape], and
    a SHA-256 over the names within the folder and the contents.

    Raises DataError naming all files that cannot be read; with `only_this_size` also those whose
    own size is not that of the target.
    """
    shape = (len(files), 1 + (copies.number if copies else 0), *target.example_shape)
    memory.require(
        folder, math.prod(shape), "declare a smaller data.size, colour: grey, or fewer classes"
    )
    images = np.empty(shape, np.uint8)
    digest = hashlib.sha256()
    unreadable: dict[Path, str] = {}
    report = _reporter(f"{as_text(folder.name)}/", len(files), progress)

    def read_one(index: int) -> tuple[bytes, str]:
        """Reads one into its place; returns the SHA-256 of its contents, and why it cannot be."""
        content = b""
        try:
            content = files[index].read_bytes()
            image = _decoded(content, target, only_this_size)
            images[index] = with_copies(image, target, copies) if copies else prepare(image, target)
        except (OSError, PictureError, _OtherSizeError) as error:
            return hashlib.sha256(content).digest(), _why_not(error)
        return hashlib.sha256(content).digest(), ""

    pool = ThreadPoolExecutor(os.cpu_count())  # decoders release Python's lock
    try:
        found = pool.map(read_one, range(len(files)))
        for index, (file, (contents, problem)) in enumerate(zip(files, found, strict=True)):
            digest.update(os.fsencode(file.relative_to(folder)) + b"\0" + contents)
            if problem:
                unreadable[file] = problem
            report(index + 1)
    finally:
        pool.shutdown(cancel_futures=True)  # after Ctrl-C, nothing more is read
    if unreadable:
        raise _unreadable(folder, unreadable, len(files))
    return images, digest.hexdigest()


class _OtherSizeError(Exception):
    """A picture differs in size from those before it."""


def _decoded(content: bytes, target: PictureInput, only_this_size: bool) -> Image.Image:
    if not only_this_size:
        return decode(content, LIMITS, least_side(target))
    image = decode(content, LIMITS, None)
    height, width = target.shape
    if image.size != (width, height):
        raise _OtherSizeError(
            f"is {image.width}×{image.height} pixels, the pictures before it {width}×{height}"
        )
    return image


def _why_not(error: OSError | PictureError | _OtherSizeError) -> str:
    """Why a file cannot be used. What to do about it is left out: it is said once, for all."""
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    if isinstance(error, PictureError):
        return f"cannot be read as a picture: {str(error).partition(';')[0]}"
    return str(error)


def _unreadable(folder: Path, problems: dict[Path, str], files: int) -> DataError:
    lines = [f"{as_text(file.relative_to(folder))}: {why}" for file, why in problems.items()]
    more = [f"and {len(lines) - NAMED:,} more"] if len(lines) > NAMED else []
    is_size = [why.startswith("is ") for why in problems.values()]
    cures = [] if all(is_size) else ["repair or remove the broken ones"]
    if any(is_size):
        cures.append("give all the same size with data.size, as {size: [28, 28]}")
    how_many = f"{len(lines):,} of {counted(files, 'picture')}"
    first = f"{as_text(folder)}: {how_many} cannot be used; {', '.join(cures)}:"
    return DataError("\n  ".join([first, *lines[:NAMED], *more]))


def _reporter(name: str, count: int, progress: Progress | None) -> Callable[[int], None]:
    """Tells how many have been read: not before a second has gone, then ten times a second."""
    due, has_begun = time.monotonic() + QUICK, False

    def report(so_far: int) -> None:
        nonlocal due, has_begun
        if progress and (time.monotonic() >= due or (has_begun and so_far == count)):
            due, has_begun = time.monotonic() + 0.1, True
            progress(name, so_far, count)

    return report


def _target(folder: Path, listing: Listing, wanted: Data) -> PictureInput:
    """What the pictures are brought to: the declared size, or that of the first readable one."""
    size = wanted.size or _own_size(folder, listing.parts["train"])
    return PictureInput(
        shape=(size[0], size[1]),
        channels=3 if wanted.colour == "rgb" else 1,
        prepare=wanted.prepare or "resize",
    )


def _own_size(folder: Path, pictures: Pictures) -> tuple[int, int]:
    """Height and width of the first picture that can be read."""
    problems = {}
    for file in chain.from_iterable(pictures.values()):
        try:
            image = decode(file.read_bytes(), LIMITS, None)
        except (OSError, PictureError) as error:
            problems[file] = _why_not(error)
        else:
            return image.height, image.width
    raise _unreadable(folder, problems, len(problems))


def _indices(pictures: Pictures, names: Sequence[str]) -> NDArray[np.int32]:
    indices = [names.index(name) for name in pictures]
    return np.repeat(indices, [len(files) for files in pictures.values()]).astype(np.int32)
