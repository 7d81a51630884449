"""What the results take from the declarations of the zoo: their networks, texts and digests."""

from __future__ import annotations

from dataclasses import dataclass

from wardrobe.models import Declaration, read, resolve, zoo
from wardrobe.training.data.declarations import describe_data, load_declaration


@dataclass(frozen=True)
class Entry:
    """A network of the zoo: its layers and texts."""

    layers: str
    about: str
    notes: str
    is_teacher: bool


def networks() -> list[Declaration]:
    """The networks of the zoo; a file without layers is a base that others extend."""
    trees = [read(name) for name in zoo.names()]
    return [resolve(tree, describe_data(tree)) for tree in trees if tree.get("model", "layers")]


def entries() -> dict[str, Entry]:
    """The networks of the zoo by name."""
    return {
        declaration.name: Entry(
            layers=declaration.architecture,
            about=declaration.about,
            notes=zoo.notes(declaration.name),
            is_teacher=zoo.is_teacher(declaration.name),
        )
        for declaration in networks()
    }


def bases() -> dict[str, str]:
    """The notes of the files that networks extend, by name; files without notes are left out."""
    extended = set(zoo.names()) - {declaration.name for declaration in networks()}
    notes = {name: zoo.notes(name) for name in sorted(extended)}
    return {name: text for name, text in notes.items() if text}


def digest(name: str, resplit: int | None) -> str | None:
    """The digest of a network of the zoo, by the seed of its test set; None if there is none.

    resplit: seed of a test set drawn anew; None: the official test set.
    """
    if zoo.path(name) is None:
        return None
    overrides = () if resplit is None else (f"data.resplit={resplit}",)
    return load_declaration(name, overrides).digest
