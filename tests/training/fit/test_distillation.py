"""A student learns from a teacher: its targets, and what its run records of the teacher."""

from __future__ import annotations

import json

import keras
import numpy as np
import pytest

from tests.training.conftest import declared, three_garments, trained_on, write_mnist_format
from wardrobe.models import DataFacts
from wardrobe.models.schema.declaration import Distillation
from wardrobe.training.callbacks import checkpoint
from wardrobe.training.data import load
from wardrobe.training.data.dataset import file_hash
from wardrobe.training.errors import TrainingError
from wardrobe.training.fit.distillation import targets, teacher_of, teacher_outputs
from wardrobe.training.fit.samplers import ShuffledSampler

DISTILLED = """\
name: student
seed: 3
data: silhouettes
model:
  layers:
    - Dense: {units: 16, activation: relu}
loss: categorical_crossentropy
training: {epochs: 4, batch_size: 64, validation: 0.1}
augmentation: {copies: 2, layers: [{RandomFlip: {mode: horizontal}}]}
distillation: {teacher: softmax-regression, temperature: 2, weight: 0.75}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Runs of students and of their teacher, which the first of them trains."""
    return tmp_path_factory.mktemp("distilled")


@pytest.fixture(scope="module")
def student(folder, few_silhouettes):
    return trained_on(few_silhouettes, folder, DISTILLED)


@pytest.fixture(scope="module")
def teacher(folder, student):
    (run,) = (folder / "runs" / "softmax-regression").iterdir()
    return run


def test_the_record_names_the_teacher(student, teacher):
    recorded = student.record.teacher
    of_teacher = json.loads((teacher / "run.json").read_text())
    assert recorded.weights == file_hash(teacher / "model.keras")
    assert (recorded.name, recorded.declaration) == (
        "softmax-regression",
        of_teacher["declaration"],
    )
    assert of_teacher["data"] == student.record.to_json()["data"]
    assert of_teacher["status"] == "finished"


def test_the_next_student_has_the_same_teacher(student, teacher, folder, few_silhouettes):
    second = trained_on(few_silhouettes, folder, DISTILLED, "seed=4", "training.epochs=1")
    assert second.record.teacher == student.record.teacher
    assert list((folder / "runs" / "softmax-regression").iterdir()) == [teacher]
    assert len(list(teacher.glob("answers-*.npy"))) == 1  # one for the copies that both saw


def test_targets_are_a_mixture_of_softened_outputs_and_labels(teacher, few_silhouettes):
    x = few_silhouettes.train.x[:20]
    labels = np.eye(10, dtype=np.float32)[few_silhouettes.train.y[:20]]
    mixed = targets(
        Distillation(teacher="softmax-regression", temperature=2.0, weight=0.75), teacher, x, labels
    )
    said = keras.models.load_model(teacher / "model.keras").predict(x, verbose=0)
    softened = np.sqrt(said) / np.sqrt(said).sum(axis=1, keepdims=True)
    assert np.abs(mixed - (0.75 * softened + 0.25 * labels)).max() < 1e-5
    assert mixed.dtype == np.float32


def test_the_teacher_predicts_once(teacher, few_silhouettes):
    x = few_silhouettes.train.x[:30]
    first = teacher_outputs(teacher, x)
    hidden = (teacher / "model.keras").rename(teacher / "hidden.keras")
    assert (teacher_outputs(teacher, x) == first).all()
    hidden.rename(teacher / "model.keras")


def test_an_interrupted_student_ends_with_the_same_weights(
    student, folder, few_silhouettes, monkeypatch
):
    begin = ShuffledSampler.on_epoch_begin

    def interrupted(sampler, epoch, logs=None):
        if sampler.copies == 2 and epoch == 2:  # not the teacher
            raise KeyboardInterrupt
        begin(sampler, epoch, logs)

    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0)
    monkeypatch.setattr(ShuffledSampler, "on_epoch_begin", interrupted)
    changed = (few_silhouettes, folder / "again", DISTILLED)
    (folder / "again").mkdir()
    with pytest.raises(KeyboardInterrupt):
        trained_on(*changed)
    monkeypatch.setattr(ShuffledSampler, "on_epoch_begin", begin)
    resumed = trained_on(*changed, resume=True)
    assert resumed.record.resumed
    first, second = (
        keras.models.load_model(one.folder / "model.keras").get_weights()
        for one in (student, resumed)
    )
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_a_teacher_of_other_data_is_refused(teacher, student, folder, few_silhouettes):
    record = json.loads((teacher / "run.json").read_text())
    other = record | {"data": record["data"] | {"split": "other"}}
    (teacher / "run.json").write_text(json.dumps(other))
    with pytest.raises(TrainingError, match="trained on data that have changed since; remove it"):
        trained_on(few_silhouettes, folder, DISTILLED, "seed=5")
    (teacher / "run.json").write_text(json.dumps(record))


def test_other_data_get_a_teacher_of_their_own(tmp_path):
    write_mnist_format(tmp_path, *three_garments())
    data = load(str(tmp_path), validation=0.1)
    student = trained_on(data, tmp_path, DISTILLED, f"data={tmp_path}", "training.epochs=1")
    (teacher_run,) = (tmp_path / "runs" / "softmax-regression").glob("*/run.json")
    assert json.loads(teacher_run.read_text())["data"] == student.record.to_json()["data"]
    labels = json.loads((student.artifact / "assets.extra" / "labels.json").read_text())
    assert len(labels) == 3


STUDENT = """\
name: student
seed: 4
data: {name: fashion-mnist, resplit: 7, take: 100}
model: {layers: []}
loss: categorical_crossentropy
training: {validation: 1234}
distillation: {teacher: softmax-regression, temperature: 2, weight: 0.9}
"""


def declared_student(folder, *overrides):
    return declared(folder, DataFacts((28, 28), 10), STUDENT, *overrides)[0]


def test_the_teacher_learns_from_the_same_examples(tmp_path):
    teacher = teacher_of(declared_student(tmp_path))
    assert teacher.name == "softmax-regression"
    assert teacher.data == declared_student(tmp_path).data
    assert teacher.training.validation == declared_student(tmp_path).training.validation
    assert [file.stem for file in teacher.files] == ["softmax-regression", "fashion-base"]


def test_all_runs_of_a_student_have_the_same_teacher(tmp_path):
    first, second = (teacher_of(declared_student(tmp_path, f"seed={seed}")) for seed in (1, 2))
    assert (first.seed, first.digest) == (second.seed, second.digest)


def test_without_distillation_there_is_no_teacher(tmp_path):
    assert teacher_of(declared_student(tmp_path, "distillation=null")) is None
