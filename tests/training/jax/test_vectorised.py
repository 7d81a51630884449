"""Networks that are trained together become what they become alone."""

from __future__ import annotations

import numpy as np
import pytest

from models import DataFacts
from tests.training.conftest import declared
from training.fit import Fit
from training.vectorised import fit_together, refuse_strangers

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
    ("seed=1", "optimizer.AdamW.learning_rate=1e30"),  # a loss that is no number
]


def fit_of(data, folder, *overrides) -> Fit:
    folder.mkdir()
    facts = DataFacts(data.input_shape, data.classes)
    return Fit(declared(folder, facts, TEXT, *overrides)[0], data, folder)


def test_members_become_what_they_become_alone(few_silhouettes, tmp_path):
    def fits(name):
        return [
            fit_of(few_silhouettes, tmp_path / f"{name}{number}", *overrides)
            for number, overrides in enumerate(MEMBERS)
        ]

    together = fit_together(fits("together"))
    alone = [fit.run() for fit in fits("alone")]
    assert [one.epochs for one in together] == [one.epochs for one in alone]
    assert together[3].epochs < together[0].epochs == 3
    assert [one.diverged_in for one in together] == [None] * 4 + [1]
    assert alone[4].diverged_in == 1
    for got, expected in zip(together[:4], alone[:4], strict=True):
        pairs = zip(got.network.get_weights(), expected.network.get_weights(), strict=True)
        assert max(np.abs(a - b).max() for a, b in pairs) < 1e-4
    for number in range(4):
        rows = [
            [
                [float(value) for value in line.split(",")[:-1]]
                for line in (tmp_path / f"{how}{number}" / "history.csv").read_text().split()[1:]
            ]
            for how in ("together", "alone")
        ]
        assert np.allclose(rows[0], rows[1], atol=1e-3)


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("model.layers.0.Dense.units=17", "units is 16 and 17"),
        ("training.epochs=4", "training.epochs is 3 and 4"),
        ("model.layers.1.Dropout.rate=0.0", "rate is 0.3 and 0.0"),
        ("callbacks=[]", "callbacks"),
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
        refuse_strangers(pair)
