"""The epoch loop, against Keras' own `fit` for the same order of examples, on either backend."""

from __future__ import annotations

from unittest import mock

import hypothesis
import hypothesis.strategies as st
import keras
import numpy as np
import pytest

from tests.training.conftest import declared
from tests.training.fit.from_weights import Weighted
from wardrobe.models import DataFacts
from wardrobe.training.fit import fit as fitting
from wardrobe.training.fit import loop
from wardrobe.training.fit.fit import Fit, arrays
from wardrobe.training.fit.loop import CallLength
from wardrobe.training.fit.samplers import ShuffledSampler

FEWEST_STEPS_TO_COMPILE = "wardrobe.training.fit.tensorflow_backend.FEWEST_STEPS_TO_COMPILE"

# 1,000 examples in batches of 64: 15 full batches and one of 40.
TEXT = """\
name: loops
seed: 5
data: silhouettes
model:
  layers:
    - Dense: {units: 16, activation: relu}
    - BatchNormalization
    - Dropout: {rate: 0.3}
training: {epochs: 2, batch_size: 64}
"""

AUGMENTED = (
    "model.input.layers=[Rescaling: {scale: 0.004}, Reshape: {target_shape: [28, 28, 1]}, "
    "RandomFlip: {mode: horizontal}, Flatten]"
)

CASES = {
    "decay, clipping, penalties, constraints": [
        "optimizer={AdamW: {weight_decay: 0.01, exclude_from_weight_decay: [bias], clipnorm: 1.0}}",
        "model.defaults={Dense: {kernel_regularizer: {L2: {l2: 0.01}}, "
        "kernel_constraint: {MaxNorm: {max_value: 2}}}}",
        "callbacks=[{EarlyStopping: {patience: 1, restore_best_weights: true}}, TerminateOnNaN]",
    ],
    "a schedule, one-hot targets, bfloat16": [
        "optimizer={SGD: {learning_rate: {CosineDecay: {initial_learning_rate: 0.1, "
        "decay_epochs: 2}}, momentum: 0.9, nesterov: true}}",
        "loss={CategoricalCrossentropy: {label_smoothing: 0.1}}",
        "precision=mixed_bfloat16",
    ],
    "augmentation, accumulated gradients, averaged weights": [
        AUGMENTED,
        "optimizer={Adam: {gradient_accumulation_steps: 2, use_ema: true, ema_momentum: 0.9}}",
        "callbacks=[{SwapEMAWeights: {swap_on_epoch: true}}, "
        "{ModelCheckpoint: {filepath: 'best/{epoch}.keras'}}]",
    ],
    "scaled losses, one full batch and one example, no validation": [
        "precision=mixed_float16",
        "training.batch_size=999",
        "training.validation=0",
        "metrics=[accuracy, {SparseTopKCategoricalAccuracy: {k: 2}}]",
    ],
}


