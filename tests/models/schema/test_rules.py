"""Combinations that Keras accepts but that are wrong are refused with the reason."""

from typing import ClassVar

import keras
import numpy as np
import pytest

from wardrobe.models import DataFacts

DISTILLED = "distillation={temperature: 2, weight: 0.5, "
BASE = "name: small\nmodel: {layers: [{Dense: {units: 8}}]}\n"


@pytest.mark.parametrize(
    ("overrides", "reason"),
    [
        (
            ["optimizer.Adam.use_ema=true", "callbacks=[EarlyStopping, SwapEMAWeights]"],
            "EarlyStopping comes before SwapEMAWeights",
        ),
        (
            [
                "optimizer.Adam.use_ema=true",
                "callbacks=[{ModelCheckpoint: {filepath: a.keras}}, SwapEMAWeights]",
            ],
            "ModelCheckpoint comes before SwapEMAWeights",
        ),
        (
            [
                "optimizer.Adam.use_ema=true",
                "callbacks=[SwapEMAWeights, {EarlyStopping: {restore_best_weights: true}}]",
            ],
            "EarlyStopping would keep weights that are not averaged",
        ),
        (
            [
                "optimizer.Adam.use_ema=true",
                "callbacks=[SwapEMAWeights, {ModelCheckpoint: {filepath: a.keras}}]",
            ],
            "ModelCheckpoint would keep weights that are not averaged",
        ),
        (
            [
                "optimizer.Adam.use_ema=true",
                "callbacks=[{SwapEMAWeights: {swap_on_epoch: true}}, EarlyStopping]",
            ],
            "stopping early leaves weights that are not averaged",
        ),
        (["callbacks=[SwapEMAWeights]"], "SwapEMAWeights needs 'use_ema: true'"),
        (
            ["optimizer.Adam.use_ema=true", "callbacks=[EarlyStopping]"],
            "use_ema with EarlyStopping needs the callback SwapEMAWeights",
        ),
        (
            [
                "optimizer.Adam.learning_rate={CosineDecay: "
                "{initial_learning_rate: 0.1, decay_epochs: 3}}",
                "callbacks=[ReduceLROnPlateau]",
            ],
            "ReduceLROnPlateau cannot lower a learning_rate that a schedule sets",
        ),
        (["callbacks=[EarlyStopping]", "training.validation=0"], "'training.validation' is 0"),
        (["callbacks=[{EarlyStopping: {monitor: val_acc}}]"], "did you mean 'val_accuracy'?"),
        (["loss={SparseCategoricalCrossentropy: {from_logits: true}}"], "not logits"),
        (["loss=binary_crossentropy"], "is for a sigmoid head"),
        (["model.head.activation=linear", "model.head.outputs=1"], "is for regression"),
        (["model.head.activation=sigmoid", "loss=categorical_crossentropy"], "a softmax head"),
        (["model.head.classes=10", "model.head.outputs=2"], "not both"),
        (["model.head.activation=sigmoid", "model.head.classes=10"], "use softmax"),
        (["model.head.activation=step", "model.head.classes=10"], "a step head is for 2 classes"),
        (["model.head.classes=3"], "3 classes, but fashion-mnist has 10 classes"),
        (["model.head.units=3"], "the head sets 'units' itself"),
        (["model.input.shape=[32, 32]"], "the examples of fashion-mnist have the shape [28, 28]"),
        (["model.input.layers=[Flatten]"], "pixels are raw, 0 to 255"),
        (["model.layers=[{Rescaling: {scale: 0.1}}]"], "a second Rescaling"),
        (["model.layers=[Normalization]"], "it is not adapted"),
        (["callbacks=[{ModelCheckpoint: {filepath: /etc/x.keras}}]"], "inside the run folder"),
        (["callbacks=[{CSVLogger: {filename: x}}]"], "part of every run"),
        (["callbacks=[{BackupAndRestore: {backup_dir: ../x}}]"], "inside the run folder"),
        (["callbacks=[{BackupAndRestore: {backup_dir: x}}]"], "`wardrobe train --resume`"),
        (
            ["loss=categorical_crossentropy", "metrics=[SparseTopKCategoricalAccuracy]"],
            "a sparse metric needs a sparse loss",
        ),
        (["augmentation={copies: 2, layers: [{Dense: {units: 1}}]}"], "has no weights and keeps"),
        (["augmentation={copies: 2, layers: [Flatten]}"], "keeps the size of an image"),
        (["augmentation={copies: 0, layers: []}"], "augmentation.copies must be greater than"),
        (["augmentation={layers: [RandomFlop], copies: 2}"], "did you mean 'RandomFlip'?"),
        (["augmentation={copies: 2, layers: [{MixUp: {alpha: 0.5}}]}"], "but not their labels"),
        ([f"{DISTILLED}teacher: teacher-cn}}"], "did you mean 'teacher-cnn'?"),
        ([f"{DISTILLED}teacher: mlp-250k}}"], "mlp-250k has a teacher itself"),
        ([f"{DISTILLED}teacher: teacher-cnn}}"], "'loss: categorical_crossentropy'"),
        (["distillation={teacher: teacher-cnn, temperature: 0, weight: 1}"], "greater than 0"),
        (["distillation={teacher: teacher-cnn, temprature: 1}"], "did you mean 'temperature'?"),
        (["optimizer.Adam.exclude_from_weight_decay=[bias]"], "no weight_decay to exclude"),
    ],
)
def test_refused(errors, overrides, reason):
    assert any(reason in error for error in errors(BASE, *overrides)), errors(BASE, *overrides)


