"""The engine needs Keras' JAX backend, so its tests run in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_engine_under_jax():
    checks = Path(__file__).with_name("engine_under_jax.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(checks)],
        env=os.environ | {"KERAS_BACKEND": "jax"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
