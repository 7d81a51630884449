"""What is wrong with a declaration, and where."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Problem:
    """One mistake in one file, printed as `file:line: message`."""

    file: str
    line: int | None
    message: str

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.message}"


class DeclarationError(Exception):
    """Everything that is wrong with a declaration, one line a problem."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(dict.fromkeys(problems))
        super().__init__("\n".join(map(str, self.problems)))

    def __reduce__(self) -> tuple[type[DeclarationError], tuple[tuple[Problem, ...]]]:
        """How it comes out of another process: made of its problems again, not of its text."""
        return type(self), (self.problems,)


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean '…'?`, or nothing where no known name is like the word."""
    names: dict[str, str] = {}
    for name in known:
        names.setdefault(name.lower(), name)
    close = difflib.get_close_matches(word.lower(), names, n=1, cutoff=0.6)
    return f"; did you mean '{names[close[0]]}'?" if close else ""
