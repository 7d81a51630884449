"""What an artifact costs on this machine: bytes on disk, and time to answer."""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

import numpy as np

from wardrobe.serving.inference import artifacts
from wardrobe.serving.inference import model as saved_model

BATCHES = (1, 64)
_CALLS = 500


def measure(folder: Path) -> dict[str, Any]:
    """`bytes` of the files, and `microseconds` of a call by the number of examples in it.

    The median of many calls in this process, without HTTP. `folder` is NAME/VERSION.
    """
    model = saved_model.load(artifacts.at(folder))
    shape = [int(size or 1) for size in model.input_shape]
    return {
        "bytes": sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()),
        "microseconds": {
            str(count): round(_median(model, np.zeros((count, *shape), np.float32)), 1)
            for count in BATCHES
        },
    }


def _median(model: saved_model.Model, examples: saved_model.Floats) -> float:
    seconds = []
    for _ in range(_CALLS):
        began = time.perf_counter()
        model.predict(examples)
        seconds.append(time.perf_counter() - began)
    return 1e6 * statistics.median(seconds)
