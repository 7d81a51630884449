"""The record of a finished variant: `runs/studies/members/KEY/seedS.json` and `seedS.npz`.

The JSON file holds the declaration's digest, the seed and the numbers; the other file holds the
arrays for the figures. The JSON file is written last: if it exists, the record is complete.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from wardrobe.training.files import atomic_write
from wardrobe.training.studies.claims import Measured
from wardrobe.training.studies.variants import Variant

Found = dict[str, float | NDArray[Any]]


@dataclass(frozen=True)
class Record(Measured):
    """The measurements of a variant: numbers, which claims compare, and arrays by name."""

    arrays: dict[str, NDArray[Any]]


def write(folder: Path, variant: Variant, found: Found) -> None:
    """Writes a record, completely or not at all."""
    file = _file(folder, variant)
    file.parent.mkdir(parents=True, exist_ok=True)
    arrays = {name: value for name, value in found.items() if isinstance(value, np.ndarray)}
    numbers = {name: float(value) for name, value in found.items() if name not in arrays}
    with atomic_write(file.with_suffix(".npz"), "wb") as stream:
        np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    facts = {
        "name": variant.declaration.name,
        "seed": variant.declaration.seed,
        "declaration": variant.declaration.digest,
        "measures": variant.measures,
        "numbers": {name: _or_null(number) for name, number in numbers.items()},
    }
    with atomic_write(file) as stream:
        stream.write(json.dumps(facts, indent=1) + "\n")


def read(folder: Path, variant: Variant) -> Record | None:
    """The record of a variant that has run, or None."""
    file = _file(folder, variant)
    if not file.is_file():
        return None
    facts = json.loads(file.read_text(encoding="utf-8"))
    with np.load(file.with_suffix(".npz")) as stored:
        arrays = {name: stored[name] for name in stored.files}
    numbers = {k: math.nan if v is None else v for k, v in facts["numbers"].items()}
    return Record(variant.labels, numbers, arrays)


def is_finished(folder: Path, variant: Variant) -> bool:
    """Whether a variant has run."""
    return _file(folder, variant).is_file()


def _file(folder: Path, variant: Variant) -> Path:
    return folder / "members" / variant.key / f"seed{variant.declaration.seed}.json"


def _or_null(number: float) -> float | None:
    """JSON has no NaN and no infinity."""
    return number if math.isfinite(number) else None
