"""Claims are computed from numbers, and from nothing else."""

from __future__ import annotations

import math

import pytest

from wardrobe.training.studies.claims import Measured, judge, parse

VARIANTS = [
    Measured({"width": "1", "seed": "1"}, {"accuracy": 0.5}),
    Measured({"width": "1", "seed": "2"}, {"accuracy": 0.7}),
    Measured({"width": "9", "seed": "1"}, {"accuracy": 0.9}),
    Measured({"width": "9", "seed": "2"}, {"accuracy": 1.0}),
]


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        ("median(accuracy, width=1) < median(accuracy, width=9)", True),
        ("median(accuracy, width=9) < median(accuracy, width=1)", False),
        ("share(accuracy > 0.8, width=9) == 1", True),
        ("share(accuracy > 0.8) == 0.5", True),
        ("max(accuracy, width=1, seed=2) == 0.7 and min(accuracy) >= 0.5", True),
        ("min(accuracy) >= 0.5 and min(accuracy) > 0.5", False),
        ("mean(accuracy, width=9) - 2 * mean(accuracy, width=1) < -0.2", True),
        ("lowest(accuracy) == 0.6 and lowest(accuracy, width=9) == 0.95", True),
        ("0.4 < spread(accuracy) <= 0.5", True),
    ],
)
def test_what_holds(claim, holds):
    assert judge(claim, VARIANTS).holds is holds


def test_the_numbers_are_filled_in():
    verdict = judge("median(accuracy, width=1) < median(accuracy, width=9)", VARIANTS)
    assert verdict.computed == "0.6 < 0.95"


def test_nothing_holds_for_what_is_no_number():
    diverged = [*VARIANTS, Measured({"width": "1", "seed": "3"}, {"accuracy": math.nan})]
    assert not judge("max(accuracy, width=1) > 0", diverged).holds
    assert not judge("max(accuracy, width=1) <= 1", diverged).holds


@pytest.mark.parametrize(
    "claim",
    [
        "",
        "true",
        "accuracy > 1",
        "max(accuracy)",
        "__import__('os').system('true') == 0",
        "max(accuracy.real) > 0",
        "largest(accuracy) > 0",
        "max(accuracy > 1) > 0",
        "share(accuracy) > 0",
        "max(accuracy) in [1]",
        "max(accuracy) > 0 or max(accuracy) < 0",
        "max(accuracy, **{}) > 0",
        "max(accuracy) ** 2 > 0",
    ],
)
def test_invalid_claims_are_rejected(claim):
    with pytest.raises(ValueError, match=r"\w"):
        parse(claim)


@pytest.mark.parametrize(
    ("claim", "message"),
    [
        ("max(acuracy) > 0", "did you mean 'accuracy'"),
        ("max(accuracy, width=2) > 0", "choose from 1, 9"),
        ("max(accuracy, depth=1) > 0", "no variant has depth=1"),
    ],
)
def test_unknown_measures_and_variants_are_reported(claim, message):
    with pytest.raises(ValueError, match=message):
        judge(claim, VARIANTS)


@pytest.mark.parametrize(
    ("claim", "is_close"),
    [
        ("median(accuracy, width=1) < median(accuracy, width=9)", False),  # 0.6 < 0.95
        ("median(loss, width=1) < median(loss, width=9)", True),
        ("median(loss, width=1) < 5", False),
        ("max(loss, width=1) < max(loss, width=9)", False),
        ("median(loss) < median(loss, width=9)", False),  # other things differ, too
        (
            "median(loss, width=1) - median(accuracy, width=1)"
            " < median(loss, width=9) - median(accuracy, width=1)",
            True,
        ),
        ("median(loss, width=1) - median(loss, width=9) < 0.5", False),
    ],
)
def test_a_difference_within_the_spread_of_the_seeds_is_marked(claim, is_close):
    losses = [(1.0, 2.0), (1.1, 2.2)]
    variants = [
        Measured(variant.labels, variant.numbers | {"loss": loss})
        for variant, loss in zip(VARIANTS, [loss for pair in losses for loss in pair], strict=True)
    ]
    verdict = judge(claim, variants)
    assert verdict.holds
    assert ("within the spread of the seeds" in verdict.computed) is is_close
