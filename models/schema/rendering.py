"""A declaration as YAML text, each value with a comment that says where it came from."""

from __future__ import annotations

import json
from collections.abc import Iterator

from wardrobe.models.schema.tree import Node

COLUMN = 60  # where the comments start


def render(tree: Node) -> str:
    """A tree as YAML text with the origin of each value as a comment."""
    lines = (
        f"{text:<{COLUMN}} # {origin}" if origin else text for text, origin in _block(tree, "")
    )
    return "\n".join(lines) + "\n"


def _block(node: Node, indent: str) -> Iterator[tuple[str, str]]:
    """The lines of a mapping or a list, one entry below the other, and the origin of each."""
    entries = (
        [(f"{key}:", child) for key, child in node.value.items()]
        if isinstance(node.value, dict)
        else [("-", child) for child in node.value]
    )
    for lead, child in entries:
        if not _is_nested(child):
            yield f"{indent}{lead} {_scalar(child)}", str(child.origin)
        elif lead == "-":
            inner = list(_block(child, f"{indent}  "))
            first, origin = inner[0]
            yield f"{indent}- {first.lstrip()}", origin
            yield from inner[1:]
        else:
            yield f"{indent}{lead}", ""
            yield from _block(child, f"{indent}  ")


def _is_nested(node: Node) -> bool:
    """Whether a node takes lines of its own; a list of plain values fits on one."""
    if isinstance(node.value, list):
        return any(_is_nested(child) for child in node.value)
    return isinstance(node.value, dict) and bool(node.value)


def _scalar(node: Node) -> str:
    """A value as JSON, which is also YAML; plain words without quotes."""
    plain = node.plain
    if isinstance(plain, str) and plain.replace("_", "").replace("-", "").isalnum():
        return plain if not plain[0].isdigit() and plain not in _NOT_PLAIN else json.dumps(plain)
    return json.dumps(plain, ensure_ascii=False)


_NOT_PLAIN = ("null", "true", "false")
