"""What the documentation says can be typed, followed and run."""

from __future__ import annotations

import ast
import io
import json
import pkgutil
import re
import shlex
import tomllib

import click
import pytest
from PIL import Image

from tests.docs.pages import PAGES, ROOT, anchors, blocks, links
from wardrobe import cli
from wardrobe.models import DataFacts, check, read, resolve
from wardrobe.serving.app import create_app
from wardrobe.serving.settings import Settings
from wardrobe.training.studies import study

PICTURES = DataFacts(input_shape=(28, 28), classes=10)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def of(language, *marks):
    """The blocks of a language on all pages; with `marks` only those marked so."""
    found = [block for page in PAGES for block in blocks(page, language)]
    return [block for block in found if not marks or block.mark in marks]


def test_every_command_is_named():
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for name, command in cli.main.commands.items():
        names = [f"{name} {inner}" for inner in getattr(command, "commands", {})] or [name]
        for full in names:
            assert f"`wardrobe {full}" in text


def test_every_option_is_named():
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    commands = {**cli.main.commands, **cli.main.commands["data"].commands}
    for command in commands.values():
        for option in command.params:
            if isinstance(option, click.Option):
                for spelling in (*option.opts, *option.secondary_opts):
                    assert spelling in text, (command.name, spelling)


COMMANDS = [
    pytest.param(line.removeprefix("$ "), id=f"{block}-{line}")
    for block in (*of("sh"), *of(""))
    for line in block.text.splitlines()
    if line.removeprefix("$ ").startswith("wardrobe ")
]


@pytest.mark.parametrize("line", COMMANDS)
def test_a_command_is_one_that_the_command_line_takes(line):
    _, name, *arguments = shlex.split(line.partition(" > ")[0], comments=True)
    command = cli.main.commands[name]
    while isinstance(command, click.Group):
        command = command.commands[arguments.pop(0)]
    try:
        command.make_context(name, arguments)
    except click.BadParameter as error:
        if "does not exist" not in error.message:  # the reader's own files
            raise


def test_every_extra_is_named():
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for extra in project["optional-dependencies"].keys() - {"dev", "docs"}:
        assert f"| `{extra}` |" in text


def test_every_setting_of_the_service_is_named():
    from dataclasses import fields

    from wardrobe.serving.settings import Settings

    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    for setting in fields(Settings):
        assert f"`WARDROBE_{setting.name.upper()}`" in text


def test_every_metric_is_named():
    text = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    sources = (file.read_text(encoding="utf-8") for file in (ROOT / "serving").rglob("*.py"))
    metrics = {name for source in sources for name in re.findall(r'"(wardrobe_\w+)"', source)}
    assert len(metrics) >= 10
    for name in metrics:
        assert re.search(rf"`{name}(_total)?\b", text), name


def test_every_function_that_the_design_names_is_there():
    text = (ROOT / "docs" / "design.md").read_text(encoding="utf-8")
    names = re.findall(r"`((?:models|training|serving)(?:\.\w+)+)`", text)
    assert len(names) > 15
    for name in names:
        pkgutil.resolve_name(f"wardrobe.{name}")


@every_page
def test_its_links_lead_somewhere(page):
    for path, anchor in links(page):
        target = page.parent / path if path else page
        assert target.exists(), path
        if anchor:
            assert anchor in anchors(target), (path, anchor)


@pytest.mark.parametrize("block", of("yaml", ""), ids=str)
def test_a_declaration_is_sound(block, tmp_path):
    file = tmp_path / "declaration.yaml"
    file.write_text(block.text, encoding="utf-8")
    assert check(read(str(file)), PICTURES) == []


def test_the_declaration_that_starts_from_other_weights_gets_those_that_it_freezes(tmp_path):
    from wardrobe.models.build import build
    from wardrobe.training import transfer

    (block,) = (block for block in of("yaml", "") if "\n  from: " in block.text)
    file = tmp_path / "declaration.yaml"
    file.write_text(block.text, encoding="utf-8")
    declaration = resolve(read(str(file)), PICTURES)
    network = build(declaration).network
    transferred = transfer.begin(network, declaration, ["other", "classes"])
    assert transferred is not None
    frozen = [layer.name for layer in network.layers if layer.weights and not layer.trainable]
    assert transferred.taken == frozen


@pytest.mark.parametrize("block", of("yaml", "a study"), ids=str)
def test_a_study_can_be_read(block, tmp_path):
    file = tmp_path / "study.yaml"
    file.write_text(block.text, encoding="utf-8")
    assert len(list(study.read(str(file)).axes)) == 2


@pytest.fixture(scope="module")
def answer():
    """The service's answer to a picture on a plain background."""
    picture, sent = Image.new("RGB", (60, 60), "white"), io.BytesIO()
    picture.paste("black", (20, 10, 40, 50))
    picture.save(sent, "png")
    client = create_app(Settings(artifacts=(ROOT / "pretrained",))).test_client()
    return client.post("/predict?top=1", data=sent.getvalue()).json


@pytest.mark.parametrize(
    "block", [block for block in of("json") if block.text.startswith('{"predictions"')], ids=str
)
def test_an_answer_has_the_fields_of_the_service(block, answer):
    shown = json.loads(block.text)
    assert shown.keys() == answer.keys()
    assert list(shown["predictions"][0]) == list(answer["predictions"][0])


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_compiles(block):
    compile(block.text, str(block), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("block", of("python", "runnable"), ids=str)
def test_what_is_marked_runnable_runs(block, tmp_path, monkeypatch):
    (tmp_path / "pretrained").symlink_to(ROOT / "pretrained")
    monkeypatch.chdir(tmp_path)
    exec(compile(block.text, str(block), "exec"), {})
