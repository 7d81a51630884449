"""What a study will cost is said before it begins."""

from __future__ import annotations

import pytest

from tests.training.studies.test_study import TEXT
from wardrobe.training.studies import executor
from wardrobe.training.studies.cost import Cost, cost, parameters
from wardrobe.training.studies.study import read
from wardrobe.training.studies.variants import expand


@pytest.fixture
def groups(tmp_path):
    (tmp_path / "small.yaml").write_text(TEXT)
    return executor.groups(expand(read(str(tmp_path / "small.yaml"))))


def of(groups) -> Cost:
    return cost(groups, executor.training_examples)


def test_the_weights_and_biases_are_counted(groups):
    assert [parameters(first.declaration) for first, *_ in groups] == [5, 5, 9, 9]


def test_seeds_share_a_program(groups):
    found = of(groups)
    assert (found.trainings, found.programs) == (12, 4)


def test_each_training_and_each_program_costs(groups):
    assert of(groups).seconds == pytest.approx(sum(of([group]).seconds for group in groups))
    assert of(groups).seconds > of([group[:1] for group in groups]).seconds > 0
