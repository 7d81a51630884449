"""Artifacts on disk: finding them, and reading the metadata beside the network.

An artifact is a SavedModel in `FOLDER/NAME/VERSION/`, VERSION a positive integer, higher is newer.
A folder that holds the versions of one model, or is itself a SavedModel, as KServe mounts them, is
one model.

Its `assets.extra/` may contain:

    labels.json       class names in the order of the outputs; default "0", "1", …
    input.json        {"kind": "image", "shape": [28, 28], "channels": 1, "range": [0, 255],
                      "ground": "dark", "prepare": "garment"}; default: what the network's
                      signature says. Colour pictures have the shape [28, 28, 3] and 3 channels.
                      For networks made elsewhere also "signature", "output", "layout", "scale" and
                      "logits", see `docs/http-api.md`. "photographs" names the model that answers
                      photographs instead of this one; false for none. "preparation" is the
                      version of `garment` that prepared its training pictures
    uncertainty.json  {"below": 0.6}: predictions of lower probability are marked uncertain;
                      "unknown" names the class for everything else
"""

import difflib
import logging
import math
import os
import re
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from reprlib import repr as shorten
from typing import Any, Literal, get_args

import orjson

from wardrobe.serving.errors import ArtifactError
from wardrobe.serving.images.picture_input import PictureInput, Polarity, Preparation

logger = logging.getLogger(__name__)

Layout = Literal["NHW", "NHWC", "NCHW", "flat", "encoded"]
"""The axes of a network's input: N pictures, height, width, channels; all pixels of a picture in
one axis; or each picture as the bytes of a PNG file."""

Kind = Literal["image", "table"]

Companion = str | Literal[False] | None
"""The name of the model that answers photographs instead of another; False for none; None if
nothing is declared."""

VERSION = re.compile(r"0*[1-9][0-9]{0,17}")
"""As in TensorFlow Serving: `00000123` is version 123."""
KERAS = "Keras"
FORMATS = dict.fromkeys((".keras", ".h5", ".hdf5"), KERAS) | {
    ".onnx": "ONNX",
    ".pt": "PyTorch",
    ".pth": "PyTorch",
    ".tflite": "LiteRT",
}
"""Files that hold a network but are not SavedModels."""

KEYS = (
    *("kind", "shape", "channels", "range", "ground", "prepare", "preparation", "photographs"),
    *("signature", "output", "layout", "scale", "logits", "columns"),
)
"""The keys of `input.json`; tables have more."""

LARGEST_JSON = 4 * 2**20
"""Bytes, enough for the names of a hundred thousand classes."""
LARGEST_GRAPH = 2**31 - 1
"""Bytes of saved_model.pb; Protocol Buffers read no more."""

Fingerprint = frozenset[tuple[str, int, int]]
"""Path, size and modification time of each file."""


@dataclass(frozen=True)
class Artifact:
    """One version of one model: a folder with a suitable name; nothing in it has been read yet."""

    name: str
    version: int
    folder: Path
    hides: tuple["Artifact", ...] = field(default=(), compare=False)
    """The same version in later folders, served while this one cannot be."""
    model_folder: Path | None = field(default=None, compare=False)
    """The artifact folder, if it is this one model; None for `folder.parent`."""

    @property
    def home(self) -> Path:
        """The folder for files that concern all versions of the model."""
        return self.model_folder or self.folder.parent

    @property
    def root(self) -> Path:
        """The artifact folder."""
        return self.model_folder or self.folder.parent.parent

    def __str__(self) -> str:
        return f"{self.name}/{self.version}"


@dataclass(frozen=True)
class Extras:
    """The declarations of an artifact in `assets.extra/`; None for those that are missing.

    `columns` are those of a table that the network takes one by one."""

    labels: tuple[str, ...] | None = None
    kind: Kind | None = None
    picture: PictureInput | None = None
    """None also if the signature gives the shape of pictures; then `polarity`, `channels` and
    `prepare` hold the declared values."""
    uncertain_below: float | None = None
    unknown: str | None = None
    photographs: Companion = None
    columns: tuple[str, ...] = ()
    polarity: Polarity | None = None
    channels: int | None = None
    prepare: Preparation | None = None
    preparation: int | None = None
    """The version of `garment` that prepared its training pictures; None if there was none, or if
    it was not recorded."""
    signature: str | None = None
    output: str | None = None
    layout: Layout | None = None
    scale: float = 1
    """The factor by which pixels from 0 to 255 are multiplied for the network."""
    logits: bool | None = None


