"""Transfer learning: a network starts from the weights of another, which `model.from` names.

Weights are copied layer by layer where name and shape agree. The head is copied only if it has the
same classes, as far as the source names its classes.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from wardrobe import PRETRAINED
from wardrobe.models import Declaration, DeclarationError, zoo
from wardrobe.models.schema.errors import ErrorDetail, did_you_mean
from wardrobe.models.schema.tree import Document
from wardrobe.serving.inference.tensorflow import load_tensorflow
from wardrobe.training.data.dataset import file_hash

if TYPE_CHECKING:
    import keras

Weights = dict[str, NDArray[Any]]
"""By layer and name: `dense_1/kernel`."""


class NoWeights(Exception):
    """There is nothing to start from; the message says why and what to do."""


@dataclass(frozen=True)
class Source:
    """A network on disk: the folder of a SavedModel, or a `.keras` file."""

    path: Path
    class_names: tuple[str, ...] | None = None  # None: it does not say

    def read(self) -> Weights:
        """Its weights; code in the file is not run.

        Raises:
            NoWeights: the file cannot be read, or contains code.
        """
        try:
            return _of_saved_model(self.path) if self.path.is_dir() else _of_keras(self.path)
        except Exception as error:  # whatever libraries raise about a foreign file
            line = next(iter(str(error).splitlines()), type(error).__name__)
            raise NoWeights(f"cannot read the network in {self.path}: {line[:240]}") from error

    @property
    def digest(self) -> str:
        """SHA-256 of the file that holds the weights."""
        of_folder = sorted(self.path.glob("variables/variables.data-*"))
        return file_hash(of_folder[0] if of_folder else self.path)


@dataclass(frozen=True)
class Transferred:
    """The layers whose weights were copied, and why those of the others were not."""

    source: str
    path: str
    weights: str  # SHA-256
    taken: list[str]
    drawn: dict[str, str]

    def __str__(self) -> str:
        drawn = "; ".join(f"{layer} ({reason})" for layer, reason in self.drawn.items())
        text = f"starts from the weights of {self.source} ({self.path}): {', '.join(self.taken)}"
        return f"{text}; drawn anew: {drawn}" if drawn else text


def begin(
    network: keras.Sequential,
    declaration: Declaration,
    class_names: Sequence[str] | None,
    artifacts: Sequence[Path] = (),
) -> Transferred | None:
    """Gives a network the weights that its declaration names; None if it names none.

    `artifacts`: folders to search for a name before the artifacts that ship with wardrobe.

    Raises:
        DeclarationError: the source cannot be found or read, or none of its layers fits.
    """
    declared = declaration.model.from_
    if declared is None:
        return None
    try:
        source = find(declared, artifacts, declaration.files)
        names = None if class_names is None else tuple(class_names)
        other_classes = None not in (names, source.class_names) and names != source.class_names
        taken, drawn = transfer(network, source.read(), with_head=not other_classes)
    except NoWeights as error:
        raise DeclarationError([declaration.error(_PATH, str(error))]) from None
    if not taken:
        reasons = "; ".join(f"{layer}: {reason}" for layer, reason in drawn.items())
        message = f"no layer of {source.path} fits this network: {reasons}"
        raise DeclarationError([declaration.error(_PATH, message)])
    return Transferred(declared, str(source.path), source.digest, taken, drawn)


def errors(document: Document, artifacts: Sequence[Path] = ()) -> list[ErrorDetail]:
    """An error if the network in `model.from` does not exist; imports nothing slow."""
    declared = document.get(*_PATH)
    if declared is None or not isinstance(declared.value, str):
        return []  # the schema reports other types
    try:
        find(declared.value, artifacts, document.files)
    except NoWeights as error:
        return [ErrorDetail.at(declared.origin, str(error))]
    return []


_PATH = ("model", "from")


def find(declared: str, artifacts: Sequence[Path] = (), files: Iterable[Path] = ()) -> Source:
    """The network that a name or a path refers to: the latest version, or the last finished run.

    NAME or NAME/VERSION is searched for in the folders of artifacts and among those that ship with
    wardrobe; a path is relative to the declaration's files or to the working directory.

    Raises:
        NoWeights: there is none.
    """
    folders = (*artifacts, PRETRAINED)
    path = Path(declared).expanduser()
    candidates = [folder / path for folder in folders] if declared[:1] not in "./~" else []
    candidates += [*(file.absolute().parent / path for file in files), path.absolute()]
    for candidate in candidates:
        if candidate.exists():
            return _source(candidate)
    if zoo.path(declared):
        raise NoWeights(
            f"no weights of {declared} exist yet: train it first with `wardrobe train {declared}`"
        )
    known = {found.name for folder in folders for found in folder.glob("[!.]*") if found.is_dir()}
    hint = did_you_mean(declared, known) or f"; by name there are {', '.join(sorted(known))}"
    raise NoWeights(f"there is no network '{declared}'{hint}")


def transfer(
    network: keras.Sequential, weights: Mapping[str, NDArray[Any]], with_head: bool = True
) -> tuple[list[str], dict[str, str]]:
    """Gives each layer the weights of its name, if all shapes agree.

    Returns the names of these layers, and for each other layer with weights the reason.
    """
    taken: list[str] = []
    drawn: dict[str, str] = {}
    for layer in network.layers:
        if not layer.weights:
            continue
        own = dict(_named(layer))
        if layer.name == "head" and not with_head:
            drawn[layer.name] = "the classes differ"
        elif reason := _misfit(own, weights):
            drawn[layer.name] = reason
        else:
            for key, variable in own.items():
                variable.assign(weights[key])
            taken.append(layer.name)
    return taken, drawn


def _misfit(own: Mapping[str, Any], weights: Mapping[str, NDArray[Any]]) -> str:
    """Why the weights of a layer cannot be copied, or an empty string."""
    layer = next(iter(own)).partition("/")[0]
    if not any(key.startswith(f"{layer}/") for key in weights):
        return "it has no layer of this name"
    for key, variable in own.items():
        name = key.partition("/")[2]
        if key not in weights:
            return f"{name} is missing there"
        here, there = tuple(variable.shape), weights[key].shape
        if here != there:
            return f"{name} is {_shape(there)} there, {_shape(here)} here"
    return ""


def _shape(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))


def _source(path: Path) -> Source:
    """The network at a path that exists."""
    if path.is_file():
        return _keras_file(path)
    if (path / "saved_model.pb").is_file():
        return Source(path, _labels(path / "assets.extra" / "labels.json"))
    if (path / "model.keras").is_file():
        return Source(path / "model.keras", _classes_of_run(path / "run.json"))
    versions = [file.parent for file in path.glob("[0-9]*/saved_model.pb")]
    if versions := [folder for folder in versions if folder.name.isdigit()]:
        return _source(max(versions, key=lambda folder: int(folder.name)))
    if runs := sorted(path.glob("*/model.keras")):
        return _source(runs[-1].parent)
    if (path / "run.json").is_file():
        raise NoWeights(f"the run in {path} has not finished: it has no model.keras yet")
    raise NoWeights(
        f"{path} holds no network: give an artifact (NAME/VERSION), a run, or a .keras file"
    )


def _keras_file(path: Path) -> Source:
    if path.suffix in (".yaml", ".yml"):
        raise NoWeights(f"{path} is a declaration, which has no weights: give an artifact or a run")
    if path.suffix != ".keras":
        raise NoWeights(f"{path} is not a .keras file: save the network with `network.save(…)`")
    return Source(path)


def _labels(file: Path) -> tuple[str, ...] | None:
    try:
        return tuple(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def _classes_of_run(file: Path) -> tuple[str, ...] | None:
    try:
        measured = json.loads(file.read_text(encoding="utf-8"))["metrics"]["test"]["by_class"]
        return tuple(row["label"] for row in measured)
    except (OSError, ValueError, TypeError, KeyError):
        return None


def _of_saved_model(folder: Path) -> Weights:
    """Reads from the file, without a graph: TensorFlow would put the variables on a GPU."""
    tf = load_tensorflow()
    from tensorflow.core.protobuf import trackable_object_graph_pb2

    reader = tf.train.load_checkpoint(str(folder / "variables" / "variables"))
    graph = trackable_object_graph_pb2.TrackableObjectGraph()
    graph.ParseFromString(reader.get_tensor("_CHECKPOINTABLE_OBJECT_GRAPH"))
    # A network read from a file writes its weights without the network's name.
    return {
        variable.full_name.removeprefix("network/"): reader.get_tensor(variable.checkpoint_key)
        for node in graph.nodes
        for variable in node.attributes
        if variable.full_name
    }


def _of_keras(file: Path) -> Weights:
    import keras

    import wardrobe.models.build.custom_objects  # noqa: F401  registers what wardrobe adds to Keras

    if not zipfile.is_zipfile(file):  # of which Keras would say that it is not there
        raise ValueError("it is damaged, or was not written by Keras")
    network = keras.saving.load_model(file, compile=False, safe_mode=True)
    return {
        key: np.asarray(keras.ops.convert_to_numpy(variable))
        for layer in network.layers
        for key, variable in _named(layer)
    }


def _named(layer: keras.layers.Layer) -> Iterator[tuple[str, Any]]:
    """The weights of a layer, each with its path from the layer on."""
    for variable in layer.weights:
        parts = variable.path.split("/")
        below = parts[parts.index(layer.name) + 1 :] if layer.name in parts else parts[-1:]
        yield "/".join((layer.name, *below)), variable
