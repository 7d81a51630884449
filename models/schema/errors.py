"""What is wrong with a declaration, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from wardrobe.models.schema.tree import Origin


@dataclass(frozen=True, order=True)
class ErrorDetail:
    """One error in one file, printed as `file:line: message`."""

    file: str
    line: int | None
    message: str

    @classmethod
    def at(cls, origin: Origin, message: str) -> ErrorDetail:
        """An error in a value, given the value's origin."""
        return cls(origin.source, origin.line, message)

    def __str__(self) -> str:
        location = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{location}: {self.message}"


class DeclarationError(Exception):
    """Everything that is wrong with a declaration; its text has one line per error."""

    def __init__(self, errors: Iterable[ErrorDetail]) -> None:
        self.errors = tuple(dict.fromkeys(errors))
        super().__init__("\n".join(map(str, self.errors)))

    @classmethod
    def at(cls, origin: Origin, message: str) -> DeclarationError:
        """A single error in a value, given the value's origin."""
        return cls([ErrorDetail.at(origin, message)])

    def __reduce__(self) -> tuple[type[DeclarationError], tuple[tuple[ErrorDetail, ...]]]:
        """Unpickles from the errors, not from the text, which is all that exceptions keep."""
        return type(self), (self.errors,)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean '…'?`, or an empty string if no known name resembles the word."""
    names: dict[str, str] = {}
    for name in known:
        names.setdefault(name.lower(), name)
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return f"; did you mean '{names[close[0]]}'?" if close else ""


def suggestion(word: str, known: Iterable[str]) -> str:
    """What an unknown word may mean: as `did_you_mean`, or else all names, `; there are …`."""
    names = list(known)
    return did_you_mean(word, names) or f"; there are {', '.join(names)}"
