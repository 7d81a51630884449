"""Where JAX keeps compiled programs from one process to the next.

Without it, a short training on JAX spends most of its time on compiling what an earlier one has
compiled already. The name of a program depends on its text, on the versions of the compiler and on
the instructions that the processor has, so that no other program is ever taken for it. TensorFlow
has such a cache, too, but on a CPU it warns of instructions that do not exist.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import MutableMapping
from pathlib import Path


def keep_programs(environment: MutableMapping[str, str] = os.environ) -> None:
    """Sets what JAX reads when it is imported, unless the user has set it.

    The folder is `wardrobe/jax` in $XDG_CACHE_HOME, or in `~/.cache`. Where it cannot be written,
    or holds half a file, programs are compiled as if there were no cache.
    """
    home = os.path.expanduser("~")  # noqa: PTH111  an account may have none; Path.home() would raise
    caches = Path(environment.get("XDG_CACHE_HOME") or Path(home, ".cache"))
    if caches.is_absolute():
        environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(caches / "wardrobe" / "jax"))
    # Hundreds of small programs take as long to compile as a few large ones.
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    warnings.filterwarnings("ignore", "Error (reading|writing) persistent compilation cache")
