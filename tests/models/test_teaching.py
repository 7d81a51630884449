"""The teacher of a network knows no more of the data than the network may."""

from wardrobe.models.schema.teacher import teacher_of

TAUGHT = """\
name: pupil
seed: 4
data: {name: fashion-mnist, resplit: 7, take: 100}
model: {layers: []}
loss: categorical_crossentropy
training: {validation: 1234}
distillation: {teacher: softmax-regression, temperature: 2, weight: 0.9}
"""


def test_the_teacher_learns_from_the_same_examples(declare):
    pupil = declare(TAUGHT)
    teacher = teacher_of(pupil)
    assert teacher.name == "softmax-regression"
    assert teacher.data == pupil.data
    assert teacher.training.validation == pupil.training.validation


def test_all_runs_of_a_pupil_have_the_same_teacher(declare):
    first, second = (teacher_of(declare(TAUGHT, f"seed={seed}")) for seed in (1, 2))
    assert (first.seed, first.digest) == (second.seed, second.digest)


def test_without_distillation_there_is_no_teacher(declare):
    assert teacher_of(declare()) is None
