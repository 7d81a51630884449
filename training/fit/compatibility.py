"""Which declarations can be trained as one program: those that differ in numbers only."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from wardrobe.models import Declaration
from wardrobe.models.schema.tree import Path

_IGNORED = ("name", "about", "seed")  # may differ in any way
_OF_EXAMPLES = ("augmentation", "distillation")  # decide what all members are trained on

Structure = tuple[tuple[Path, Any], ...]


def structure(declaration: Declaration) -> Structure:
    """What compatible declarations have in common: all values but the seed and free numbers."""
    return tuple(
        (path, "a number" if _is_free(path, value) else value)
        for path, value in sorted(leaves(declaration.tree.plain), key=str)
        if path[0] not in _IGNORED
    )


def check_compatible(declarations: Sequence[Declaration]) -> None:
    """Checks that declarations can be trained together.

    Raises:
        ValueError: they differ in more than numbers; the message names the first difference.
    """
    first, *others = declarations
    for other in others:
        mine, theirs = dict(structure(first)), dict(structure(other))
        for path in sorted(mine.keys() | theirs.keys(), key=str):
            if mine.get(path) != theirs.get(path):
                a, b = (dict(leaves(one.tree.plain)).get(path) for one in (first, other))
                place = ".".join(map(str, path))
                raise ValueError(f"cannot train together: {place} is {a} and {b}")


def _is_free(path: Path, value: Any) -> bool:
    """Numbers that Keras stores as attributes; durations become whole steps, which it tests."""
    if type(value) is not float or value <= 0 or path[0] in _OF_EXAMPLES:
        return False
    name = str(path[-1])
    of_optimizer = path[0] == "optimizer" and type(path[-1]) is str
    return name in ("rate", "stddev") or (of_optimizer and not name.endswith("epochs"))


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every value of a declaration that holds no others, with its path."""
    if isinstance(value, (dict, list)):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(child, (*path, key))
        if not value:
            yield path, value
    else:
        yield path, value
