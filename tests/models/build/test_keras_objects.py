"""Keras objects by Keras' own names and arguments, and the messages if those are wrong."""

import keras
import numpy as np
import pytest

from wardrobe.models.build.keras_objects import KerasFactory
from wardrobe.models.schema.declaration import ObjectSpec


@pytest.fixture
def factory():
    return KerasFactory(steps_per_epoch=100)


def create(factory, kind, spec):
    made = factory.create(kind, spec, ())
    assert factory.errors == []
    return made


@pytest.mark.parametrize(
    ("kind", "spec"),
    [
        ("layer", {"Dense": {"units": 3, "activation": "relu"}}),
        ("layer", "BatchNormalization"),
        ("layer", {"LayerNormalization": {"axis": -1}}),
        ("layer", {"Dropout": {"rate": 0.5}}),
        ("layer", {"AlphaDropout": {"rate": 0.5}}),
        ("layer", {"GaussianNoise": {"stddev": 1}}),
        ("layer", {"GaussianDropout": {"rate": 0.1}}),
        ("layer", {"RandomRotation": {"factor": 0.1}}),
        ("layer", {"RandomTranslation": {"height_factor": [-0.1, 0.1], "width_factor": 0.1}}),
        ("layer", {"RandomFlip": {"mode": "horizontal"}}),
        ("layer", {"LeakyReLU": {"negative_slope": 0.2}}),
        ("initializer", "he_normal"),
        ("initializer", {"VarianceScaling": {"scale": 2, "mode": "fan_in"}}),
        ("initializer", {"Constant": {"value": [[1.0], [2.0]]}}),
        ("initializer", "local_normal"),
        ("initializer", {"LocalNormal": {"smallest": 3, "largest": 9}}),
        ("regularizer", {"L2": {"l2": 1e-4}}),
        ("constraint", {"MaxNorm": {"max_value": 2}}),
        ("activation", "relu"),
        ("activation", "step"),
        ("optimizer", {"SGD": {"learning_rate": 0.1, "momentum": 0.9, "nesterov": True}}),
        ("optimizer", "adagrad"),
        ("optimizer", {"Lion": {"learning_rate": 1e-4}}),
        ("schedule", {"ExponentialDecay": {"initial_learning_rate": 1, "decay_steps": 5,
                                           "decay_rate": 0.5}}),
        ("loss", "sparse_categorical_crossentropy"),
        ("loss", {"CategoricalCrossentropy": {"label_smoothing": 0.1}}),
        ("metric", {"SparseTopKCategoricalAccuracy": {"k": 3}}),
        ("callback", {"EarlyStopping": {"patience": 3, "restore_best_weights": True}}),
        ("callback", {"ReduceLROnPlateau": {"factor": 0.5}}),
    ],
)  # fmt: skip
def test_whatever_keras_has(factory, kind, spec):
    assert create(factory, kind, spec) is not None


def test_every_layer_of_keras_is_known_by_its_name(factory):
    for name in ("Dense", "Dropout", "UnitNormalization", "SpectralNormalization", "Conv2D"):
        factory.create("layer", name, ())
    assert not any("Keras has no layer" in message for _, message in factory.errors)


def test_nested_objects(factory):
    layer = create(
        factory,
        "layer",
        {
            "Dense": {
                "units": 2,
                "kernel_initializer": {"TruncatedNormal": {"stddev": 0.1, "seed": 3}},
                "kernel_regularizer": {"L1L2": {"l1": 0.1}},
                "bias_constraint": "NonNeg",
            }
        },
    )
    assert isinstance(layer.kernel_initializer, keras.initializers.TruncatedNormal)
    assert isinstance(layer.kernel_regularizer, keras.regularizers.L1L2)
    assert isinstance(layer.bias_constraint, keras.constraints.NonNeg)


def test_initializers_of_two_layers_draw_different_weights(factory):
    layers = [create(factory, "layer", {"Dense": {"units": 4}}) for _ in range(2)]
    for layer in layers:
        layer.build((None, 4))
    first, second = (np.asarray(layer.kernel) for layer in layers)
    assert not np.array_equal(first, second)


def test_a_whole_number_as_learning_rate_becomes_a_float(factory):
    optimizer = create(factory, "optimizer", {"SGD": {"learning_rate": 1}})
    assert float(optimizer.learning_rate) == 1.0
    schedule = create(
        factory,
        "schedule",
        {"CosineDecay": {"initial_learning_rate": 0, "warmup_target": 1, "decay_steps": 10,
                         "warmup_steps": 10}},
    )  # fmt: skip
    assert float(schedule(5)) == pytest.approx(0.5)


@pytest.mark.parametrize("steps_per_epoch", [1, 40, 430])
def test_durations_in_epochs_are_right_for_any_batch_size(steps_per_epoch):
    factory = KerasFactory(steps_per_epoch)
    schedule = create(
        factory,
        "schedule",
        {"CosineDecay": {"initial_learning_rate": 0.0, "warmup_target": 2e-3,
                         "warmup_epochs": 2, "decay_epochs": 28}},
    )  # fmt: skip
    assert float(schedule(2 * steps_per_epoch)) == pytest.approx(2e-3)
    assert float(schedule(16 * steps_per_epoch)) == pytest.approx(1e-3)
    assert float(schedule(30 * steps_per_epoch)) == pytest.approx(0, abs=1e-9)


