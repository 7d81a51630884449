"""Nested values that know where each of them was written, and how one tree is laid over another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

# The keys and list indices that lead from the root of a tree to one of its values.
Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Origin:
    """Where a value comes from: a file and a line, `--set`, or the reason for a default."""

    source: str
    line: int | None = None
    is_default: bool = field(default=False, compare=False)  # nobody wrote it

    def __str__(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"


@dataclass(frozen=True)
class Node:
    """A mapping of nodes, a list of nodes or a scalar, with its origin.

    `typo` says which one made the value null, if one did.
    """

    value: Any
    origin: Origin
    typo: str | None = field(default=None, kw_only=True)

    @property
    def plain(self) -> Any:
        """The value as ordinary dicts, lists and scalars."""
        if isinstance(self.value, dict):
            return {key: child.plain for key, child in self.value.items()}
        if isinstance(self.value, list):
            return [child.plain for child in self.value]
        return self.value

    def get(self, *path: str | int) -> Node | None:
        """The node at a path, or None."""
        node = self
        for key in path:
            if isinstance(node.value, dict) and key in node.value:
                node = node.value[key]
            elif isinstance(node.value, list) and isinstance(key, int) and key < len(node.value):
                node = node.value[key]
            else:
                return None
        return node

    def origin_of(self, path: Path) -> Origin:
        """Where the value at a path was written; if there is none, the closest value around it."""
        while (node := self.get(*path)) is None:
            path = path[:-1]
        return node.origin


@dataclass(frozen=True)
class Document(Node):
    """The root of a declaration's tree, and the files that it was read from, parents last."""

    files: tuple[FilePath, ...] = ()


def node_of(value: Any, origin: Origin) -> Node:
    """Plain values as a tree whose nodes all have the same origin."""
    if isinstance(value, dict):
        return Node({key: node_of(child, origin) for key, child in value.items()}, origin)
    if isinstance(value, (list, tuple)):
        return Node([node_of(child, origin) for child in value], origin)
    return Node(value, origin)


def with_origin(node: Node, change: Callable[[Origin], Origin]) -> Node:
    """The same tree, the origin of each node changed."""
    value = node.value
    if isinstance(value, dict):
        value = {key: with_origin(child, change) for key, child in value.items()}
    elif isinstance(value, list):
        value = [with_origin(child, change) for child in value]
    return Node(value, change(node.origin), typo=node.typo)


def merge(parent: Node, child: Node, path: Path = ()) -> Node:
    """The child laid over the parent: mappings merge, lists replace, null deletes.

    A mapping that names a Keras object (`{AdamW: {…}}`) merges with the same object and
    replaces a different one: no network has two optimizers. Null deletes what the parent defines;
    a null that deletes nothing stays, and is an error of the declaration.
    """
    if not (isinstance(parent.value, dict) and isinstance(child.value, dict)):
        return child
    if path == ("data",) and _is_other_data(parent, child):
        return child
    if _is_keras_object(child, path) and set(parent.value) != set(child.value):
        return child
    merged = dict(parent.value)
    for key, value in child.value.items():
        inherited = merged.get(key)
        if inherited is None:
            merged[key] = value
        elif value.value is None and _can_be_deleted(inherited):
            del merged[key]
        else:
            merged[key] = merge(inherited, value, (*path, key))
    return Node(merged, child.origin)


def _can_be_deleted(node: Node) -> bool:
    return node.value is not None and not node.origin.is_default


def _is_other_data(parent: Node, child: Node) -> bool:
    """Whether several data sets take the place of one, or of several others."""
    return "sets" in child.value or ("sets" in parent.value and "name" in child.value)


def _is_keras_object(node: Node, path: Path) -> bool:
    if len(node.value) != 1 or path == ("model", "defaults"):
        return False
    return path == ("optimizer",) or next(iter(node.value))[:1].isupper()


def overlay(node: Node, path: Path, value: Node, above: Path = ()) -> Node:
    """The node with a value laid over it at a path; list elements are addressed by their index.

    Raises:
        KeyError: the path names a list element that does not exist.
    """
    if not path:
        return merge(node, value, above)
    key, rest = path[0], path[1:]
    if isinstance(node.value, list):
        if not (isinstance(key, int) and 0 <= key < len(node.value)):
            raise KeyError(f"the list has the elements 0 to {len(node.value) - 1}, not '{key}'")
        elements = list(node.value)
        elements[key] = overlay(elements[key], rest, value, (*above, key))
        return Node(elements, node.origin)
    name = str(key)
    if isinstance(node.value, dict) and name in node.value and (rest or value.value is not None):
        child = overlay(node.value[name], rest, value, (*above, name))
        return Node({**node.value, name: child}, node.origin)
    return merge(node, Node({name: _nested(rest, value)}, value.origin), above)


def _nested(path: Path, value: Node) -> Node:
    for key in reversed(path):
        value = Node({str(key): value}, value.origin)
    return value


def without(node: Node, path: Path) -> Node:
    """The node without the value at a path."""
    if node.get(*path) is None:
        return node
    key, rest = path[0], path[1:]
    children: Any = node.value.copy()
    if rest:
        children[key] = without(children[key], rest)
    else:
        del children[key]
    return Node(children, node.origin)
