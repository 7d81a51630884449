"""From a name or a file to one tree: its parents, the defaults and `--set` laid together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path as FilePath

from wardrobe.models import zoo
from wardrobe.models.schema.errors import DeclarationError, Problem, suggestion
from wardrobe.models.schema.tree import Node, Origin, merge, node_of, overlay
from wardrobe.models.schema.yaml_reader import read_file, read_text

_PROJECT = FilePath(__file__).resolve().parents[2]
_DEFAULTS = FilePath(__file__).parent / "defaults.yaml"


def find(name_or_file: str) -> FilePath:
    """The file of a name of the zoo or of a path.

    Raises:
        DeclarationError: there is neither.
    """
    if in_zoo := zoo.path(name_or_file):
        return in_zoo
    file = FilePath(name_or_file)
    if file.suffix in (".yaml", ".yml") or file.exists():
        return file
    hint = suggestion(name_or_file, zoo.names()) or "; `wardrobe list` shows all"
    raise DeclarationError([Problem(name_or_file, None, f"no such file or network{hint}")])


def read(name_or_file: str, overrides: Sequence[str] = ()) -> Node:
    """The whole tree of a declaration: defaults, parents, the file itself, `--set a.b=c`.

    Raises:
        DeclarationError: a file cannot be read, a parent is unknown, parents form a loop, or
            an override does not fit.
    """
    tree = defaults()
    for file in reversed(chain(find(name_or_file))):
        node = _canonical(_mapping(read_file(file, shown(file)), shown(file)))
        # A name says what one file is; children do not inherit it.
        own = {k: v for k, v in tree.value.items() if k != "name"}
        tree = merge(Node(own, tree.origin), node)
    entries = {k: v for k, v in tree.value.items() if k != "extends"}
    tree = Node(entries, tree.origin)
    for override in overrides:
        tree = _overridden(tree, override)
    return tree


def complete(declared: Node, beside: FilePath) -> Node:
    """The whole tree of a declaration that stands in another file, as a study's `base` does.

    Raises:
        DeclarationError: its parent is unknown or cannot be read.
    """
    own = _canonical(_mapping(declared, declared.origin.source))
    extends = own.get("extends")
    parent = defaults() if extends is None else read(str(_parent(extends, beside)))
    tree = merge(parent, own)
    return Node({k: v for k, v in tree.value.items() if k != "extends"}, tree.origin)


def defaults() -> Node:
    """What every declaration begins from."""
    return _canonical(read_file(_DEFAULTS, shown(_DEFAULTS)))


def chain(file: FilePath) -> list[FilePath]:
    """A file and its parents, youngest first.

    Raises:
        DeclarationError: a parent is unknown, or the parents form a loop.
    """
    files: list[FilePath] = []
    while True:
        files.append(file)
        node = _mapping(read_file(file, shown(file)), shown(file)).get("extends")
        if node is None or node.value is None:
            return files
        file = _parent(node, beside=file.parent)
        if file.resolve() in {known.resolve() for known in files}:
            loop = " → ".join(known.stem for known in (*files, file))
            raise _error(node.origin, f"'extends' goes in a loop: {loop}")


def shown(file: FilePath) -> str:
    """How a file is called in messages: relative to the working directory or the project."""
    absolute = file.resolve()
    for folder in (FilePath.cwd(), _PROJECT):
        if absolute.is_relative_to(folder):
            return str(absolute.relative_to(folder))
    return str(file)


def _parent(extends: Node, beside: FilePath) -> FilePath:
    name = extends.value
    if not isinstance(name, str):
        raise _error(extends.origin, "'extends' takes the name of one declaration")
    file = beside / (name if name.endswith((".yaml", ".yml")) else f"{name}.yaml")
    if file.is_file():
        return file
    if in_zoo := zoo.path(name):
        return in_zoo
    known = {*zoo.names(), *(f.stem for f in beside.glob("*.yaml"))}
    raise _error(extends.origin, f"no declaration '{name}' to extend{suggestion(name, known)}")


def _mapping(node: Node, file: str) -> Node:
    if node.value is None:
        raise _error(
            Origin(file), "is empty; a declaration needs at least 'name' and 'model.layers'"
        )
    if not isinstance(node.value, dict):
        raise _error(node.origin, "a declaration is a mapping of keys, such as 'name: …'")
    return node


def _canonical(node: Node) -> Node:
    """Short forms written out: `data: NAME` and `optimizer: Adam`."""
    entries = dict(node.value)
    data, optimizer = entries.get("data"), entries.get("optimizer")
    if data is not None and isinstance(data.value, str):
        entries["data"] = Node({"name": data}, data.origin)
    if optimizer is not None and isinstance(optimizer.value, str):
        entries["optimizer"] = Node({optimizer.value: Node({}, optimizer.origin)}, optimizer.origin)
    return Node(entries, node.origin)


def _overridden(tree: Node, override: str) -> Node:
    origin = Origin(f"--set {override}")
    key, equals, text = override.partition("=")
    if not equals:
        raise _error(origin, "write a value of the declaration as KEY.KEY=VALUE")
    return overridden(tree, key, node_of(read_text(text, str(origin)).plain, origin))


def overridden(tree: Node, key: str, value: Node) -> Node:
    """The tree with a value laid over it at `key.key`; elements of lists are named by number.

    Raises:
        DeclarationError: the key names nothing that there could be.
    """
    origin = value.origin
    path = tuple(int(part) if part.isdigit() else part for part in key.strip().split("."))
    if "" in path:
        raise _error(origin, "write a value of the declaration as KEY.KEY=VALUE")
    if len(path) == 1:
        value = _canonical(Node({str(path[0]): value}, origin)).value[str(path[0])]
    try:
        return overlay(tree, path, value)
    except KeyError as error:
        raise _error(origin, error.args[0]) from None


def _error(origin: Origin, message: str) -> DeclarationError:
    return DeclarationError([Problem(origin.source, origin.line, message)])
