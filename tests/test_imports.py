"""What imports what, as docs/design.md says: the arrows between the folders point one way."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from wardrobe.models.schema import declaration
from wardrobe.serving.images import picture_input

ROOT = Path(__file__).parents[1]

FOREIGN = {
    "models": ("wardrobe.training", "wardrobe.serving"),
    "serving": ("wardrobe.models", "wardrobe.training"),
}
SHARED_WITH_TRAINING = (
    "wardrobe.serving.images",
    "wardrobe.serving.errors",
    "wardrobe.serving.inference.tensorflow",
)
PRIVATE = {"keras.src", "tensorflow.python", "jax._src"}


def imported(file: Path) -> Iterator[str]:
    """Every module that a file names in an import, also within its functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports_of(*folders: str) -> Iterator[tuple[Path, str]]:
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield from ((file.relative_to(ROOT), module) for module in imported(file))


def is_within(module: str, packages: tuple[str, ...] | set[str]) -> bool:
    return any(f"{module}.".startswith(f"{package}.") for package in packages)


@pytest.mark.parametrize("folder", FOREIGN)
def test_models_and_serving_know_neither_each_other_nor_training(folder):
    assert not [each for each in imports_of(folder) if is_within(each[1], FOREIGN[folder])]


def test_training_takes_of_serving_how_pictures_are_prepared_and_tensorflow_loaded():
    taken = [each for each in imports_of("training") if is_within(each[1], ("wardrobe.serving",))]
    assert taken
    assert not [each for each in taken if not is_within(each[1], SHARED_WITH_TRAINING)]


def test_nothing_private_of_a_library_is_imported():
    found = imports_of("models", "training", "serving", "wardrobe")
    assert not [each for each in found if is_within(each[1], PRIVATE)]


def test_a_declaration_names_the_preparations_that_the_service_has():
    assert get_args(declaration.Preparation) == get_args(picture_input.Preparation)
