"""YAML text to a tree of nodes: YAML 1.2 scalars, no duplicate keys, no aliases, no tags.

Plain PyYAML reads `1e-3` as text and `no` as false, and lets a second key of the same name
win silently. Here the events of its parser are read directly: `yaml.compose` would recurse
without a limit, resolve aliases, and no longer know which tags were written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path as FilePath
from typing import Any

import yaml

from wardrobe.models.schema import typos
from wardrobe.models.schema.errors import DeclarationError, ErrorDetail
from wardrobe.models.schema.tree import Node, Origin

LARGEST_FILE = 256 * 1024  # bytes; the longest declaration in the zoo has about 5,000
DEEPEST_NESTING = 40

# The core schema of YAML 1.2, section 10.3.2.
_INTEGER = re.compile(r"[-+]?[0-9]+$")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf"), float("inf")),
    "-.inf": float("-inf"),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), float("nan")),
}

DATA = (".csv", ".tsv", ".parquet", ".npz")
"""Endings of what somebody may give in place of a declaration."""


def read_file(file: FilePath, shown_as: str) -> Node:
    """A declaration file as a tree.

    Raises:
        DeclarationError: the file is missing, data, empty, too large, not text, or not YAML.
    """
    if file.is_dir() or file.suffix.lower() in DATA:
        cure = f"a declaration is a YAML file; `wardrobe init {shown_as}` writes one for data"
        raise DeclarationError.at(
            Origin(shown_as), f"is a {'folder' if file.is_dir() else 'file of data'}; {cure}"
        )
    try:
        with file.open("rb") as stream:
            content = stream.read(LARGEST_FILE + 1)
    except FileNotFoundError:
        raise DeclarationError.at(Origin(shown_as), "there is no such file") from None
    except OSError as error:
        raise DeclarationError.at(Origin(shown_as), f"cannot be read: {error.strerror}") from None
    if len(content) > LARGEST_FILE:
        raise DeclarationError.at(Origin(shown_as), f"is larger than {LARGEST_FILE // 1024} KB")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DeclarationError.at(
            Origin(shown_as), "is not a UTF-8 text file: save it as one"
        ) from None
    if file.suffix == ".json":  # which may be indented with tabs, and has none within a string
        text = text.replace("\t", " ")
    return read_text(text, shown_as)


def read_text(text: str, source: str) -> Node:
    """YAML text as a tree; the origin of each node is the source and the line of the node.

    Raises:
        DeclarationError: with every duplicate key, alias and tag, or the first syntax error.
    """
    builder = _Builder(source)
    try:
        node = builder.document(yaml.parse(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = mark.line + 1 if mark else None
        cure = typos.in_lines(text.splitlines(), mark.line) if mark else ""
        cure = cure or _bracket(error)
        message = f"is not YAML: {error.problem or error.context}{cure}"
        raise DeclarationError.at(Origin(source, at), message) from None
    except yaml.reader.ReaderError:
        message = "is not text: it contains control characters"
        raise DeclarationError.at(Origin(source), message) from None
    if builder.errors:
        raise DeclarationError(builder.errors)
    return node


class _Builder:
    """Builds nodes from parser events and collects an error for all that is not allowed."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.errors: list[ErrorDetail] = []

    def document(self, events: Iterator[Any]) -> Node:
        node = Node(None, Origin(self.source, 1))
        documents = 0
        for event in events:
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                node = self.node(next(events), events, depth=0)
                if documents == 2:
                    self.add_error(
                        event, "a second document starts here; a declaration is a single one"
                    )
        return node

    def node(self, event: Any, events: Iterator[Any], depth: int, is_prose: bool = False) -> Node:
        """The node that begins with an event; in prose, any character may be meant."""
        origin = Origin(self.source, event.start_mark.line + 1)
        if depth > DEEPEST_NESTING:
            message = f"nested deeper than {DEEPEST_NESTING} levels"
            raise DeclarationError.at(origin, message)
        if isinstance(event, yaml.AliasEvent):
            self.add_error(
                event, "an alias (*) is not allowed: use 'defaults', 'extends' or 'repeat'"
            )
            return Node(None, origin)
        if event.tag is not None and event.tag != "!":
            self.add_error(event, f"a tag ({event.tag}) is not allowed: use plain values only")
        if isinstance(event, yaml.MappingStartEvent):
            return Node(self.mapping(events, depth), origin)
        if isinstance(event, yaml.SequenceStartEvent):
            return Node(self.sequence(events, depth), origin)
        if event.style:
            return Node(event.value, origin)
        if not is_prose and (wrong := typos.in_characters(event.value)):
            self.add_error(event, wrong)
        return Node(_scalar(event.value), origin)

    def mapping(self, events: Iterator[Any], depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        before = None
        for key in iter(lambda: next(events), None):
            if isinstance(key, yaml.MappingEndEvent):
                break
            if not isinstance(key, yaml.ScalarEvent):
                self.node(key, events, depth + 1)
                self.add_error(key, "a key must be a string")
            name = getattr(key, "value", "")
            if not getattr(key, "style", "'") and (wrong := typos.in_key(name)):
                self.add_error(key, wrong)
            is_prose = depth == 0 and name == "about"
            value = self.node(next(events), events, depth + 1, is_prose)
            if isinstance(value.value, (dict, list)):  # a block begins in a line of its own
                value = Node(value.value, Origin(self.source, key.start_mark.line + 1))
            if value.value is None:
                value = Node(None, value.origin, typo=typos.in_empty_key(name, before))
            before = (name, value.value)
            if name in entries:
                first = entries[name].origin.line
                self.add_error(key, f"duplicate key '{name}', first given in line {first}")
            entries[name] = value
        return entries

    def sequence(self, events: Iterator[Any], depth: int) -> list[Node]:
        elements: list[Node] = []
        for event in iter(lambda: next(events), None):
            if isinstance(event, yaml.SequenceEndEvent):
                break
            elements.append(self.node(event, events, depth + 1))
        return elements

    def add_error(self, event: Any, message: str) -> None:
        self.errors.append(ErrorDetail(self.source, event.start_mark.line + 1, message))


def _bracket(error: yaml.MarkedYAMLError) -> str:
    """Which bracket may lack its partner, `; …`, where YAML broke off within one."""
    start, end, context = error.context_mark, error.problem_mark, error.context or ""
    if start is None or end is None or "flow" not in context:
        return ""
    bracket = "[" if "sequence" in context else "{"
    if start.line == end.line:
        return f"; a comma is missing, or the {bracket} is not closed"
    return f"; the {bracket} in line {start.line + 1} is not closed"


def _scalar(text: str) -> Any:
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.match(text) and len(text) < 40:
        return int(text)
    if _FLOAT.match(text):
        return float(text)
    return text
