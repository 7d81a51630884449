"""A declaration together with the data set that it names."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from wardrobe.models import DataFacts, Declaration, Document, read, resolve, with_overrides
from wardrobe.models.schema.declaration import Data, DataPart
from wardrobe.models.schema.errors import ErrorDetail
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.training import data
from wardrobe.training.data import fashion_mnist, silhouettes
from wardrobe.training.data.dataset import DataError, DataSet, DataUnavailable
from wardrobe.training.data.download import Progress

logger = logging.getLogger(__name__)


def describe_data(document: Document, folder: Path | None = None) -> DataFacts:
    """Shape and classes of a declaration's data; if they are not at hand, as declared, or else
    those of Fashion-MNIST.

    So a declaration can be shown and checked on a machine that lacks its data.
    """
    try:
        return facts_of_data(document, folder)
    except DataError:
        return _as_declared(document) or fashion_mnist.FACTS


def facts_of_data(document: Document, folder: Path | None = None) -> DataFacts:
    """Shape and classes of a declaration's data; those of Fashion-MNIST if `data` has errors, which
    are reported with those of the rest when the declaration is resolved.

    Raises:
        DataError: the data set cannot be found, or its files cannot be read.
    """
    try:
        wanted = _wanted(document)
    except ValidationError:
        return fashion_mnist.FACTS
    held_out = document.get("training", "validation")
    validation = held_out.plain if held_out else None
    return data.describe(wanted, folder, _folders(document), validation)


def _as_declared(document: Document) -> DataFacts | None:
    try:
        return data.as_declared(_wanted(document))
    except DataError:  # that its sets do not fit together is reported where they are read
        return None


def _wanted(document: Document) -> Data:
    """What it declares of its data. Raises ValidationError if that has errors."""
    declared = document.get("data")
    return Data.model_validate(declared.plain if declared else None)


def _folders(document: Document) -> list[Path]:
    """The folders of its files, to which its paths may be relative."""
    return list(dict.fromkeys(file.absolute().parent for file in document.files))


def data_errors(document: Document, folder: Path | None = None) -> list[ErrorDetail]:
    """What is wrong with the data set that a declaration names, at the line that names it.

    Fashion-MNIST need not be there: it is downloaded.
    """
    name = document.get("data", "name")
    if name is None or not isinstance(name.value, str):
        return []  # the schema says so
    if errors := _errors_of_sets(document, folder):
        return errors
    try:
        facts_of_data(document, folder)
    except DataError as error:
        return [ErrorDetail.at(name.origin, str(error))]
    return []


def _errors_of_sets(document: Document, folder: Path | None) -> list[ErrorDetail]:
    """What is wrong with each of several data sets by itself, at the line that names it."""
    declared, errors = document.get("data", "sets"), []
    for index, part in enumerate(declared.plain if declared and declared.value else []):
        try:
            data.describe(DataPart.model_validate(part), folder, _folders(document))
        except DataError as error:
            origin = document.origin_of(("data", "sets", index, "name"))
            errors.append(ErrorDetail.at(origin, str(error)))
        except ValidationError:
            return []  # the schema says so
    return errors


def load_declaration(
    declared: Declaration | str, overrides: Sequence[str] = (), folder: Path | None = None
) -> Declaration:
    """Reads a declaration and resolves it for its data, without loading them.

    Args:
        declared: a name of the zoo, the path of a YAML file, or a declaration to be changed.
        overrides: settings such as `training.epochs=3`, as with `--set`.
        folder: the folder of data sets; None: $WARDROBE_DATA.

    Raises:
        DeclarationError: with every error in it.
    """
    document = read_document(declared, overrides)
    return resolve(document, describe_data(document, folder))


def read_document(declared: Declaration | str, overrides: Sequence[str]) -> Document:
    """What `load_declaration` resolves.

    Raises:
        DeclarationError: it cannot be read, or an override does not fit.
    """
    if isinstance(declared, str):
        return read(declared, overrides)
    return with_overrides(declared.document, overrides)


def for_declaration(
    declaration: Declaration, folder: Path | None = None, progress: Progress | None = None
) -> DataSet:
    """Loads and splits the data set of a declaration; Fashion-MNIST is downloaded if need be.

    Raises:
        DataError: it cannot be found, read or split.
        DataUnavailable: it cannot be downloaded.
    """
    try:
        return data.load(
            declaration.data,
            validation=declaration.training.validation,
            folder=folder,
            beside=_folders(declaration.document),
            progress=progress,
        )
    except DataUnavailable:
        raise
    except DataError as error:
        if of_sets := _errors_of_sets(declaration.document, folder):
            raise DataError("\n".join(map(str, of_sets))) from error
        origin = declaration.tree.origin_of(("data", "name"))
        raise DataError(f"{origin}: {error}") from error


def load_with_data(
    declared: Declaration | str, overrides: Sequence[str] = (), folder: Path | None = None
) -> tuple[Declaration, DataSet]:
    """Loads a declaration and its data set: `load_declaration`, then `with_data`."""
    return with_data(load_declaration(declared, overrides, folder), folder)


def with_data(
    declaration: Declaration,
    folder: Path | None = None,
    *,
    progress: Progress | None = None,
    on_stand_in: Callable[[DataUnavailable], None] | None = None,
) -> tuple[Declaration, DataSet]:
    """A declaration and its data set, or those that stand in for them.

    Args:
        folder: the folder of data sets, for which the declaration was resolved.
        progress: called with how far a download is.
        on_stand_in: allows `silhouettes` to stand in for Fashion-MNIST if that cannot be
            downloaded; it is called with the reason first. The declaration then has another name,
            data set and validation share.

    Raises:
        DeclarationError: with every error that only Keras finds, before anything is downloaded.
        DataError, DataUnavailable: as in `for_declaration`.
    """
    if declaration.data.name == fashion_mnist.NAME and not fashion_mnist.find(folder):
        from wardrobe.models.build import build  # imports Keras

        build(declaration)
    try:
        return declaration, for_declaration(declaration, folder, progress)
    except DataUnavailable as error:
        if on_stand_in is None:
            raise
        on_stand_in(error)
    stand_in = (
        f"data.name={silhouettes.NAME}",
        "training.validation=0.1",
        f"name={declaration.name}-{silhouettes.NAME}",
    )
    return load_with_data(declaration, stand_in, folder)


def data_of_artifact(
    artifact: Path,
    picture: PictureInput | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
    name: str | None = None,
) -> DataSet:
    """Loads the data set that an artifact, a folder NAME/VERSION, was trained and tested on.

    Args:
        picture: how the artifact's pictures are prepared; None: it takes rows of a table.
        folder, progress: as in `with_data`.
        name: of another data set, to be read as the artifact's was; None: that one.

    Raises:
        DeclarationError: the declaration in its `assets.extra/` cannot be read.
        DataError: there is none, as in an artifact made elsewhere, or as in `for_declaration`.
        DataUnavailable: as in `for_declaration`.
    """
    extras = artifact / "assets.extra"
    declared = extras / "declaration.yaml"
    if not declared.is_file():
        raise DataError(
            f"{artifact} does not say what it was trained on; name a data set, such as"
            " --data fashion-mnist"
        )
    declaration = load_declaration(str(declared), (), folder)
    wanted = declaration.data
    run = _read(extras / "run.json")
    source = _source(run)
    if name is not None:
        wanted = wanted.model_copy(update={"name": name})
    elif source and wanted.name not in data.names():
        wanted = wanted.model_copy(update={"name": str(source)})
    found = data.load(
        wanted,
        validation=declaration.training.validation,
        folder=folder,
        picture=picture,
        progress=progress,
    )
    before = run.get("files", {})
    if name is None and before and sorted(before.values()) != sorted(found.hashes.values()):
        logger.warning(
            "%s: changed since %s was trained: it may have been trained on what is now among the "
            "test examples", found.source, "/".join(artifact.parts[-2:]),
        )  # fmt: skip
    return found


def _read(run: Path) -> dict[str, Any]:
    """What an artifact says about the run that wrote it; nothing if that cannot be read."""
    try:
        return dict(json.loads(run.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _source(run: Mapping[str, Any]) -> Path | None:
    """Where the run had found its data, if they are still there."""
    path = Path(run.get("data", ""))
    return path if path.is_absolute() and path.exists() else None
