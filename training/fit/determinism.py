"""Bit-identical results of the same declaration and seed on one machine.

On a CPU that is so by itself: work is shared out by the number of threads, not by their speed. On a
GPU some kernels add up in any order unless they are told not to.
"""

from __future__ import annotations

import os

_XLA_FLAG = "--xla_gpu_deterministic_ops=true"


def of_compiled_programs() -> None:
    """For what XLA compiles, with TensorFlow or JAX; call it before Keras is imported."""
    flags = os.environ.get("XLA_FLAGS", "")
    if _XLA_FLAG not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_XLA_FLAG}".strip()


def of_single_kernels() -> None:
    """For TensorFlow without XLA; call it before the first model is compiled.

    Keras compiles nothing with XLA any more in this process, so it is not for every training.
    """
    os.environ["TF_DETERMINISTIC_OPS"] = "1"
