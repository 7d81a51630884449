"""From a name or a file to one tree: defaults, parents, the file and `--set` merged."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path as FilePath

from wardrobe.models import zoo
from wardrobe.models.schema.declaration import not_indented
from wardrobe.models.schema.errors import DeclarationError, did_you_mean
from wardrobe.models.schema.tree import Document, Node, Origin, merge, overlay, with_origin
from wardrobe.models.schema.yaml_reader import read_file, read_text

_PROJECT = FilePath(__file__).resolve().parents[2]
_DEFAULTS = FilePath(__file__).parent / "defaults.yaml"
_ENDINGS = (".yaml", ".yml", ".json")


def find(name_or_file: str) -> FilePath:
    """The file of a name in the zoo, or of a path.

    Raises:
        DeclarationError: it is neither.
    """
    if in_zoo := zoo.path(name_or_file):
        return in_zoo
    file = FilePath(name_or_file)
    if file.suffix in _ENDINGS or file.exists():
        return file
    hint = did_you_mean(name_or_file, zoo.names()) or "; `wardrobe list` shows all"
    raise DeclarationError.at(Origin(name_or_file), f"no such file or network{hint}")


def read(name_or_file: str, overrides: Sequence[str] = ()) -> Document:
    """The merged document of a declaration: defaults, parents, the file itself, `--set a.b=c`.

    Each file is read once; `files` of the document names them.

    Raises:
        DeclarationError: a file cannot be read, a parent is unknown, parents form a loop, or
            an override does not fit.
    """
    return with_overrides(_with_parents([_read(find(name_or_file))]), overrides)


def with_overrides(document: Document, overrides: Sequence[str]) -> Document:
    """The document with values laid over it, each written as `a.b=c`, as with `--set`.

    Raises:
        DeclarationError: an override does not fit.
    """
    for override in overrides:
        document = _override(document, override)
    return document


def complete(declaration: Node, file: FilePath) -> Document:
    """The merged document of a declaration that is part of another file, as a study's `base` is.

    A parent is looked up beside that file, which is the first of the document's `files`.

    Raises:
        DeclarationError: its parent is unknown or cannot be read.
    """
    own = _canonical(_mapping(declaration, declaration.origin.source))
    return _with_parents([Document(own.value, own.origin, (file,))])


@functools.cache
def defaults() -> Node:
    """What every declaration starts from."""
    return with_origin(_read(_DEFAULTS), lambda origin: replace(origin, is_default=True))


def shown(file: FilePath) -> str:
    """A file's name in messages: relative to the working directory or the project."""
    absolute = file.resolve()
    for folder in (FilePath.cwd(), _PROJECT):
        if absolute.is_relative_to(folder):
            return str(absolute.relative_to(folder))
    return str(file)


def overridden(document: Document, key: str, value: Node) -> Document:
    """The document with a value laid over it at `key.key`; list elements are given by index.

    Raises:
        DeclarationError: there is no such list element, or the key is not of this form.
    """
    origin = value.origin
    path = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
    if "" in path:
        raise DeclarationError.at(origin, _FORM_OF_OVERRIDE)
    if len(path) == 1:
        value = _canonical(Node({str(path[0]): value}, origin)).value[str(path[0])]
    try:
        tree = overlay(document, path, value)
    except KeyError as error:
        raise DeclarationError.at(origin, error.args[0]) from None
    return Document(tree.value, tree.origin, document.files)


_FORM_OF_OVERRIDE = "write a value of the declaration as KEY.KEY=VALUE"


def _override(document: Document, override: str) -> Document:
    origin = Origin(f"--set {override}")
    key, equals, text = override.partition("=")
    if not equals:
        raise DeclarationError.at(origin, _FORM_OF_OVERRIDE)
    value = with_origin(read_text(text, str(origin)), lambda _: origin)
    return overridden(document, key, value)


def _with_parents(family: list[Document]) -> Document:
    """A document, the only one of the list, merged with its parents and the defaults."""
    while (extends := family[-1].get("extends")) is not None:
        file = _parent(extends, beside=family[-1].files[0].parent)
        files = [document.files[0] for document in family]
        if file.resolve() in {known.resolve() for known in files}:
            loop = " → ".join(known.stem for known in (*files, file))
            raise DeclarationError.at(extends.origin, f"'extends' forms a loop: {loop}")
        family.append(_read(file))
    tree = defaults()
    for document in reversed(family):
        # A name identifies one file, so children do not inherit it.
        inherited = {key: value for key, value in tree.value.items() if key != "name"}
        tree = merge(Node(inherited, tree.origin), document)
    entries = {key: value for key, value in tree.value.items() if key != "extends"}
    return Document(entries, tree.origin, tuple(document.files[0] for document in family))


def _parent(extends: Node, beside: FilePath) -> FilePath:
    name = extends.value
    if not isinstance(name, str):
        raise DeclarationError.at(extends.origin, "'extends' takes the name of one declaration")
    file = beside / (name if name.endswith(_ENDINGS) else f"{name}.yaml")
    if file.is_file():
        return file
    if in_zoo := zoo.path(name):
        return in_zoo
    known = {*zoo.names(), *(sibling.stem for sibling in beside.glob("*.yaml"))}
    message = f"no declaration '{name}' to extend{did_you_mean(name, known)}"
    raise DeclarationError.at(extends.origin, message)


def _read(file: FilePath) -> Document:
    """One file by itself, its short forms written out."""
    tree = _canonical(_mapping(read_file(file, shown(file)), shown(file)))
    if errors := list(not_indented(tree)):
        raise DeclarationError(errors)
    return Document(tree.value, tree.origin, (file,))


def _mapping(node: Node, file: str) -> Node:
    if node.value is None:
        message = "is empty; a declaration needs at least 'name' and 'model.layers'"
        raise DeclarationError.at(Origin(file), message)
    if not isinstance(node.value, dict):
        message = "a declaration is a mapping of keys, such as 'name: …'"
        raise DeclarationError.at(node.origin, message)
    return node


def _canonical(node: Node) -> Node:
    """Short forms written out: `data: NAME`, `data: [{name: NAME}, …]` and `optimizer: Adam`."""
    entries = dict(node.value)
    data, optimizer = entries.get("data"), entries.get("optimizer")
    if data is not None:
        entries["data"] = _data(data)
    if optimizer is not None and isinstance(optimizer.value, str):
        entries["optimizer"] = Node({optimizer.value: Node({}, optimizer.origin)}, optimizer.origin)
    return Node(entries, node.origin)


def _data(node: Node) -> Node:
    """A data set as a mapping; several as one with their names, and their list as `sets`."""
    if isinstance(node.value, str):
        return Node({"name": node}, node.origin)
    if not isinstance(node.value, list):
        return node
    sets = [_data(one) for one in node.value]
    names = [str(name.value) for one in sets if (name := one.get("name")) is not None]
    named = Node(" + ".join(names), node.origin)
    return Node({"name": named, "sets": Node(sets, node.origin)}, node.origin)
