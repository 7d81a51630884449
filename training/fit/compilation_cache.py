"""Where JAX keeps compiled programs from one process to the next.

Without it, a short training on JAX spends most of its time compiling what an earlier training has
already compiled. The key of a program depends on its text, on the version of the compiler and on
the processor's instruction set, so that it never matches another program. TensorFlow has such a
cache, too, but on a CPU it warns about instructions that do not exist.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import MutableMapping
from pathlib import Path


def keep_programs(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sets the environment variables that JAX reads on import, unless the user has set them.

    The folder is `wardrobe/jax` in $XDG_CACHE_HOME, or in `~/.cache`. If it cannot be written, or
    holds a damaged file, programs are compiled as if there were no cache.
    """
    home = os.path.expanduser("~")  # noqa: PTH111  an account may have none; Path.home() would raise
    caches = Path(environment.get("XDG_CACHE_HOME") or Path(home, ".cache"))
    if caches.is_absolute():
        environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(caches / "wardrobe" / "jax"))
    # Hundreds of small programs take as long to compile as a few large ones.
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