def find(folders: Sequence[Path], name: str | None = None) -> list[Artifact]:
    """All version folders in `folders`: names in alphabetical order, those of the first folder
    first, and the newest version of each name first. A folder that is one model gets the given
    `name`, or its own.

    Folders that are missing or cannot be read are treated as empty; the latter are logged. If the
    same version is in two folders, the first hides the others, which is logged as well. The name of
    a version folder is a positive integer; others, such as `.3.partial` while a version is being
    written, are ignored. Anything that looks like a network but is ignored is logged, too.
    """
    found: dict[str, dict[int, Artifact]] = {}
    for folder in folders:
        for message in passed_over(folder):
            warn_once(message)
        for artifact in _artifacts(folder, name):
            path = artifact.folder
            versions = found.setdefault(artifact.name, {})
            first = versions.setdefault(artifact.version, artifact)
            if first.folder != path:
                versions[artifact.version] = replace(first, hides=(*first.hides, artifact))
                warn_once(f"{path} is hidden by the same version in {first.folder}")
    return [versions[version] for versions in found.values() for version in sorted(versions)[::-1]]


@cache
def warn_once(message: str) -> None:
    """Log once what every scan of the folders, or every request, finds again."""
    logger.warning("%s", message)


def passed_over(folder: Path) -> list[str]:
    """What looks like a network in an artifact folder but is not served: the reasons, and what to
    do."""
    if os.path.isfile(folder):  # noqa: PTH113, this one never raises
        reason = _why_passed_over(folder, folder.parent / folder.stem)
        return [reason or f"{folder} is ignored: it is a file; give the folder that contains it"]
    if is_one_model(folder):
        found = [_why_passed_over(path, folder) for path in sorted(_entries(folder))]
        return [message for message in found if message]
    messages = []
    for path in sorted(_entries(folder)):
        messages.append(_why_passed_over(path, folder / path.stem))
        if os.path.isdir(path):  # noqa: PTH112, this one never raises
            messages += [_why_passed_over(inner, path) for inner in sorted(_entries(path))]
    return [message for message in messages if message]


def _why_passed_over(path: Path, model: Path) -> str | None:
    """What is wrong with a path in a model's folder, or with that folder itself."""
    is_numbered = VERSION.fullmatch(path.name)
    if FORMATS.get(path.suffix) == KERAS and os.path.isfile(path):  # noqa: PTH113, this one never raises
        return f"{path} is ignored: it is {_no_saved_model(path, model / '1')}"
    if not _is_saved_model(path) or (is_numbered and path.parent == model):
        return None
    if is_numbered:
        return (
            f"{path} is ignored: {path.parent} is the folder of one model; serve the folder"
            f" that it is in, {path.parent.parent}"
        )
    if path == model or path.parent != model:
        return f"{path} is ignored: it is a SavedModel without a version; move it to {path / '1'}"
    number = re.sub("[^0-9]", "", path.name).lstrip("0")
    if not VERSION.fullmatch(number):
        number = "1"
    return (
        f"{path} is ignored: a version is a positive whole number of at most 18 digits; rename the"
        f" folder, for example to {path.parent / number}"
    )


def _no_saved_model(file: Path, to: Path) -> str:
    """What a file in another format is, and how a SavedModel is made of it in the folder `to`."""
    what = f"a file of {FORMATS[file.suffix]}, not a SavedModel"
    if file.name.endswith(".weights.h5"):
        return (
            f"{what}, and has weights alone; load them into their model with load_weights, and"
            f" export that with model.export({str(to)!r})"
        )
    if FORMATS[file.suffix] == KERAS:
        return f"{what}; export it with keras.models.load_model({str(file)!r}).export({str(to)!r})"
    return f"{what}, and nothing else is served; export the network with Keras or TensorFlow"


def is_one_model(folder: Path) -> bool:
    """Whether an artifact folder is a SavedModel, or holds the versions of one model instead of
    several models."""
    if _is_saved_model(folder):
        return True
    entries = _entries(folder)
    return any(map(_is_version, entries)) and not any(
        _is_version(inner) for path in entries for inner in _entries(path)
    )


