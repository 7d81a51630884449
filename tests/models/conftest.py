"""Declarations written by tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from wardrobe.models import DataFacts, Declaration, DeclarationError, check, read, resolve

PICTURES = DataFacts(input_shape=(28, 28), classes=10)

SMALLEST = """\
name: small
model: {layers: [{Dense: {units: 8, activation: relu}}]}
"""


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a declaration file and returns its path."""

    def write(text: str = SMALLEST, name: str = "small") -> Path:
        file = tmp_path / f"{name}.yaml"
        file.write_text(dedent(text), encoding="utf-8")
        return file

    return write


@pytest.fixture
def declare(write: Callable[..., Path]) -> Callable[..., Declaration]:
    """A resolved declaration from YAML text and `--set` overrides."""

    def declare(text: str = SMALLEST, *overrides: str, facts: DataFacts = PICTURES) -> Declaration:
        return resolve(read(str(write(text)), overrides), facts)

    return declare


@pytest.fixture
def errors(write: Callable[..., Path]) -> Callable[..., list[str]]:
    """All errors of YAML text, each as `line: message`."""

    def errors(text: str, *overrides: str, facts: DataFacts = PICTURES) -> list[str]:
        try:
            found = check(read(str(write(text)), overrides), facts)
        except DeclarationError as error:
            found = list(error.errors)
        return [f"{detail.line}: {detail.message}" for detail in found]

    return errors
