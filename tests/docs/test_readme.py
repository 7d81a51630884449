"""The README is one page, and what it tells a newcomer to write is right."""

from __future__ import annotations

from tests.docs.pages import ROOT, blocks
from wardrobe.models import DataFacts, check, read

README = ROOT / "README.md"
PICTURES = DataFacts(input_shape=(28, 28), classes=10)


def test_it_is_one_page():
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 200


def test_its_first_declaration_is_sound(tmp_path):
    (declaration,) = blocks(README, "yaml")
    file = tmp_path / "mine.yaml"
    file.write_text(declaration.text)
    assert check(read(str(file)), PICTURES) == []
    assert check(read(str(file), ["model.layers.0.repeat=3"]), PICTURES) == []


def test_its_table_of_the_zoo_is_that_of_the_results():
    from wardrobe.training.results import records

    text = README.read_text(encoding="utf-8")
    for name, runs in records.records().items():
        summary = records.summarize(runs)
        spread = summary.accuracy_spread
        accuracy = f"{summary.accuracy:.4f}" + (f" ± {spread:.4f}" if spread else "")
        assert f"| `{name}` | {summary.parameters:,} | {accuracy} |" in text
