"""A first declaration for a user's own data, with the reason for each value beside it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from wardrobe.models.schema.declaration import Data
from wardrobe.training import data
from wardrobe.training.data import idx, labelled_pictures, npz, picture_tables, table_files, tables
from wardrobe.training.data.dataset import DataError, DataSet, counted
from wardrobe.training.data.listing import Listing, list_pictures
from wardrobe.training.evaluation.metrics import UNEQUAL

Line = tuple[str, str]
"""A line of YAML, and the reason that stands beside it."""

LOOKED_AT = 60
"""The number of pictures to sample."""

LARGEST_SIDE = 64
"""Pixels; of larger pictures the first Dense layer alone would have millions of weights."""

SMALL = 28
COLOURFUL = 16
"""Mean difference between the colours of a pixel, 0–255, above which a picture is not grey."""

FEWEST_STEPS = 50
"""Batches that an epoch should have, if there are examples enough."""


@dataclass
class _Found:
    """What inspecting the data has shown."""

    data: list[Line]
    examples: int
    sizes: dict[str, int] | None  # training examples by class; None: numbers are predicted
    has_validation: bool = False
    about: str = ""


def first_declaration(path: Path, name: str, written: str) -> str:
    """A declaration in YAML for the data at a path, which it calls `written`.

    Raises:
        DataError: there are no data, or they cannot be read.
    """
    if not path.exists():
        raise DataError(f"{path}: no such file or folder")
    found = _look(path, written)
    lines: list[Line] = [
        (f"name: {name}", f"of its runs and artifacts: runs/{name}, artifacts/{name}"),
        ("data:", ""),
        *((f"  {text}", reason) for text, reason in found.data),
        *_network(found),
        ("optimizer:", ""),
        ("  Adam: {learning_rate: 1e-3}", "try 3e-4 if the loss jumps, 3e-3 if it hardly falls"),
        *_training(found),
    ]
    return f"# {found.about}\n{_aligned(lines)}"


def name_for(path: Path) -> str:
    """A name for a network on the data at a path, as a declaration takes it."""
    name = path.absolute().name.partition(".")[0].casefold()
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()  # é as e
    return re.sub(r"[^a-z0-9]+", "-", letters).strip("-") or "mine"


def _look(path: Path, written: str) -> _Found:
    name = (f"name: {_scalar(written)}", "")
    is_array = idx.find(path) is not None or npz.find(path) is not None
    if not is_array and labelled_pictures.is_labelled(path):
        return _labelled(path, name)
    if table_files.is_table(path) and not is_array and not picture_tables.are_pictures(path):
        return _table(path, name)
    if is_array or table_files.is_table(path):
        found = data.load(str(path.absolute()))
        height, width = found.input_shape[:2]
        return _counted(found, [name], f"pictures of {width}×{height} pixels")
    if not path.is_dir():
        raise data.of_another_kind(path)
    return _pictures(list_pictures(path), name)


def _labelled(path: Path, name: Line) -> _Found:
    """Pictures whose classes a table names; of several columns the likeliest is taken."""
    columns = labelled_pictures.columns_of_labels(path)
    if len(columns) < 2:
        return _pictures(labelled_pictures.list_labelled(path), name)
    listing = labelled_pictures.list_labelled(path, columns[0])
    reason = f"the labels; or name another of {', '.join(columns[1:])}"
    return _pictures(listing, name, (f"target: {_scalar(columns[0])}", reason))


def _table(path: Path, name: Line) -> _Found:
    files = table_files.parts(path).files["train"]
    columns = list(table_files.read(files[0]).columns)
    known = [column for column in columns if column.lower() in tables.TARGETS]
    target, reason = (known or columns)[-1], "what is predicted"
    if not known:
        reason = f"the column to predict, here the last; the others are {', '.join(columns[:-1])}"
    lines, unused = [name, (f"target: {_scalar(target)}", reason)], {}
    if of_no_use := tables.columns_of_no_use(path, target):
        unused = dict.fromkeys(of_no_use, "ignore")
        lines.append((f"columns: {_mapping(unused)}", "row numbers, or too many different texts"))
    wanted = Data.model_validate(
        {"name": str(path.absolute()), "target": target, **({"columns": unused} if unused else {})}
    )
    return _counted(data.load(wanted), lines, "rows")


def _counted(found: DataSet, lines: list[Line], what: str) -> _Found:
    """What a loaded data set shows."""
    count = len(found.train) + len(found.validation)
    sizes = None
    if found.class_names is not None:
        y = np.concatenate([found.train.y, found.validation.y])
        counts = np.bincount(y, minlength=len(found.class_names)).tolist()
        sizes = dict(zip(found.class_names, counts, strict=True))
    about = f"{count:,} {what} to train on{_in_classes(sizes)}, {len(found.test):,} to test."
    return _Found(lines, count, sizes, about=about)


def _pictures(listing: Listing, *lines: Line) -> _Found:
    train = listing.parts["train"]
    sizes = {label: len(files) for label, files in train.items()}
    count = sum(sizes.values())
    shapes, colourful = _seen([*chain.from_iterable(train.values())])
    about = f"{count:,} pictures to train on{_in_classes(sizes)}"
    about += "." if "test" in listing.parts else "; a fifth of them is kept for the test."
    about += "".join(f" Left out: {note}." for note in listing.notes)
    return _Found(
        [*lines, *_prepared(shapes), *_coloured(colourful)],
        count,
        sizes,
        has_validation="validation" in listing.parts,
        about=about,
    )


def _seen(files: Sequence[Path]) -> tuple[list[tuple[int, int]], list[bool]]:
    """Width and height, and whether it is in colour, of pictures sampled from a list."""
    shapes, colourful = [], []
    for file in files[:: max(1, len(files) // LOOKED_AT)]:
        with (
            suppress(OSError, ValueError, Image.DecompressionBombError),
            Image.open(file) as opened,
        ):
            small = opened.convert("RGB").resize((SMALL, SMALL))
            shapes.append(ImageOps.exif_transpose(opened).size)
            pixels = np.asarray(small, np.float32)
            spread = float(np.mean(pixels.max(axis=2) - pixels.min(axis=2)))
            colourful.append(spread > COLOURFUL)
    if not shapes:
        raise DataError(f"none of {len(files):,} sampled pictures could be opened")
    return shapes, colourful


def _prepared(shapes: list[tuple[int, int]]) -> Iterable[Line]:
    (widths, heights), (width, height) = zip(*shapes, strict=True), shapes[0]
    if len(set(shapes)) == 1 and max(width, height) <= LARGEST_SIDE:
        yield f"size: [{height}, {width}]", "all sampled pictures have this size"
        return
    smallest, largest = (f"{of(widths)}×{of(heights)}" for of in (min, max))
    text = f"they are {smallest}" + ("" if smallest == largest else f" to {largest}")
    yield f"size: [{SMALL}, {SMALL}]", f"{text} pixels; try [48, 48] for finer details"
    proportions = np.array(widths) / np.array(heights)
    if proportions.max() > 1.1 * proportions.min():
        yield "prepare: pad", "whole, with a border: their proportions differ"


def _coloured(colourful: list[bool]) -> Iterable[Line]:
    count = sum(colourful)
    if count > len(colourful) / 2:
        yield "colour: rgb", f"{count} of {len(colourful)} sampled pictures are in colour"
    else:
        yield (
            "colour: grey",
            f"{len(colourful) - count} of {len(colourful)} sampled pictures are grey",
        )


def _network(found: _Found) -> Iterable[Line]:
    units = 256 if found.examples >= 10_000 else 64 if found.examples < 1_000 else 128
    yield "model:", ""
    yield "  layers:", ""
    reason = f"enough for {found.examples:,} examples; double it if it learns too little"
    yield (
        f"    - Dense: {{units: {units}, activation: relu, kernel_initializer: he_normal}}",
        reason,
    )
    reason = "more if it is much better in training than in validation"
    yield "    - Dropout: {rate: 0.3}", reason
    if found.sizes is None:
        yield "  head: {activation: linear}", "it predicts a number"


def _training(found: _Found) -> Iterable[Line]:
    batch = 128
    while batch > 8 and found.examples < batch * FEWEST_STEPS:
        batch //= 2
    yield "training:", ""
    yield "  epochs: 100", "at most: the callback below ends it"
    yield f"  batch_size: {batch}", f"{counted(-(-found.examples // batch), 'step')} an epoch"
    if not found.has_validation:
        yield "  validation: 0.2", "held out of the training examples, to choose on"
    sizes = [*(found.sizes or {}).values()]
    if sizes and max(sizes) > UNEQUAL * min(sizes):
        times = f"{max(sizes) / max(min(sizes), 1):.0f} times"
        yield (
            "  class_weight: balanced",
            f"the largest class has {times} the examples of the smallest",
        )
    yield "callbacks:", ""
    stop = "  - EarlyStopping: {monitor: val_loss, patience: 10, restore_best_weights: true}"
    yield stop, "stops when validation no longer improves"


def _in_classes(sizes: dict[str, int] | None) -> str:
    if sizes is None:
        return ""
    counts = [f"{name} {count:,}" for name, count in [*sizes.items()][:10]]
    more = ", …" if len(sizes) > 10 else ""
    return f" in {len(sizes)} classes ({', '.join(counts)}{more})"


def _scalar(text: str) -> str:
    """A string in YAML, in quotes if necessary."""
    is_plain = re.fullmatch(r"[A-Za-z./~][\w./~-]*", text, re.ASCII)
    reserved = text.lower() in ("null", "true", "false", "yes", "no", "on", "off", "~")
    return text if is_plain and not reserved else json.dumps(text, ensure_ascii=False)


def _mapping(entries: dict[str, str]) -> str:
    return f"{{{', '.join(f'{_scalar(key)}: {value}' for key, value in entries.items())}}}"


def _aligned(lines: Sequence[Line]) -> str:
    """The lines with their reasons in one column, except beside those that are too long."""
    column = min(max(len(text) for text, _ in lines), 40)
    return "".join(
        f"{text.ljust(column)}  # {reason}\n" if reason else f"{text}\n" for text, reason in lines
    )
