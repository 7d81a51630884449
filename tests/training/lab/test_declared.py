"""The declaration on the lab's page: the form and the text say the same."""

from __future__ import annotations

import hypothesis
import pytest
import yaml
from hypothesis import strategies as st

from wardrobe.models import DeclarationError
from wardrobe.training.lab import declared

RINGS = """\
name: mine
data: rings
model:
  layers:
    - Dense: {units: 4, activation: tanh}
    - BatchNormalization
    - Dropout: {rate: 0.1}
    - Dense: {units: 3, activation: tanh}
    - BatchNormalization
    - Dropout: {rate: 0.1}
  head: {activation: sigmoid}
optimizer: {SGD: {learning_rate: 0.5, momentum: 0.9}}
training: {epochs: 9, batch_size: 50, validation: 0.2}
"""

VALUES = {
    "data": st.sampled_from(["xor", "rings", "moons", "spirals", "checkerboard", "fashion-mnist"]),
    "layers": st.lists(st.integers(1, 9), min_size=1, max_size=4).map(
        lambda units: ", ".join(map(str, units))
    ),
    "activation": st.sampled_from(["relu", "tanh", "sigmoid", "step"]),
    "initializer": st.sampled_from(["he_normal", "glorot_uniform"]),
    "batch_norm": st.booleans(),
    "dropout": st.sampled_from([0.0, 0.1, 0.5]),
    "optimizer": st.sampled_from(["SGD", "Adam", "AdamW", "Adagrad"]),
    "learning_rate": st.sampled_from([1e-5, 0.01, 3.0]),
    "weight_decay": st.sampled_from([0, 1e-4]),
    "batch_size": st.integers(1, 500),
    "epochs": st.integers(1, 500),
    "validation": st.sampled_from([0.0, 0.2, 100]),
    "seed": st.integers(0, 99),
}


def form(text: str) -> dict[str, object]:
    return declared.form(declared.read(text))


def messages(text: str) -> list[tuple[int | None, str]]:
    return [(one.line, one.message) for one in declared.errors(text)]


def test_the_form_shows_the_usual_values() -> None:
    assert form(RINGS) == {
        "name": "mine",
        "data": "rings",
        "layers": "4, 3",
        "activation": "tanh",
        "initializer": "glorot_uniform",
        "batch_norm": True,
        "dropout": 0.1,
        "optimizer": "SGD",
        "learning_rate": 0.5,
        "weight_decay": 0,
        "batch_size": 50,
        "epochs": 9,
        "validation": 0.2,
        "seed": 1,
    }


@hypothesis.settings(max_examples=30)
@hypothesis.given(st.lists(st.sampled_from([*VALUES]), max_size=5), st.data())
def test_what_the_form_is_given_it_shows(names: list[str], data: st.DataObject) -> None:
    text = RINGS
    for name in names:
        value = data.draw(VALUES[name])
        before, text = form(text), declared.change(text, name, value)
        after = form(text)
        assert after[name] == value
        unchanged = before.keys() - {name}
        assert {key: after[key] for key in unchanged} == {key: before[key] for key in unchanged}


def test_a_network_without_hidden_layers_has_no_activation_to_show() -> None:
    text = declared.change(RINGS, "layers", "")
    shown = form(text)
    assert (shown["layers"], shown["activation"], shown["dropout"]) == ("", None, None)
    assert form(declared.change(text, "layers", "2"))["layers"] == "2"


def test_what_the_form_does_not_show_stays() -> None:
    changed = yaml.safe_load(declared.change(RINGS, "learning_rate", "1e-2"))
    assert changed["optimizer"] == {"SGD": {"learning_rate": 0.01, "momentum": 0.9}}
    text = RINGS.replace("tanh}", "tanh, kernel_regularizer: {L2: {l2: 0.1}}}")
    changed = yaml.safe_load(declared.change(text, "layers", "5"))
    regularized = {"units": 5, "activation": "tanh", "kernel_regularizer": {"L2": {"l2": 0.1}}}
    assert changed["model"]["layers"][0] == {"Dense": regularized}