def test_boundaries_restarts_and_checkpoints_in_epochs(factory):
    piecewise = create(
        factory,
        "schedule",
        {"PiecewiseConstantDecay": {"boundary_epochs": [2, 4.5], "values": [1, 0.1, 0.01]}},
    )
    assert list(piecewise.boundaries) == [200, 450]
    restarts = {"initial_learning_rate": 0.1, "first_decay_epochs": 3}
    assert create(factory, "schedule", {"CosineDecayRestarts": restarts}).first_decay_steps == 300
    checkpoint = {"filepath": "a.keras", "save_epochs": 2}
    assert create(factory, "callback", {"ModelCheckpoint": checkpoint}).save_freq == 200


@pytest.mark.parametrize(
    ("kind", "spec", "message"),
    [
        ("layer", {"Dens": {}}, "Keras has no layer 'Dens'; did you mean 'Dense'?"),
        ("layer", {"Dense": {"unit": 3}}, "Dense has no argument 'unit'; did you mean 'units'?"),
        ("layer", "Dense", "Dense needs the argument 'units'"),
        ("layer", {"Dense": {"units": -3}}, "Dense: "),
        ("layer", {"Dense": {"units": "many"}}, "Dense: "),
        ("layer", {"Dense": {"units": 3, "use_bias": "maybe"}}, "use_bias must be true or false"),
        ("layer", {"Dense": {"units": 3, "activation": "rely"}}, "did you mean 'relu'?"),
        ("layer", {"Dropout": {"rate": -0.1}}, "Dropout: rate cannot be negative (-0.1)"),
        ("layer", {"Dropout": {"rate": 1.5}}, "Dropout: "),
        ("layer", {"Dropout": {"rate": "half"}}, "Dropout: rate takes a number, not 'half'"),
        ("layer", "Lambda", "Lambda is not allowed: it runs code"),
        ("layer", "TFSMLayer", "TFSMLayer is not allowed: it runs code"),
        ("layer", "InputLayer", "InputLayer is not allowed: it is declared as 'model.input'"),
        ("layer", "Layer", "Keras has no layer 'Layer'"),
        ("initializer", "he_norml", "did you mean 'he_normal'?"),
        ("initializer", {"LocalNormal": {"smallest": 9, "largest": 3}}, "windows of 9 to 3 pixels"),
        ("optimizer", {"Adm": {}}, "Keras has no optimizer 'Adm'; did you mean 'Adam'?"),
        (
            "optimizer",
            {"Adam": {"learning_rate": -1}},
            "learning_rate takes a number of at least 0",
        ),
        (
            "optimizer",
            {"Adam": {"learning_rate": "fast"}},
            "learning_rate takes a number of at least 0",
        ),
        ("optimizer", {"Adam": {"clipnorm": -1}}, "clipnorm cannot be negative"),
        ("optimizer", {"Adam": {"lr": 0.1}}, "Adam has no argument 'lr'"),
        ("optimizer", {"SGD": {"momentum": 2}}, "SGD: "),
        ("schedule", {"CosineDecay": {"decay_epochs": 3, "decay_steps": 9}}, "mean the same"),
        ("schedule", {"CosineDecay": {"decay_epochs": "x"}}, "takes a number of epochs"),
        ("callback", "EarlyStoping", "did you mean 'EarlyStopping'?"),
        ("callback", {"EarlyStopping": {"patience": "long"}}, "patience takes a number"),
        ("callback", {"EarlyStopping": {"patiance": 3}}, "did you mean 'patience'?"),
        ("callback", {"EarlyStopping": {"monitor": 3}}, "monitor takes a string"),
        ("callback", "LambdaCallback", "LambdaCallback is not allowed"),
        ("callback", "LearningRateScheduler", "declare a schedule as the learning_rate"),
        ("loss", {"sparse_categorical_crossentropy": {"a": 1}}, "takes no arguments"),
        ("loss", "crossentropy", "Keras has no loss 'crossentropy'"),
    ],
)
def test_errors_have_a_clear_message(factory, kind, spec, message):
    assert factory.create(kind, spec, ("here",)) is None
    assert len(factory.errors) == 1
    assert message in factory.errors[0][1]


def test_errors_point_at_the_argument(factory):
    factory.create("layer", {"Dense": {"units": 3, "kernel_initializer": {"Constnt": {}}}}, ("l",))
    assert factory.errors[0][0] == ("l", "Dense", "kernel_initializer", "Constnt")


def test_a_spec_is_not_changed(factory):
    arguments = {"learning_rate": {"CosineDecay": {"initial_learning_rate": 1, "decay_epochs": 2}}}
    create(factory, "optimizer", ObjectSpec("Adam", arguments, ()))
    assert arguments["learning_rate"]["CosineDecay"] == {
        "initial_learning_rate": 1,
        "decay_epochs": 2,
    }
