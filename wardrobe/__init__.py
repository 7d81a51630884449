"""Declare a fully connected Keras network in YAML, train it, serve it.

    import wardrobe

    run = wardrobe.train("mlp-256-128-100", epochs=3)
    model = wardrobe.load(run.artifact)
    model.classify(["boot.jpg"])

Importing this package loads nothing else: neither TensorFlow nor Keras nor JAX. Each name below is
imported when it is first used.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wardrobe.api import classify as classify
    from wardrobe.api import create_app as create_app
    from wardrobe.api import create_model as create_model
    from wardrobe.api import evaluate as evaluate
    from wardrobe.api import export as export
    from wardrobe.api import list_models as list_models
    from wardrobe.api import load as load
    from wardrobe.api import load_data as load_data
    from wardrobe.api import load_declaration as load_declaration
    from wardrobe.api import train as train
    from wardrobe.cluster import ClusterError as ClusterError
    from wardrobe.model import Model as Model
    from wardrobe.models.schema.errors import DeclarationError as DeclarationError
    from wardrobe.serving.errors import ServingError as ServingError
    from wardrobe.training.data.dataset import DataError as DataError
    from wardrobe.training.data.dataset import DataSet as DataSet
    from wardrobe.training.data.dataset import Examples as Examples
    from wardrobe.training.errors import TrainingError as TrainingError
    from wardrobe.training.train import TrainedRun as TrainedRun

PRETRAINED = Path(__file__).parent / "pretrained"
"""The artifacts that ship with wardrobe."""

ERRORS = {
    "DeclarationError": "wardrobe.models.schema.errors",
    "ServingError": "wardrobe.serving.errors",
    "DataError": "wardrobe.training.data.dataset",
    "TrainingError": "wardrobe.training.errors",
    "ClusterError": "wardrobe.cluster",
}
"""What a user can cause, each with the module that defines it; the message says what to do."""

_MODULES = {
    "classify": "wardrobe.api",
    "create_app": "wardrobe.api",
    "create_model": "wardrobe.api",
    "evaluate": "wardrobe.api",
    "export": "wardrobe.api",
    "list_models": "wardrobe.api",
    "load": "wardrobe.api",
    "load_data": "wardrobe.api",
    "load_declaration": "wardrobe.api",
    "train": "wardrobe.api",
    "Model": "wardrobe.model",
    "DataSet": "wardrobe.training.data.dataset",
    "Examples": "wardrobe.training.data.dataset",
    "TrainedRun": "wardrobe.training.train",
    **ERRORS,
}

__all__ = [*_MODULES, "__version__"]


def __getattr__(name: str) -> Any:
    """A name of the API, imported when it is first asked for (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("wardrobe")
    if name not in _MODULES:
        raise AttributeError(f"module 'wardrobe' has no attribute {name!r}")
    value = getattr(importlib.import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
