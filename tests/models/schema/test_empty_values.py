"""An empty value deletes what a parent defines, and nothing else."""

import copy

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from wardrobe.models import DataFacts, DeclarationError, check, read, resolve
from wardrobe.models.schema.inheritance import complete
from wardrobe.models.schema.tree import Origin, node_of

FACTS = DataFacts((28, 28), 10)

WHOLE = yaml.safe_load("""
name: whole
about: everything that a declaration can say
seed: 17
data: {name: fashion-mnist, resplit: 1, take: 100}
precision: float32
deterministic: true
model:
  input: {shape: [28, 28], layers: [{Rescaling: {scale: 0.1}}, Flatten]}
  defaults: {Dense: {kernel_initializer: he_normal, use_bias: false}}
  layers:
    - repeat: 2
      layers: [{Dense: {units: 8, kernel_regularizer: {L2: {l2: 0.1}}}}, {Dropout: {rate: 0.2}}]
  head: {classes: 10, activation: softmax, use_bias: true}
optimizer:
  AdamW:
    weight_decay: 0.1
    learning_rate: {CosineDecay: {initial_learning_rate: 0.1, decay_epochs: 2}}
loss: {CategoricalCrossentropy: {label_smoothing: 0.1}}
metrics: [accuracy, {TopKCategoricalAccuracy: {k: 3}}]
training: {epochs: 3, batch_size: 16, validation: 0.1}
augmentation: {copies: 2, layers: [{RandomFlip: {mode: horizontal}}]}
callbacks: [{EarlyStopping: {monitor: val_loss, patience: 3}}]
""")  # fmt: skip


def paths(value, path=()):
    if isinstance(value, dict):
        for key, child in value.items():
            yield (*path, key)
            yield from paths(child, (*path, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield (*path, index)
            yield from paths(child, (*path, index))


PATHS = list(paths(WHOLE))


def changed(path, change):
    """The whole declaration with the mapping or list around a path changed."""
    value = copy.deepcopy(WHOLE)
    inner = value
    for key in path[:-1]:
        inner = inner[key]
    change(inner, path[-1])
    return value


def errors_of(value, tmp_path="x.yaml"):
    from pathlib import Path

    document = complete(node_of(value, Origin("x.yaml", 1)), Path(tmp_path))
    return check(document, FACTS)


def test_the_whole_declaration_is_right():
    assert errors_of(WHOLE) == []


@given(st.sampled_from(PATHS))
@settings(max_examples=20)
def test_null_anywhere_in_a_file_without_parents_is_an_error(path):
    assert errors_of(changed(path, lambda inner, key: inner.__setitem__(key, None)))


@given(st.sampled_from([path for path in PATHS if isinstance(path[-1], str)]), st.booleans())
@settings(max_examples=20)
def test_a_misspelt_key_anywhere_is_an_error_whatever_its_value(path, is_empty):
    def misspell(inner, key):
        value = inner.pop(key)
        inner[f"{key}x"] = None if is_empty else value

    assert errors_of(changed(path, misspell))


@given(st.sampled_from([path[:-1] for path in PATHS if isinstance(path[-1], str)]), st.booleans())
@settings(max_examples=10)
def test_a_key_that_nobody_knows_is_an_error_whatever_its_value(path, is_empty):
    def add(inner, key):
        inner[key] = None if is_empty else 3

    assert errors_of(changed((*path, "nobody"), add))


@pytest.mark.parametrize(
    ("child", "path"),
    [
        ("loss: null", ("loss",)),
        ("data: {take: null}", ("data", "take")),
        ("augmentation: ~", ("augmentation",)),
        ("model: {defaults: {Dense: {use_bias:   }}}", ("model", "defaults", "Dense", "use_bias")),
        ("optimizer: {AdamW: {weight_decay: }}", ("optimizer", "AdamW", "weight_decay")),
    ],
)
def test_deletes_what_a_parent_defines(write, child, path):
    write(yaml.safe_dump(WHOLE), "parent")
    read_back = read(str(write(f"name: child\nextends: parent\n{child}\n", "child")))
    assert read_back.get(*path) is None
    resolve(read_back, FACTS)


@pytest.mark.parametrize("override", ["loss=", "data.take=null", "augmentation=null"])
def test_deletes_on_the_command_line_what_the_file_defines(write, override):
    file = write(yaml.safe_dump(WHOLE), "whole")
    assert read(str(file), [override]).get(*override.split("=")[0].split(".")) is None


@pytest.mark.parametrize("key", ["loss", "metrics", "seed", "training", "callbacks", "extends"])
def test_what_only_the_defaults_say_cannot_be_deleted(write, key):
    file = write(f"name: x\nmodel: {{layers: []}}\n{key}:\n")
    with pytest.raises(DeclarationError, match=rf"small.yaml:3: '{key}'"):
        resolve(read(str(file)), FACTS)


def test_an_empty_value_of_a_parent_is_reported_at_the_parents_line(write):
    write("name: parent\nfoo:\nmodel: {layers: []}\n", "parent")
    (error,) = check(read(str(write("name: child\nextends: parent\n", "child"))), FACTS)
    assert (error.file.endswith("parent.yaml"), error.line) == (True, 2)