def _is_version(path: Path) -> bool:
    return VERSION.fullmatch(path.name) is not None and _is_saved_model(path)


def _is_saved_model(path: Path) -> bool:
    return os.path.isfile(path / "saved_model.pb")  # noqa: PTH113, this one never raises


def at(folder: Path) -> Artifact:
    """The artifact in a version folder, or the newest one in a model's folder.

    A SavedModel in a folder without a number is version 1.

    Raises `ArtifactError` if there is none.
    """
    folder = folder.absolute()
    if VERSION.fullmatch(folder.name) and folder.is_dir():
        return Artifact(folder.parent.name, int(folder.name), folder)
    if _is_saved_model(folder):
        return Artifact(folder.name, 1, folder, model_folder=folder)
    newest = [found for found in find([folder.parent]) if found.name == folder.name][:1]
    if not newest and folder.suffix in FORMATS and folder.is_file():
        raise ArtifactError(f"{folder} is {_no_saved_model(folder, folder.with_suffix('') / '1')}")
    if not newest:
        raise ArtifactError(f"{folder} is not an artifact; give a folder NAME/VERSION")
    return newest[0]


def fingerprint(artifact: Artifact) -> Fingerprint:
    """Differs when the files of a version have changed, or are still being written."""
    found = set()
    for folder, _, files in os.walk(artifact.folder):
        for file in files:
            path = os.path.join(folder, file)  # noqa: PTH118, every second for every model
            try:
                status = os.stat(path)  # noqa: PTH116
            except OSError:  # gone again
                continue
            found.add((path, status.st_size, status.st_mtime_ns))
    return frozenset(found)


def _artifacts(folder: Path, name: str | None) -> Iterator[Artifact]:
    """The artifacts in one artifact folder, sorted by name and number."""
    if is_one_model(folder):
        name = name or folder.absolute().name
        if _is_saved_model(folder):
            yield Artifact(name, 1, folder, model_folder=folder)
        else:
            for path in _versions(folder):
                yield Artifact(name, int(path.name), path, model_folder=folder)
        return
    for model in sorted(_subfolders(folder)):
        if _is_unicode(model.name):
            for path in _versions(model):
                yield Artifact(model.name, int(path.name), path)
        else:
            warn_once(f"{str(model)!a} is ignored: its name is not UTF-8; rename it")


def _versions(model: Path) -> list[Path]:
    """The version folders of one model, by number."""
    versions = [path for path in _subfolders(model) if VERSION.fullmatch(path.name)]
    return sorted(versions, key=lambda path: int(path.name))


def _subfolders(folder: Path) -> list[Path]:
    """The folders in a folder, except hidden ones."""
    paths = _entries(folder, warn=True)
    return [path for path in paths if os.path.isdir(path)]  # noqa: PTH112, this one never raises


def _entries(folder: Path, warn: bool = False) -> list[Path]:
    """The entries of a folder that are not hidden; none if it cannot be read."""
    try:
        names = os.listdir(folder)  # noqa: PTH208, every second for every model
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        if warn:
            warn_once(f"{str(folder)!a} cannot be read ({error.strerror})")
        return []
    return [
        folder / name for name in names if not name.startswith(".") and (warn or _is_unicode(name))
    ]


