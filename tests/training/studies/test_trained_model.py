"""Studies compute with Keras' JAX backend, so their networks are tested in another process."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_networks_of_a_study_under_jax():
    checks = Path(__file__).with_name("trained_model_under_jax.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(checks)],
        env=os.environ | {"KERAS_BACKEND": "jax"}, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
