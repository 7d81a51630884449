"""A network taught by another: what it is to learn, and that its run says of whom."""

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
from wardrobe.training.fit.distillation import answers, targets, teacher_of
from wardrobe.training.fit.samplers import Order

TAUGHT = """\
name: pupil
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
    """Runs of pupils and of their teacher, which the first of them trains."""
    return tmp_path_factory.mktemp("taught")


@pytest.fixture(scope="module")
def pupil(folder, few_silhouettes):
    return trained_on(few_silhouettes, folder, TAUGHT)


@pytest.fixture(scope="module")
def teacher(folder, pupil):
    (run,) = (folder / "runs" / "softmax-regression").iterdir()
    return run


def test_the_record_says_who_taught(pupil, teacher):
    said = pupil.record.teacher
    by_teacher = json.loads((teacher / "run.json").read_text())
    assert said.weights == file_hash(teacher / "model.keras")
    assert (said.name, said.declaration) == ("softmax-regression", by_teacher["declaration"])
    assert by_teacher["data"] == pupil.record.to_json()["data"]
    assert by_teacher["status"] == "finished"


def test_the_next_pupil_has_the_same_teacher(pupil, teacher, folder, few_silhouettes):
    second = trained_on(few_silhouettes, folder, TAUGHT, "seed=4", "training.epochs=1")
    assert second.record.teacher == pupil.record.teacher
    assert list((folder / "runs" / "softmax-regression").iterdir()) == [teacher]
    assert len(list(teacher.glob("answers-*.npy"))) == 1  # one for the copies that both saw


def test_what_is_learnt_is_a_mixture_of_softened_answers_and_labels(teacher, few_silhouettes):
    x = few_silhouettes.train.x[:20]
    labels = np.eye(10, dtype=np.float32)[few_silhouettes.train.y[:20]]
    mixed = targets(
        Distillation(teacher="softmax-regression", temperature=2.0, weight=0.75), teacher, x, labels
    )
    said = keras.models.load_model(teacher / "model.keras").predict(x, verbose=0)
    softened = np.sqrt(said) / np.sqrt(said).sum(axis=1, keepdims=True)
    assert np.abs(mixed - (0.75 * softened + 0.25 * labels)).max() < 1e-5
    assert mixed.dtype == np.float32


def test_the_teacher_is_asked_once(teacher, few_silhouettes):
    x = few_silhouettes.train.x[:30]
    first = answers(teacher, x)
    hidden = (teacher / "model.keras").rename(teacher / "hidden.keras")
    assert (answers(teacher, x) == first).all()
    hidden.rename(teacher / "model.keras")


def test_an_interrupted_pupil_ends_with_the_same_weights(
    pupil, folder, few_silhouettes, monkeypatch
):
    begin = Order.on_epoch_begin

    def interrupted(order, epoch, logs=None):
        if order.copies == 2 and epoch == 2:  # not the teacher
            raise KeyboardInterrupt
        begin(order, epoch, logs)

    monkeypatch.setattr(checkpoint, "SECONDS_BETWEEN", 0)
    monkeypatch.setattr(Order, "on_epoch_begin", interrupted)
    changed = (few_silhouettes, folder / "again", TAUGHT)
    (folder / "again").mkdir()
    with pytest.raises(KeyboardInterrupt):
        trained_on(*changed)
    monkeypatch.setattr(Order, "on_epoch_begin", begin)
    resumed = trained_on(*changed, resume=True)
    assert resumed.record.resumed
    first, second = (
        keras.models.load_model(one.folder / "model.keras").get_weights()
        for one in (pupil, resumed)
    )
    assert all((a == b).all() for a, b in zip(first, second, strict=True))


def test_a_teacher_of_other_data_is_refused(teacher, pupil, folder, few_silhouettes):
    record = json.loads((teacher / "run.json").read_text())
    other = record | {"data": record["data"] | {"split": "other"}}
    (teacher / "run.json").write_text(json.dumps(other))
    with pytest.raises(TrainingError, match="trained on data that have changed since; remove it"):
        trained_on(few_silhouettes, folder, TAUGHT, "seed=5")
    (teacher / "run.json").write_text(json.dumps(record))


def test_data_of_another_kind_get_a_teacher_of_their_own(tmp_path):
    write_mnist_format(tmp_path, *three_garments())
    data = load(str(tmp_path), validation=0.1)
    pupil = trained_on(data, tmp_path, TAUGHT, f"data={tmp_path}", "training.epochs=1")
    (taught_by,) = (tmp_path / "runs" / "softmax-regression").glob("*/run.json")
    assert json.loads(taught_by.read_text())["data"] == pupil.record.to_json()["data"]
    labels = json.loads((pupil.artifact / "assets.extra" / "labels.json").read_text())
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


def student(folder, *overrides):
    return declared(folder, DataFacts((28, 28), 10), STUDENT, *overrides)[0]


def test_the_teacher_learns_from_the_same_examples(tmp_path):
    teacher = teacher_of(student(tmp_path))
    assert teacher.name == "softmax-regression"
    assert teacher.data == student(tmp_path).data
    assert teacher.training.validation == student(tmp_path).training.validation
    assert [file.stem for file in teacher.files] == ["softmax-regression", "fashion-base"]


def test_all_runs_of_a_student_have_the_same_teacher(tmp_path):
    first, second = (teacher_of(student(tmp_path, f"seed={seed}")) for seed in (1, 2))
    assert (first.seed, first.digest) == (second.seed, second.digest)


def test_without_distillation_there_is_no_teacher(tmp_path):
    assert teacher_of(student(tmp_path, "distillation=null")) is None