def _is_unicode(text: str) -> bool:
    """Whether a name can be encoded: file names may contain bytes that are not text."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def check_files(artifact: Artifact) -> None:
    """Check the files of a version before anything reads them.

    Raises `ArtifactError` if the graph is missing or too large, or if something is not a regular
    file: reading from a pipe, for example, would never end.
    """
    graph = artifact.folder / "saved_model.pb"
    for path in (graph, *_files(artifact.folder)):
        try:
            status = path.stat()
        except OSError as error:
            if path == graph and isinstance(error, FileNotFoundError):
                _refuse_other_formats(artifact.folder)
                raise ArtifactError(
                    "saved_model.pb is missing: the folder is empty or half-copied;"
                    " copy it again or delete it"
                ) from None
            raise ArtifactError(f"{path.name!a} cannot be read ({error.strerror})") from None
        if not stat.S_ISREG(status.st_mode):
            raise ArtifactError(f"{path.name!a} is not a regular file; delete or replace it")
        if path == graph and status.st_size > LARGEST_GRAPH:
            raise ArtifactError(f"saved_model.pb has more than {LARGEST_GRAPH} bytes; replace it")


def _refuse_other_formats(folder: Path) -> None:
    for file in _files(folder):
        if file.suffix in FORMATS:
            raise ArtifactError(f"{str(file)!a} is {_no_saved_model(file, folder)}")


def check_writers(artifact: Artifact) -> None:
    """Check that only the operator can have written a SavedModel, since loading it runs its code.

    Raises `ArtifactError` if everybody on this machine can write it. On mounted file systems, such
    as volumes of containers, permissions often look open although nobody else has access: there, it
    only logs a warning.
    """
    root = artifact.root
    for path in {root, artifact.home, artifact.folder, *_files(artifact.folder)}:
        try:
            mode = path.stat().st_mode
        except OSError:
            continue
        if not mode & stat.S_IWOTH:
            continue
        warning = f"everybody can write to {path}, and loading a SavedModel runs the code in it"
        if not root.is_mount() or root.stat().st_mode & stat.S_ISVTX:
            raise ArtifactError(f"{warning}; chmod o-w")
        warn_once(warning)


def _files(folder: Path) -> list[Path]:
    return [Path(where, file) for where, _, files in os.walk(folder) for file in files]


def read_extras(artifact: Artifact) -> Extras:
    """Read and check `assets.extra/`. Raises `ArtifactError` naming the file that is wrong."""
    folder = artifact.folder / "assets.extra"
    declared = read_json(folder / "input.json")
    if declared is None:
        declared = {}
    if not isinstance(declared, dict):
        raise ArtifactError("input.json must be a JSON object; export the model again")
    _check_spelling(declared)
    uncertainty = _uncertainty(read_json(folder / "uncertainty.json"))
    kind = _choice(declared, "kind", Kind)
    has_shape = kind != "table" and declared.get("shape") is not None
    left_open = {} if has_shape else declared
    return Extras(
        labels=_labels(read_json(folder / "labels.json")),
        kind=kind,
        columns=_columns(declared) if kind == "table" else (),
        picture=_picture(declared) if has_shape else None,
        polarity=_choice(left_open, "ground", Polarity),
        channels=_channels(left_open),
        prepare=_choice(left_open, "prepare", Preparation),
        preparation=_declared(declared, "preparation", int),
        signature=_declared(declared, "signature", str),
        output=_declared(declared, "output", str),
        layout=_choice(declared, "layout", Layout),
        scale=_scale(declared),
        logits=_declared(declared, "logits", bool),
        uncertain_below=uncertainty.get("below"),
        unknown=uncertainty.get("unknown"),
        photographs=companion("input.json", declared),
    )


def _check_spelling(declared: dict[str, Any]) -> None:
    """Raises `ArtifactError` for a key that resembles a known one: if it were ignored, the answers
    would differ unnoticed. Other keys are for other programs, or later versions of this one."""
    for name in declared.keys() - set(KEYS):
        if close := difflib.get_close_matches(name.lower(), KEYS, n=1, cutoff=0.75):
            raise ArtifactError(f"input.json: there is no {name!r}; did you mean {close[0]!r}?")


def companion(file: str, content: dict[str, Any]) -> Companion:
    """The model for photographs that a file declares.

    Raises `ArtifactError` if it is neither a name nor false.
    """
    named: Companion = content.get("photographs")
    if not (named is None or named is False or (isinstance(named, str) and named)):
        raise ArtifactError(
            f"{file}: photographs is {shorten(named)}; it must be the name of a model, or false"
        )
    return named


def _declared(declared: dict[str, Any], key: str, kind: type) -> Any:
    """A value of `input.json`, None if it is missing."""
    value = declared.get(key)
    if value is not None and not isinstance(value, kind):
        wanted = {bool: "true or false", int: "a whole number", str: "a string"}[kind]
        raise ArtifactError(f"input.json: {key} is {shorten(value)}; it must be {wanted}")
    return value


def _choice(declared: dict[str, Any], key: str, choices: Any) -> Any:
    value, allowed = declared.get(key), get_args(choices)
    if value is not None and value not in allowed:
        names = ", ".join(allowed[:-1]) + f" or {allowed[-1]}"
        raise ArtifactError(f"input.json: {key} is {shorten(value)}; it must be {names}")
    return value


def _channels(declared: dict[str, Any]) -> int | None:
    channels = declared.get("channels")
    if channels is not None and (type(channels) is not int or channels not in (1, 3)):
        raise ArtifactError(f"input.json: channels is {shorten(channels)}; it must be 1 or 3")
    return channels


def _scale(declared: dict[str, Any]) -> float:
    scale = declared.get("scale", 1)
    if type(scale) not in (int, float) or not 0 < scale < math.inf:
        raise ArtifactError(
            f"input.json: scale is {shorten(scale)}; it must be the number that pixels from 0 to"
            " 255 are multiplied by, such as 0.00392156862745098 for 1/255"
        )
    return float(scale)


def read_json(path: Path) -> Any:
    """The content of a JSON file; None if there is none.

    Raises `ArtifactError` if it is not a regular file, too large, not JSON, or contains text that
    cannot be encoded.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise ArtifactError(f"{path.name} is not a regular file; delete or replace it")
            data = file.read(LARGEST_JSON + 1)
        if len(data) > LARGEST_JSON:
            raise ArtifactError(f"{path.name} has more than {LARGEST_JSON} bytes; replace it")
        return orjson.loads(data)  # unlike the standard library's, refuses lone surrogates
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ArtifactError(
            f"{path.name} cannot be read ({getattr(error, 'strerror', None) or error}); replace it"
        ) from error


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe without waiting for its writer."""
    return os.open(path, flags | os.O_NONBLOCK)


def _labels(content: Any) -> tuple[str, ...] | None:
    if content is None:
        return None
    if not isinstance(content, list) or not all(isinstance(label, str) for label in content):
        raise ArtifactError("labels.json must be a list of class names; export the model again")
    return tuple(content)


def _columns(declared: dict[str, Any]) -> tuple[str, ...]:
    try:
        return tuple(column["name"] for column in declared.get("columns", ()))
    except (TypeError, KeyError) as error:
        raise ArtifactError(
            'input.json: columns must be a list of {"name": …}; export the model again'
        ) from error


def _picture(declared: dict[str, Any]) -> PictureInput:
    shape = declared.get("shape")
    if not (
        isinstance(shape, list)
        and (len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3)))
        and all(type(side) is int and side > 0 for side in shape)
    ):
        raise ArtifactError(
            f"input.json: shape is {shorten(shape)}; it must be [height, width] or"
            " [height, width, 3]"
        )
    channels = shape[2] if len(shape) == 3 else 1
    if _channels(declared) not in (None, channels):
        raise ArtifactError(
            f"input.json: channels is {shorten(declared['channels'])}, but shape is"
            f" {shorten(shape)}; export the model again"
        )
    prepare = declared.get("prepare", "garment" if channels == 1 else "resize")
    if prepare not in get_args(Preparation) or (prepare, channels) == ("garment", 3):
        raise ArtifactError(
            f"input.json: prepare is {shorten(prepare)}; it must be none, resize, pad or, for grey"
            " pictures, garment"
        )
    if declared.get("range", [0, 255]) != [0, 255]:
        raise ArtifactError(
            f"input.json: range is {shorten(declared['range'])}; it must be [0, 255], raw pixels:"
            " `scale` says what they are multiplied by if the network does not scale them itself"
        )
    polarity: Polarity = _choice(declared, "ground", Polarity) or "dark"
    return PictureInput((shape[0], shape[1]), polarity, channels, prepare)


def _uncertainty(content: Any) -> dict[str, Any]:
    if content is None:
        return {}
    below = content.get("below") if isinstance(content, dict) else None
    if not isinstance(below, int | float) or not 0 <= below <= 1:
        raise ArtifactError('uncertainty.json must be {"below": a number from 0 to 1}')
    unknown = content.get("unknown")
    if unknown is not None and not isinstance(unknown, str):
        raise ArtifactError(
            f"uncertainty.json: unknown is {shorten(unknown)}; it must be the name of a class"
        )
    return {"below": float(below), "unknown": unknown}
