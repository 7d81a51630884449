"""Networks that are trained together become what they become alone."""

from __future__ import annotations

import keras
import numpy as np
import pytest

from tests.training.conftest import declared
from tests.training.fit.from_weights import Weighted
from wardrobe.models import DataFacts
from wardrobe.training.fit import fit as fitting
from wardrobe.training.fit.compatibility import check_compatible
from wardrobe.training.fit.fit import Fit, fit_together

TEXT = """\
name: member
data: silhouettes
model:
  layers:
    - Dense: {units: 16, activation: relu}
    - Dropout: {rate: 0.3}
optimizer: {AdamW: {learning_rate: 0.002, weight_decay: 0.01}}
training: {epochs: 3, batch_size: 64}
callbacks:
  - EarlyStopping: {monitor: accuracy, patience: 1, min_delta: 0.05}
"""

MEMBERS = [
    ("seed=1",),
    ("seed=2",),
    ("seed=2", "model.layers.1.Dropout.rate=0.6", "optimizer.AdamW.weight_decay=0.3"),
    ("seed=1", "optimizer.AdamW.learning_rate=1e-7"),  # learns nothing: stopped early
    ("seed=1", "optimizer.AdamW.learning_rate=1e30"),  # its loss becomes NaN
]


def fit_of(data, folder, *overrides, text=TEXT, kind: type[Fit] = Fit) -> Fit:
    folder.mkdir()
    facts = DataFacts(data.input_shape, data.classes)
    fit = kind(declared(folder, facts, text, *overrides)[0], data, folder)
    fit.watchers = [keras.callbacks.History()]
    return fit


def assert_same(together: Fit, alone: Fit) -> None:
    pairs = zip(together.network.get_weights(), alone.network.get_weights(), strict=True)
    assert max(np.abs(a - b).max() for a, b in pairs) < 1e-4
    histories = [fit.watchers[0].history for fit in (together, alone)]
    assert histories[0].keys() == histories[1].keys()
    for name, values in histories[0].items():
        assert np.allclose(values, histories[1][name], atol=1e-3)


def pair_of(data, folder, members, text, kind: type[Fit] = Fit) -> tuple[list[Fit], ...]:
    return tuple(
        [
            fit_of(data, folder / f"{name}{number}", *overrides, text=text, kind=kind)
            for number, overrides in enumerate(members)
        ]
        for name in ("together", "alone")
    )


@pytest.fixture(params=["member by member, as on a CPU", "at once, as on a GPU"])
def device(request, monkeypatch):
    if "GPU" in request.param:
        monkeypatch.setattr(fitting, "has_gpu", lambda: True)


@pytest.mark.usefixtures("device")
def test_members_become_what_they_become_alone(few_silhouettes, tmp_path):
    together, alone = pair_of(few_silhouettes, tmp_path, MEMBERS, TEXT)
    fit_together(together)
    for number in (2, 3):  # one differs in all numbers, one stops early
        alone[number].run()
        assert_same(together[number], alone[number])
    epochs = [len(fit.watchers[0].history["loss"]) for fit in together]
    assert epochs == [3, 3, 3, 2, 2]
    assert np.isnan(together[4].watchers[0].history["loss"][-1])


def test_weighted_members_become_what_they_become_alone(few_silhouettes, tmp_path):
    without = TEXT[: TEXT.index("callbacks")]
    together, alone = pair_of(few_silhouettes, tmp_path, MEMBERS[1:3], without, Weighted)
    fit_together(together)
    alone[1].run()
    assert_same(together[1], alone[1])


TAUGHT = """\
name: student
data: silhouettes
model: {layers: [{Dense: {units: 16, activation: relu}}]}
loss: categorical_crossentropy
training: {epochs: 3, batch_size: 64}
augmentation: {copies: 2, layers: [{RandomTranslation: {height_factor: 0.1, width_factor: 0.1}}]}
distillation: {teacher: softmax-regression, temperature: 2, weight: 0.75}
"""


def test_students_of_one_teacher_become_what_they_become_alone(few_silhouettes, tmp_path):
    pixels = [keras.Input((28, 28)), keras.layers.Rescaling(1 / 255), keras.layers.Flatten()]
    teacher = keras.Sequential([*pixels, keras.layers.Dense(10, "softmax")])
    teacher.save(tmp_path / "model.keras")
    together, alone = pair_of(few_silhouettes, tmp_path, [("seed=1",), ("seed=2",)], TAUGHT)
    fit_together(together, tmp_path)
    alone[1].run(tmp_path)
    assert_same(together[1], alone[1])


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("model.layers.0.Dense.units=17", "units is 16 and 17"),
        ("training.epochs=4", "training.epochs is 3 and 4"),
        ("model.layers.1.Dropout.rate=0.0", "rate is 0.3 and 0.0"),
        ("callbacks=[]", "callbacks"),
        ("augmentation={copies: 2, layers: [RandomFlip]}", "augmentation"),
        (
            "optimizer.AdamW.learning_rate={CosineDecay: "
            "{initial_learning_rate: 0.1, decay_epochs: 2.0}}",
            "learning_rate is 0.002 and None",
        ),
    ],
)
def test_other_differences_are_refused(few_silhouettes, tmp_path, override, place):
    facts = DataFacts(few_silhouettes.input_shape, few_silhouettes.classes)
    pair = [declared(tmp_path, facts, TEXT, *of)[0] for of in ((), (override,))]
    with pytest.raises(ValueError, match=place):
        check_compatible(pair)
