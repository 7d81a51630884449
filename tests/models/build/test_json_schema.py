"""The JSON Schema accepts what ships and refuses what `check` refuses."""

import json
import re
from pathlib import Path

import jsonschema
import pytest

from wardrobe.models import zoo
from wardrobe.models.build.json_schema import json_schema
from wardrobe.models.schema.yaml_reader import read_file, read_text

ROOT = Path(__file__).parents[3]
FILE = ROOT / "models" / "schema" / "declaration.schema.json"
EXAMPLES = [
    pytest.param(text, id=f"{page.stem} {number}")
    for page in sorted(ROOT.glob("docs/*.md"))
    for number, text in enumerate(re.findall(r"```yaml\n(.*?)```", page.read_text(), re.S))
    if re.match(r"(#.*\n)*name:", text)
]


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(json_schema())
    return jsonschema.Draft202012Validator(json_schema())


def test_the_file_beside_the_zoo_is_that_of_the_installed_keras():
    wanted = json.loads(json.dumps(json_schema()))
    assert json.loads(FILE.read_text()) == wanted, "run `wardrobe schema > " + FILE.name + "`"


@pytest.mark.parametrize("name", zoo.names())
def test_the_zoo_is_accepted_and_names_it_in_its_first_line(validator, name):
    file = zoo.path(name)
    validator.validate(read_file(file, name).plain)
    first = file.read_text().splitlines()[0]
    assert first.startswith(zoo.FOR_EDITORS)
    assert (file.parent / first.removeprefix(zoo.FOR_EDITORS)).samefile(FILE)
    assert zoo.FOR_EDITORS not in f"# {zoo.notes(name)}"


@pytest.mark.parametrize("file", sorted(ROOT.glob("pretrained/*/1/assets.extra/declaration.yaml")))
def test_resolved_declarations_are_accepted(validator, file):
    validator.validate(read_file(file, file.name).plain)


@pytest.mark.parametrize("text", EXAMPLES)
def test_examples_of_the_documentation_are_accepted(validator, text):
    validator.validate(read_text(text, "example").plain)


MISSPELT = [
    "trainig: {epochs: 3}",
    "training: {epoch: 3}",
    "training: {epochs:3}",
    "training: {epochs: '3'}",
    "training: {validation: 0,2}",
    "model: {layers: [Dens]}",
    "model: {layers: [{Dens: {units: 3}}]}",
    "model: {layers: [{Dense: {unit: 3}}]}",
    "model: {layers: [{Dense: {units: 3, kernel_initializer: he_norml}}]}",
    "model: {layers: [{Dense: {units: 3, kernel_regularizer: {L2: {l: 1}}}}]}",
    "model: {layers: [{Dense: {units: 3, use_bias: no}}]}",
    "model: {layers: [{Dropout: {rate: '0.2'}}]}",
    "model: {layers: [{Lambda: {}}]}",
    "model: {layers: [], defaults: {Dens: {units: 3}}}",
    "model: {layers: [], head: {activation: softmx}}",
    "model: {layers: [], head: {use_bia: true}}",
    "model: {layers: [{repeat: two, layers: []}]}",
    "optimizer: Adm",
    "optimizer: {Adam: {lr: 0.1}}",
    "optimizer: {Adam: {learning_rate: {CosineDecy: {decay_epochs: 3}}}}",
    "optimizer: {Adam: {learning_rate: {CosineDecay: {decay_epoch: 3}}}}",
    "loss: msee",
    "metrics: [acuracy]",
    "callbacks: [EarlyStoping]",
    "callbacks: [{EarlyStopping: {patiance: 3}}]",
    "callbacks: {EarlyStopping: {patience: 3}}",
    "precision: float16",
]


@pytest.mark.parametrize("text", MISSPELT)
def test_what_check_refuses_is_refused(validator, errors, text):
    layers = "" if text.startswith("model") else "model: {layers: []}\n"
    text = f"name: small\n{layers}{text}\n"
    assert errors(text)
    assert not validator.is_valid(read_text(text, "x").plain)


def test_editors_show_defaults_and_what_an_argument_means(validator):
    dense = validator.schema["$defs"]["layer Dense"]
    assert dense["properties"]["use_bias"]["default"] is True
    assert "dimensionality" in dense["properties"]["units"]["description"]
    assert dense["description"].endswith(".")
