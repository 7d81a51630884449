"""On what a run was made: versions, devices, and the state of the source code."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import keras


def describe() -> dict[str, Any]:
    """Versions, devices and git state, for the record of a run."""
    return {
        "versions": versions(),
        "devices": list(keras.distribution.list_devices()),
        "processor": _processor(),
        "git": _git(),
    }


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide a result, with the name of the Keras backend."""
    backend = keras.backend.backend()
    packages = {"keras", "numpy", backend, "wardrobe"}
    return {
        "python": platform.python_version(),
        "backend": backend,
        **{package: version(package) for package in sorted(packages)},
    }


def _processor() -> str:
    """Model of the processor where the system tells it, and how many cores of it there are."""
    try:
        told = Path("/proc/cpuinfo").read_text(encoding="utf-8")
        name = told.partition("model name")[2].partition("\n")[0].lstrip("\t :")
    except OSError:
        name = ""
    return f"{name or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _git() -> dict[str, Any] | None:
    """The commit of the source code and whether it was changed since; None outside git."""
    try:
        commit = _output("git", "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_output("git", "status", "--porcelain"))}
    except (OSError, subprocess.CalledProcessError):
        return None


def _output(*command: str) -> str:
    source = Path(__file__).parent
    done = subprocess.run(command, cwd=source, check=True, capture_output=True, text=True)
    return done.stdout.strip()