def test_layers_that_differ_are_left_to_the_text() -> None:
    text = RINGS.replace("units: 3, activation: tanh", "units: 3, activation: relu")
    assert form(text)["layers"] is None
    with pytest.raises(ValueError, match="differ"):
        declared.change(text, "layers", "4")


def test_repeated_layers_are_shown_one_by_one() -> None:
    text = "name: a\ndata: xor\nmodel: {layers: [{repeat: 3, layers: [{Dense: {units: 2}}]}]}\n"
    assert form(text)["layers"] == "2, 2, 2"


def test_another_data_set_brings_a_head_that_fits() -> None:
    for name, head in {"curve": "linear", "fashion-mnist": "softmax", "moons": "sigmoid"}.items():
        text = declared.change(RINGS, "data", name)
        assert declared.errors(text) == []
        assert yaml.safe_load(text)["model"]["head"] == {"activation": head}


def test_errors_are_those_of_check_at_their_line() -> None:
    text = RINGS.replace("units: 3", "unit: 3").replace("epochs: 9", "epochs: -1")
    assert [line for line, _ in messages(text)] == [8, 13]
    assert "unit" in messages(text)[0][1]
    assert messages("name: [")[0][1].startswith("is not YAML")
    assert messages("")[0][1].startswith("is empty")


@pytest.mark.parametrize("value", ["abc", "-1", "1.5", "{a: 1}", "&x", "'"])
def test_a_wrong_value_in_the_form_is_an_error_at_its_line(value: str) -> None:
    text = declared.change(RINGS, "epochs", value)
    ((line, message),) = messages(text)
    assert "epochs" in text.splitlines()[(line or 0) - 1]
    assert "epochs" in message


def test_a_text_that_cannot_be_read_is_not_changed() -> None:
    with pytest.raises(DeclarationError):
        declared.change("name: [", "epochs", 3)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("extends: /etc/passwd", "networks of the zoo only"),
        ("extends: ../../secret", "networks of the zoo only"),
        ("extends: [a]", "networks of the zoo only"),
        ("data: /etc", "the lab takes the data sets"),
        ("data: {name: ../private}", "the lab takes the data sets"),
        ("distillation: {teacher: teacher-cnn, temperature: 1, weight: 1}", "trains no teachers"),
        ("model: {layers: [{Dense: {units: 1000000}}]}", "at most 10,000"),
        ("model: {layers: [{Lambda: {function: 'print(1)'}}]}", "not allowed"),
        ("callbacks: [{CSVLogger: {filename: /tmp/x}}]", "not allowed"),
        ("callbacks: [{TensorBoard: {log_dir: ../../x}}]", "inside the run folder"),
    ],
)
def test_a_text_from_somebody_elses_link_reaches_nothing(line: str, message: str) -> None:
    own = {
        "name": "mine",
        "data": "xor",
        "model": {"layers": [], "head": {"activation": "sigmoid"}},
    }
    ((number, found),) = messages(yaml.safe_dump(own | yaml.safe_load(line), sort_keys=False))
    assert message in found
    assert number is not None


def test_a_text_that_is_too_large_is_refused() -> None:
    ((_, message),) = messages("about: " + "a" * declared.LARGEST_TEXT)
    assert message == "is larger than 64 KB"


def test_everything_to_begin_with_is_a_declaration_without_errors() -> None:
    choices = declared.choices()
    texts = [start["yaml"] for start in choices["start"]]
    texts += [each["yaml"] for study in choices["lecture"] for each in study["variants"][:1]]
    assert {row for study in choices["lecture"] for row in study["rows"]} == {*range(1, 27)}
    assert {text: found for text in texts if (found := declared.errors(text))} == {}


def test_the_variants_of_a_study_are_those_of_its_axes() -> None:
    studies = {study["title"]: study for study in declared.choices()["lecture"]}
    variants = studies["How many hidden units are needed"]["variants"]
    assert [variant["title"] for variant in variants][:2] == ["units: 1", "units: 2"]
    assert [form(variant["yaml"])["layers"] for variant in variants][-1] == "500"