@pytest.mark.parametrize(
    "overrides",
    [
        ["optimizer.Adam.use_ema=true", "callbacks=[SwapEMAWeights, EarlyStopping]"],
        [
            "optimizer.Adam.use_ema=true",
            "callbacks=[{SwapEMAWeights: {swap_on_epoch: true}}, "
            "{EarlyStopping: {restore_best_weights: true}}]",
        ],
        ["callbacks=[ReduceLROnPlateau]"],
        ["callbacks=[{EarlyStopping: {monitor: loss}}]", "training.validation=0"],
        ["callbacks=[{EarlyStopping: {monitor: val_accuracy}}]"],
        ["callbacks=[{EarlyStopping: {monitor: val_auc}}]", "metrics=[AUC]"],
        ["loss={CategoricalCrossentropy: {label_smoothing: 0.1}}"],
        ["loss=mean_squared_error"],
        ["model.layers=[BatchNormalization]", "model.input.layers=[Flatten]"],
        ["precision=mixed_bfloat16"],
        ["precision=mixed_float16"],
        ["metrics=[accuracy, {SparseTopKCategoricalAccuracy: {k: 3}}]"],
        ["callbacks=[{TensorBoard: {histogram_freq: 1}}, TerminateOnNaN]"],
        ["model.layers=[]"],
    ],
)
def test_accepted(errors, overrides):
    assert errors(BASE, *overrides) == []


@pytest.mark.parametrize("swap_on_epoch", [False, True])
@pytest.mark.parametrize("restore", [False, True])
def test_keras_ends_on_averaged_weights_only_where_the_rules_say_so(swap_on_epoch, restore):
    class Stop(keras.callbacks.EarlyStopping):
        """Keeps the averaged weights of each epoch, wherever they are then."""

        averaged: ClassVar = []

        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            average = self.model.optimizer._model_variables_moving_average[0]
            averaged = self.model.trainable_variables[0] if swap_on_epoch else average
            self.averaged.append(keras.ops.convert_to_numpy(averaged))

    keras.utils.set_random_seed(1)
    network = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    network.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "mse")
    x = np.random.default_rng(1).normal(size=(8, 2))
    # It learns nothing about the validation targets: the first epoch stays the best.
    stop = Stop(patience=1, restore_best_weights=restore, min_delta=1e9)
    network.fit(
        x, x[:, :1], validation_data=(x, x[:, 1:]), batch_size=2, epochs=9, verbose=0,
        callbacks=[keras.callbacks.SwapEMAWeights(swap_on_epoch), stop],
    )  # fmt: skip
    assert stop.stopped_epoch < 8
    ends_averaged = any(np.allclose(network.get_weights()[0], one) for one in stop.averaged)
    assert ends_averaged is (swap_on_epoch is restore)


def test_data_without_the_declared_shape_and_classes(errors):
    facts = DataFacts(input_shape=(14, 14), classes=3)
    found = errors("name: x\nmodel: {layers: [], head: {classes: 10}}\n", facts=facts)
    assert found == [
        "2: 10 classes, but fashion-mnist has 3 classes; leave out 'classes' to follow the data"
    ]


def test_some_class_must_count(errors):
    text = "name: x\nmodel: {layers: []}\ntraining: {class_weight: {no: 0, yes: 0}}\n"
    facts = DataFacts((4,), 2, ("no", "yes"))
    assert errors(text, facts=facts) == ["3: all weights are 0: give one class a weight above 0"]


def test_class_weights_are_for_classes_that_the_data_have(errors):
    text = "name: x\nmodel: {layers: []}\ntraining:\n  class_weight:\n    Coatt: 2\n"
    facts = DataFacts((28, 28), 2, ("Coat", "Shirt"))
    assert errors(text, facts=facts) == ["5: there is no class 'Coatt'; did you mean 'Coat'?"]
    assert errors(text) == []  # the names are not known before the data are read
    curve = DataFacts(input_shape=(1,), classes=None)
    assert any("class_weight is for classes" in error for error in errors(text, facts=curve))


def test_a_classifier_cannot_learn_a_curve(errors):
    facts = DataFacts(input_shape=(1,), classes=None)
    found = errors("name: x\nmodel: {layers: []}\n", facts=facts)
    assert any("a softmax head needs 'classes'" in error for error in found)
