"""Study files: what they say, how they are checked, and the variants they expand to."""

from __future__ import annotations

from textwrap import dedent

import pytest

from wardrobe.models import DeclarationError
from wardrobe.training.fit import distillation
from wardrobe.training.studies.study import read, read_all
from wardrobe.training.studies.variants import expand

TEXT = """\
title: Small
rows: [6]
about: a study for tests
base:
  data: xor
  model: {layers: [{Dense: {units: 2, activation: tanh}}], head: {activation: sigmoid}}
  training: {epochs: 3, batch_size: 100, validation: 0}
axes:
  units: {path: model.layers.0.Dense.units, values: [1, 2]}
  rate: {slow: {}, quick: {optimizer: {SGD: {learning_rate: 1.0}}}}
  seed: [1, 2, 3]
figure: {loss_curves: {by: units}}
claim: ["max(test_accuracy) > 0.5"]
quick: {axes: {seed: [1]}, set: {training.epochs: 1}}
"""


@pytest.fixture
def study_file(tmp_path):
    def write(text: str = TEXT):
        file = tmp_path / "small.yaml"
        file.write_text(dedent(text))
        return str(file)

    return write


def test_variants_are_all_combinations(study_file):
    variants = expand(read(study_file()))
    assert len(variants) == 12
    last = variants[-1]
    assert last.labels == {"units": "2", "rate": "quick", "seed": "3"}
    assert last.declaration.seed == 3
    assert last.declaration.tree.plain["optimizer"] == {"SGD": {"learning_rate": 1.0}}


def test_a_quick_study_is_smaller(study_file):
    variants = expand(read(study_file(), is_quick=True))
    assert len(variants) == 4
    assert variants[0].declaration.training.epochs == 1


def test_two_axes_may_be_declared_as_one(study_file):
    joined = """\
  units, rate:
    few, slow: {model.layers.0.Dense.units: 1}
    many, quick: {model.layers.0.Dense.units: 9, optimizer: {SGD: {learning_rate: 1.0}}}
"""
    start, end = TEXT.index("  units: {path"), TEXT.index("  seed:")
    first, *_, last = expand(read(study_file(TEXT[:start] + joined + TEXT[end:])))
    assert first.labels == {"units": "few", "rate": "slow", "seed": "1"}
    assert last.labels == {"units": "many", "rate": "quick", "seed": "3"}
    one = joined.replace("few, slow", "few")
    with pytest.raises(DeclarationError, match=r"small.yaml:10: .*'few' has 1 label for 2 axes"):
        expand(read(study_file(TEXT[:start] + one + TEXT[end:])))


def test_a_student_whose_teacher_changes_is_another_variant(study_file, monkeypatch):
    student = TEXT.replace(
        "activation: sigmoid}}",
        "activation: softmax}}\n"
        "  loss: categorical_crossentropy\n"
        "  distillation: {teacher: softmax-regression, temperature: 2, weight: 1}",
    )
    (first, *_) = expand(read(study_file(student)))
    before = first.key
    monkeypatch.setattr(distillation, "teacher_of", lambda _: first.declaration)
    assert first.key != before


def test_variants_that_differ_only_in_the_seed_share_a_key(study_file):
    variants = expand(read(study_file()))
    assert len({variant.key for variant in variants}) == 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "title: Small",
            "titel: Small",
            r"small.yaml:1: unknown key 'titel'; did you mean 'title'",
        ),
        ("rows: [6]", "rows: [27]", r"small.yaml:2: rows.0: .*26"),
        ("max(test_accuracy)", "max(test_accuracy", "small.yaml:13: claim.0: .*not a claim"),
        ("data: xor", "data: xor\n  sede: 1", r"small.yaml:6: unknown key 'sede'"),
        ("units: 2, ", "", None),
    ],
)
def test_errors_name_their_line(study_file, old, new, message):
    file = study_file(TEXT.replace(old, new))
    if message is None:  # the axis gives what the base leaves out
        assert len(expand(read(file))) == 12
        return
    with pytest.raises(DeclarationError, match=message):
        expand(read(file))


def test_a_star_stands_for_the_one_object_there(study_file):
    axis = "  rate: {path: optimizer.*.learning_rate, values: [0.5]}\n"
    old = "  rate: {slow: {}, quick: {optimizer: {SGD: {learning_rate: 1.0}}}}\n"
    (first, *_) = expand(read(study_file(TEXT.replace(old, axis))))
    assert first.declaration.tree.plain["optimizer"] == {"Adam": {"learning_rate": 0.5}}


def test_every_row_of_the_lecture_has_a_study():
    rows = [row for study in read_all() for row in study.frame.rows]
    assert set(rows) == set(range(1, 27))


@pytest.mark.parametrize("is_quick", [False, True])
def test_every_variant_of_the_lecture_is_a_sound_declaration(is_quick):
    for study in read_all(is_quick):
        assert expand(study)


def test_a_misspelt_name():
    with pytest.raises(DeclarationError, match="did you mean 'overfitting'"):
        read("overfiting")
