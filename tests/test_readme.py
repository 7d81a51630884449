"""What the README tells a newcomer to write and to call is true."""

from __future__ import annotations

import re
from pathlib import Path

import click

from wardrobe import cli
from wardrobe.models import DataFacts, check, read

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PICTURES = DataFacts(input_shape=(28, 28), classes=10)


def test_its_first_declaration_is_sound(tmp_path):
    section = README.partition("## A first declaration of your own")[2]
    text = section.partition("```yaml\n")[2].partition("```")[0]
    file = tmp_path / "mine.yaml"
    file.write_text(text)
    assert check(read(str(file)), PICTURES) == []
    assert check(read(str(file), ["model.layers.0.repeat=3"]), PICTURES) == []


def test_it_names_every_command():
    for name, command in cli.main.commands.items():
        names = [f"{name} {inner}" for inner in getattr(command, "commands", {})] or [name]
        for full in names:
            assert f"`wardrobe {full}" in README


def test_it_names_every_option():
    for command in cli.main.commands.values():
        for option in command.params:
            if isinstance(option, click.Option):
                spellings = (*option.opts, *option.secondary_opts)
                assert any(name in README for name in spellings), (command.name, spellings)


def test_its_links_lead_somewhere():
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