class Batches(keras.utils.PyDataset):
    """Batches of NumPy arrays in a given order, as Keras' own loop takes them."""

    def __init__(self, arrays, batch_size, sampler):
        super().__init__()
        self.arrays, self.batch_size, self.sampler = arrays, batch_size, sampler

    @property
    def num_batches(self):
        return -(-self.sampler.count // self.batch_size)

    def __getitem__(self, number):
        start = number * self.batch_size
        chosen = self.sampler.indices[start : start + self.batch_size]
        return tuple(array[chosen] for array in self.arrays)


def fit_of(data, folder, *overrides, kind: type[Fit] = Fit) -> Fit:
    folder.mkdir()
    facts = DataFacts(data.input_shape, data.classes)
    return kind(declared(folder, facts, TEXT, *overrides)[0], data, folder)


def by_the_loop(fit: Fit):
    network = fit.run().network
    return network.get_weights(), network.history.history


def by_keras(fit: Fit):
    """The same training by Keras' own `fit`, batch by batch."""
    network, declaration = fit.network, fit.declaration
    sampler = ShuffledSampler(len(fit.data.train), declaration.seed)
    held_out = fit.data.validation
    training = Batches(fit.training_arrays(), fit.batch_size, sampler)
    history = network.fit(
        training,
        epochs=declaration.training.epochs,
        shuffle=False,
        validation_data=arrays(declaration, held_out) if len(held_out) else None,
        validation_batch_size=1000,
        callbacks=[sampler, *fit.parts.callbacks],
        verbose=0,
    ).history
    return network.get_weights(), history


def assert_same(got, expected):
    (weights, history), (expected_weights, expected_history) = got, expected
    assert list(history) == list(expected_history)
    for name, values in history.items():
        assert values == pytest.approx(expected_history[name], abs=2e-3), name
    for mine, other in zip(weights, expected_weights, strict=True):
        assert np.abs(mine - other).max() < 5e-3


QUICK = list(CASES)[:2]  # the others take longer to compile


@pytest.mark.parametrize(
    "case", [pytest.param(case, marks=[] if case in QUICK else pytest.mark.slow) for case in CASES]
)
def test_the_loop_computes_what_keras_fit_does(few_silhouettes, tmp_path, case):
    got = by_the_loop(fit_of(few_silhouettes, tmp_path / "loop", *CASES[case]))
    assert_same(got, by_keras(fit_of(few_silhouettes, tmp_path / "keras", *CASES[case])))


def test_the_compiled_program_computes_what_keras_fit_does(few_silhouettes, tmp_path, monkeypatch):
    monkeypatch.setattr(FEWEST_STEPS_TO_COMPILE, 1)
    got = by_the_loop(fit_of(few_silhouettes, tmp_path / "loop"))
    assert_same(got, by_keras(fit_of(few_silhouettes, tmp_path / "keras")))


def test_a_training_gives_the_same_bits_however_its_epochs_are_cut(
    few_silhouettes, tmp_path, monkeypatch
):
    whole = by_the_loop(fit_of(few_silhouettes, tmp_path / "whole"))
    monkeypatch.setattr(loop, "SECONDS_PER_CALL", 1e-9)  # a call makes one step
    cut = by_the_loop(fit_of(few_silhouettes, tmp_path / "cut"))
    assert whole[1] == cut[1]
    assert all((a == b).all() for a, b in zip(whole[0], cut[0], strict=True))


@pytest.mark.parametrize("targets", ["sparse_categorical_crossentropy", "categorical_crossentropy"])
def test_examples_are_weighted_as_by_keras_fit(few_silhouettes, tmp_path, targets):
    of = [f"loss={targets}", "metrics=[accuracy]", "optimizer={SGD: {learning_rate: 0.1}}"]
    got = by_the_loop(fit_of(few_silhouettes, tmp_path / "loop", *of, kind=Weighted))
    assert_same(got, by_keras(fit_of(few_silhouettes, tmp_path / "keras", *of, kind=Weighted)))
    unweighted = by_the_loop(fit_of(few_silhouettes, tmp_path / "unweighted", *of))
    assert unweighted[1]["loss"][0] < 0.8 * got[1]["loss"][0]


def test_calls_grow_until_they_take_about_a_second():
    class Endless:
        steps, is_static = 10_000, False

    length = CallLength(Endless(), [])
    lengths = []
    for compiling in (3, 0, 0, 0, 0):
        lengths.append(length.steps)
        length.learn(length.steps, length.steps / 256 + compiling)
    length.learn(7, 0.5)  # the end of an epoch
    assert [*lengths, length.steps] == [1, 10, 100, 256, 256, 256]


class Seen(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.batches = []

    def on_train_batch_end(self, batch, logs=None):
        self.batches.append((batch, float(logs["loss"]), int(self.model.optimizer.iterations)))


def test_a_callback_that_looks_at_batches_is_called_for_each(few_silhouettes, tmp_path):
    fit = fit_of(few_silhouettes, tmp_path / "fit", "training.epochs=1")
    seen = Seen()
    fit.watchers = [seen]
    fit.run()
    assert [batch for batch, *_ in seen.batches] == list(range(fit.steps))
    assert [steps for *_, steps in seen.batches] == list(range(1, fit.steps + 1))
    assert len({loss for _, loss, _ in seen.batches}) == fit.steps


def test_a_static_program_computes_what_one_with_bounds_does(
    few_silhouettes, tmp_path, monkeypatch
):
    bounded = by_the_loop(fit_of(few_silhouettes, tmp_path / "bounded"))
    monkeypatch.setattr(fitting, "has_gpu", lambda: True)  # where the count of steps is static
    monkeypatch.setattr(loop, "STATIC_STEPS_PER_CALL", 6)
    # It would hold for all tests that follow.
    monkeypatch.setattr("tensorflow.config.experimental.enable_op_determinism", lambda: None)
    assert_same(by_the_loop(fit_of(few_silhouettes, tmp_path / "static")), bounded)


LAYERS = st.lists(
    st.sampled_from(
        [
            "Dense: {units: 8, activation: relu}",
            "Dense: {units: 8, activation: tanh, kernel_regularizer: {L2: {l2: 0.01}}}",
            "BatchNormalization",
            "LayerNormalization",
            "Dropout: {rate: 0.2}",
            "GaussianNoise: {stddev: 0.1}",
        ]
    ),
    max_size=3,
)
RATES = st.sampled_from(
    ["0.01", "{ExponentialDecay: {initial_learning_rate: 0.01, decay_epochs: 1, decay_rate: 0.5}}"]
)
OPTIMIZERS = st.sampled_from(
    [
        "Adam: {learning_rate: RATE}",
        "SGD: {learning_rate: RATE, momentum: 0.9, clipvalue: 0.5}",
        "RMSprop: {learning_rate: RATE, weight_decay: 0.01}",
        "Adam: {learning_rate: RATE, use_ema: true, ema_overwrite_frequency: 5}",
        "Lion: {learning_rate: RATE, gradient_accumulation_steps: 3}",
    ]
)
CALLBACKS = st.sampled_from(
    [
        "",
        "TerminateOnNaN",
        "{ReduceLROnPlateau: {monitor: loss, patience: 0}}",
        "{EarlyStopping: {monitor: loss, min_delta: 5, restore_best_weights: true}}",
        "{ModelCheckpoint: {filepath: best.keras, save_freq: 4}}",
    ]
)
LOSSES = st.sampled_from(
    [
        "sparse_categorical_crossentropy",
        "{CategoricalCrossentropy: {label_smoothing: 0.1}}",
        "categorical_hinge",
    ]
)
PRECISIONS = st.sampled_from(["float32", "mixed_bfloat16"])


@pytest.mark.slow
@hypothesis.settings(
    max_examples=8,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(
    layers=LAYERS,
    rate=RATES,
    optimizer=OPTIMIZERS,
    callback=CALLBACKS,
    loss=LOSSES,
    precision=PRECISIONS,
    batch=st.integers(50, 300),
    kind=st.sampled_from([Fit, Weighted]),
    is_compiled=st.booleans(),
)
def test_whatever_is_declared_the_loop_computes_what_keras_fit_does(
    few_silhouettes,
    tmp_path_factory,
    layers,
    rate,
    optimizer,
    callback,
    loss,
    precision,
    batch,
    kind,
    is_compiled,
):
    hypothesis.assume(not (callback.startswith("{Reduce") and rate.startswith("{")))
    hypothesis.assume(not (callback.startswith("{Early") and "use_ema" in optimizer))
    # XLA makes normal numbers of the same uniform ones in a way of its own.
    hypothesis.assume(not (is_compiled and any("Noise" in layer for layer in layers)))
    overrides = (
        f"model.layers=[{', '.join(layers)}]",
        f"optimizer={{{optimizer.replace('RATE', rate)}}}",
        f"callbacks=[{callback}]",
        f"loss={loss}",
        f"precision={precision}",
        f"training.batch_size={batch}",
    )
    folder = tmp_path_factory.mktemp("declared")
    with mock.patch(
        FEWEST_STEPS_TO_COMPILE,
        1 if is_compiled else 1000,
    ):
        got = by_the_loop(fit_of(few_silhouettes, folder / "loop", *overrides, kind=kind))
    assert_same(got, by_keras(fit_of(few_silhouettes, folder / "keras", *overrides, kind=kind)))
