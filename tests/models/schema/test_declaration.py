"""The schema of a declaration: keys, types, and what follows from the data."""

import pytest

from wardrobe.models import DataFacts


def test_defaults_for_pictures(declare):
    declaration = declare()
    assert declaration.model.input.shape == [28, 28]
    assert declaration.tree.plain["model"]["input"]["layers"] == [
        {"Rescaling": {"scale": 0.00392156862745098}},
        "Flatten",
    ]
    assert declaration.model.head.units == 10
    assert declaration.loss == "sparse_categorical_crossentropy"
    assert declaration.metrics == ["accuracy"]


def test_defaults_for_a_table(declare):
    table = DataFacts(input_shape=(2,), classes=2)
    declaration = declare("name: t\nmodel: {head: {activation: sigmoid}, layers: []}", facts=table)
    assert declaration.model.input.shape == [2]
    assert declaration.tree.plain["model"]["input"]["layers"] == []
    assert declaration.model.head.units == 1
    assert declaration.loss == "binary_crossentropy"


def test_defaults_for_regression(declare):
    curve = DataFacts(input_shape=(1,), classes=None)
    declaration = declare("name: t\nmodel: {head: {activation: linear}, layers: []}", facts=curve)
    assert declaration.model.head.units == 1
    assert declaration.loss == "mean_squared_error"
    assert declaration.metrics == []


def test_repeat_is_expanded_and_defaults_are_filled_in(declare):
    declaration = declare("""
        name: deep
        model:
          defaults: {Dense: {use_bias: false, units: 4}}
          layers:
            - repeat: 2
              layers:
                - Dense: {units: 8}
                - repeat: 2
                  layers: [Dense]
        """)
    units = [layer.arguments["units"] for layer in declaration.layers("model", "layers")]
    assert units == [8, 4, 4, 8, 4, 4]
    assert declaration.architecture == "784-8-2×4-8-2×4-10"


def test_digest_covers_what_determines_the_result(declare):
    layers = "model: {layers: [{Dense: {units: 8}}]}"
    digest = declare(f"name: small\n{layers}").digest
    assert digest == declare(f"name: other\nabout: same\nseed: 9\n{layers}").digest
    assert digest != declare(f"name: small\n{layers}", "model.layers.0.Dense.units=9").digest
    assert digest != declare(f"name: small\n{layers}", "training.epochs=9").digest


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("trainig: {epochs: 3}", "3: unknown key 'trainig'; did you mean 'training'?"),
        ("training: {epoch: 3}", "3: unknown key 'epoch'; did you mean 'epochs'?"),
        ("training: {epochs: 2.5}", "3: training.epochs must be a valid integer, not 2.5"),
        ("training: {epochs: '3'}", "3: training.epochs must be a valid integer, not '3'"),
        ("training: {epochs: 0}", "3: training.epochs must be greater than or equal to 1, not 0"),
        ("training: {batch_size: -1}", "training.batch_size must be greater than or equal to 1"),
        ("training: {validation: 1.5}", "a number of examples or a fraction below 1, not 1.5"),
        ("training: {validation: many}", "a number of examples or a fraction below 1"),
        (
            "training: {class_weight: equal}",
            "must be 'balanced' or a number of at least 0 for each",
        ),
        ("training: {class_weight: {Coat: -1}}", "a number of at least 0 for each class"),
        ("training: {class_weight: {Coat: heavy}}", "not {'Coat': 'heavy'}"),
        ("seed: -1", "seed must be greater than or equal to 0"),
        ("seed: true", "seed must be a valid integer, not True"),
        ("precision: float16", "'float32', 'mixed_bfloat16' or 'mixed_float16'"),
        ("deterministic: maybe", "deterministic must be a valid boolean"),
        ("callbacks: EarlyStopping", "callbacks must be a valid list"),
        ("callbacks: [{A: 1, B: 2}]", "write one name"),
        ("callbacks: [{EarlyStopping: 5}]", "write the arguments of EarlyStopping by name"),
        ("optimizer: [Adam]", "write one name"),
        ("data: {name: x, resplit: a}", "data.resplit must be a valid integer"),
    ],
)
def test_errors_in_keys_and_types(errors, line, message):
    text = f"name: small\nmodel: {{layers: [Flatten]}}\n{line}\n"
    assert any(message in error for error in errors(text)), errors(text)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("Dense", "begin each line with '- '"),
        ("[{repeat: 3}]", "layers are a list"),
        ("[{repeat: -1, layers: [Dense]}]", "repeat takes a whole number, not -1"),
        ("[{repeat: a, layers: [Dense]}]", "repeat takes a whole number, not 'a'"),
        (
            "[{repeat: 2, layers: [Dense], rate: 3}]",
            "only 'layers' may go with 'repeat', not 'rate'",
        ),
        ("[{repeat: 2000, layers: [Flatten]}]", "2000 layers; at most 1000 are allowed"),
        ("[{Dense: 64}]", "write the arguments of Dense by name"),
        ("[3]", "write one name"),
    ],
)
def test_errors_in_the_list_of_layers(errors, layers, message):
    text = f"name: small\nmodel: {{layers: {layers}}}\n"
    assert any(message in error for error in errors(text)), errors(text)


def test_missing_name_and_layers(errors):
    found = {error.partition(": ")[2] for error in errors("about: x\n")}
    assert found == {"'model.layers' is missing", "'name' is missing"}


@pytest.mark.parametrize("name", ["../up", "with space", "Upper", "", ".hidden"])
def test_a_name_is_safe_as_a_folder(errors, name):
    assert "name: use lower-case letters" in errors(f"name: '{name}'\nmodel: {{layers: []}}\n")[0]
