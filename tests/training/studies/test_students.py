"""A study of students: their teacher is trained first, once, and its run is kept."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import Run
from tests.training.conftest import three_garments, write_mnist_format

TEXT = """\
title: Students
about: a study for tests
base:
  data: garments
  model: {layers: []}
  loss: categorical_crossentropy
  augmentation: {copies: 2, layers: [{RandomFlip: {mode: horizontal}}]}
  training: {epochs: 2, batch_size: 50, validation: 0.1}
axes:
  learns_from:
    labels: {}
    teacher: {distillation: {teacher: softmax-regression, temperature: 2, weight: 0.5}}
  seed: [1, 2]
figure: {dots: {by: learns_from, show: [test_accuracy]}}
claim: ["max(test_accuracy, learns_from=teacher) > 0"]
"""


def test_students_learn_from_one_run_of_their_teacher(tmp_path: Path, invoke: Run) -> None:
    (tmp_path / "garments").mkdir()
    write_mnist_format(tmp_path / "garments", *three_garments())
    (tmp_path / "students.yaml").write_text(TEXT)
    done = invoke("study", "students.yaml", "--jobs", "1", "--json")
    assert done.returncode == 0, done.stderr
    (verdict,) = json.loads(done.stdout)
    assert verdict["claim"] == "holds"
    (teacher,) = (tmp_path / "runs" / "softmax-regression").iterdir()
    again = invoke("study", "students.yaml", "--jobs", "1")
    assert again.returncode == 0, again.stderr
    assert "to train" not in again.stderr
    assert list((tmp_path / "runs" / "softmax-regression").iterdir()) == [teacher]
