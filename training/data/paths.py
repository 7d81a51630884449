"""Where data sets lie on this machine."""

import os
from pathlib import Path


def data_folder(explicit: Path | None) -> Path | None:
    """The folder of data sets: the one given, else $WARDROBE_DATA, else none."""
    if explicit is not None:
        return explicit
    named = os.environ.get("WARDROBE_DATA")
    return Path(named).expanduser() if named else None


def keras_cache() -> Path:
    """Keras' own folder of data sets, found as `keras.src.backend.config` finds it.

    Worked out here because importing Keras takes seconds.
    """
    home = Path.home() if os.access(Path.home(), os.W_OK) else Path("/tmp")
    return Path(os.environ.get("KERAS_HOME", home / ".keras")).expanduser() / "datasets"
