"""TensorFlow, imported late, only as far as needed and without its start-up messages."""

from __future__ import annotations

import gc
import logging
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

START_UP_MESSAGE = re.compile(
    rb"^I\d{4} |absl::InitializeLog|cudart_stub|cuInit|rebuild TensorFlow with the appropriate"
)
"""Lines on stderr that do not help a user: notices, and that there is no GPU."""

UNNEEDED_BY_KERAS = ("matplotlib", "pandas")
"""Keras imports them where they are installed, to draw galleries and to slice data frames, which
takes most of a second. Without pandas, Keras takes a data frame for an array, which will do."""


def load_tensorflow(keras: bool = False) -> Any:
    """The module `tensorflow`; finding and checking artifacts does not need it.

    keras: whether to import Keras with it. Serving does not need Keras, which takes a second and
        60 MB in each worker.
    """
    if "tensorflow" in sys.modules:
        import tensorflow

        return tensorflow
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "1")  # warnings and errors
    os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")  # processes share the GPU
    # TensorFlow Lite and a callback of Keras would import JAX: 100 MB and half a second.
    unneeded = ("jax", *UNNEEDED_BY_KERAS) if keras else ("jax", "keras")
    with _hidden(*unneeded), _without_garbage_collection(), without_lines(START_UP_MESSAGE):
        import tensorflow

        tensorflow.config.list_physical_devices()  # reports a missing GPU here, not later
    logging.getLogger("tensorflow").setLevel(logging.ERROR)  # calls its sessions deprecated
    return tensorflow


def load_keras() -> None:
    """Imports Keras on the backend that $KERAS_BACKEND names, and nothing that it does not need."""
    if os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        load_tensorflow(keras=True)
    with _hidden(*UNNEEDED_BY_KERAS):
        import keras  # noqa: F401


@contextmanager
def _hidden(*modules: str) -> Iterator[None]:
    """Makes modules look as if they were not installed; those already imported stay."""
    hidden = [name for name in modules if name not in sys.modules]
    sys.modules.update(dict.fromkeys(hidden))  # type: ignore[arg-type]
    try:
        yield
    finally:
        for name in hidden:
            del sys.modules[name]


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Pauses it while half a million permanent objects are made, and excludes them from then on."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


@contextmanager
def without_lines(unwanted: re.Pattern[bytes]) -> Iterator[None]:
    """Captures everything written to stderr, even below Python, and then passes on other lines."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)
            held_back.seek(0)
            for line in held_back:
                if not unwanted.search(line):
                    os.write(2, line)
