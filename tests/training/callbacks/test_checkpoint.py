"""Trainings that are killed at random moments and end with the same bits."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import TENSORS, EventAccumulator
from tensorboard.util.tensor_util import make_ndarray

from tests.training.conftest import SMALL, a_record, declared
from wardrobe.models import DataFacts
from wardrobe.training.errors import TrainingError
from wardrobe.training.run import Run

# Everything that remembers something from epoch to epoch; it stops early.
TEXT = """\
name: killed
seed: 3
data: rings
model:
  head: {activation: sigmoid}
  layers:
    - Dense: {units: 16, activation: tanh}
    - BatchNormalization
    - Dropout: {rate: 0.2}
optimizer: {Adam: {learning_rate: 0.01, use_ema: true, ema_momentum: 0.5}}
training: {epochs: 400, batch_size: 16}
callbacks:
  - SwapEMAWeights: {swap_on_epoch: true}
  - ReduceLROnPlateau: {monitor: val_accuracy, patience: 3, factor: 0.5}
  - ModelCheckpoint: {filepath: best.keras, save_best_only: true}
  - EarlyStopping: {monitor: val_accuracy, patience: 25, restore_best_weights: true}
"""


class Killed:
    """`wardrobe train --resume` in a folder of its own."""

    def __init__(self, program: str, folder: Path, backend: str) -> None:
        folder.mkdir()
        (folder / "killed.yaml").write_text(TEXT)
        self.folder = folder
        self.command = [program, "train", "killed.yaml", "--resume", "--backend", backend]

    def to_the_end(self) -> None:
        done = subprocess.run(self.command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def kill_after(self, seconds: float, of_training: bool) -> None:
        """Kills it so long after its start, or after it has begun to keep checkpoints."""
        process = subprocess.Popen(
            self.command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while of_training and not self.checkpoints and process.poll() is None:
            time.sleep(0.01)
        time.sleep(seconds)
        finished = process.poll() is not None
        process.kill()
        process.wait()
        assert not (of_training and finished), "it was to be killed while it trained"

    @property
    def checkpoints(self) -> list[Path]:
        return list(self.folder.glob("runs/killed/*/checkpoint.npz"))

    @property
    def run(self) -> Path:
        (record,) = self.folder.glob("runs/killed/*/run.json")
        return record.parent

    def history(self) -> list[list[str]]:
        """Its rows, without the seconds that an epoch took."""
        rows = (self.run / "history.csv").read_text().splitlines()
        return [row.split(",")[:-1] for row in rows]

    def scalars(self, part: str) -> dict[str, list[tuple[int, float]]]:
        """What TensorBoard reads of `train` or `validation`: of each name, steps and values."""
        events = EventAccumulator(
            str(self.run / "tensorboard" / part), {TENSORS: 0}, purge_orphaned_data=False
        ).Reload()
        return {
            tag: [
                (event.step, float(make_ndarray(event.tensor_proto)))
                for event in events.Tensors(tag)
            ]
            for tag in events.Tags()[TENSORS]
        }


LOGGED = [
    ("train", "epoch_loss", "loss"),
    ("train", "epoch_accuracy", "accuracy"),
    ("train", "epoch_learning_rate", "learning_rate"),
    ("validation", "epoch_loss", "val_loss"),
    ("validation", "epoch_accuracy", "val_accuracy"),
]


@pytest.mark.parametrize("backend", ["tensorflow", pytest.param("jax", marks=pytest.mark.slow)])
def test_a_killed_training_ends_with_the_same_bits(wardrobe_program, tmp_path, backend):
    undisturbed = Killed(wardrobe_program, tmp_path / "undisturbed", backend)
    undisturbed.to_the_end()
    seed = random.randrange(10**6)
    print("seed of the moments:", seed)
    moments = random.Random(seed)
    killed = Killed(wardrobe_program, tmp_path / "killed", backend)
    killed.kill_after(moments.uniform(0, 0.5), of_training=True)
    killed.kill_after(moments.uniform(0, 10), of_training=False)
    killed.to_the_end()

    assert killed.history() == undisturbed.history()
    assert killed.scalars("train") == undisturbed.scalars("train")
    assert killed.scalars("validation") == undisturbed.scalars("validation")
    columns = dict(zip(killed.history()[0], zip(*killed.history()[1:], strict=True), strict=True))
    for part, tag, column in LOGGED:
        logged = [pytest.approx(float(value)) for value in columns[column]]
        assert killed.scalars(part)[tag] == list(enumerate(logged))
    rates = [row[-1] for row in killed.history()[1:]]
    assert 25 < len(rates) < 400
    assert len(set(rates)) > 1
    for file in ("model.keras", "best.keras"):
        got, expected = (keras.models.load_model(one.run / file) for one in (killed, undisturbed))
        for a, b in zip(got.get_weights(), expected.get_weights(), strict=True):
            assert np.array_equal(a, b)
    records = [json.loads((one.run / "run.json").read_text()) for one in (killed, undisturbed)]
    assert records[0]["metrics"] == records[1]["metrics"]
    assert records[0]["resumed"]
    assert not killed.checkpoints
    assert [entry.name for entry in killed.folder.glob("artifacts/killed/*")] == ["1"]


KILLED_BEFORE_THE_NOTE = """
import os, signal, sys
from wardrobe.training.run import Run
from wardrobe.cli import main

def note(self, **facts):
    if "artifact" in facts:
        os.kill(os.getpid(), signal.SIGKILL)
    write(self, **facts)

write, Run.note = Run.note, note
main(sys.argv[1:])
"""

DONE = "name: done\ndata: rings\nmodel: {layers: []}\ntraining: {epochs: 1}\n"


def test_a_run_killed_after_its_artifact_is_there_writes_no_second_one(invoke, tmp_path):
    (tmp_path / "done.yaml").write_text(DONE)
    command = [sys.executable, "-c", KILLED_BEFORE_THE_NOTE, "train", "done.yaml"]
    killed = subprocess.run(command, cwd=tmp_path, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (artifact,) = tmp_path.glob("artifacts/done/*")
    resumed = invoke("train", "done.yaml", "--resume", "--json")
    record = json.loads(resumed.stdout)
    assert record["resumed"]
    assert tmp_path / record["artifact"] == artifact
    assert list(tmp_path.glob("artifacts/done/*")) == [artifact]


@pytest.fixture
def begun(tmp_path, few_silhouettes):
    """A run that has begun, and its declaration."""
    declaration, _ = declared(tmp_path, DataFacts((28, 28), 10), SMALL)
    record = a_record(declaration, few_silhouettes)
    folder = tmp_path / "small" / "run"
    return Run.start(folder, record, declaration), declaration


def test_a_run_that_is_being_trained_is_left_alone(begun, tmp_path):
    running, declaration = begun
    other = Run.latest(tmp_path, declaration)
    assert other is not None
    before = (running.folder / "run.json").read_text()
    with pytest.raises(TrainingError, match="is being trained by another process"):
        other.resume(running.record)
    assert (running.folder / "run.json").read_text() == before


def test_resuming_a_finished_run_trains_nothing(invoke, tmp_path):
    (tmp_path / "done.yaml").write_text(DONE)
    first, again = (
        json.loads(invoke("train", "done.yaml", "--resume", "--json").stdout) for _ in range(2)
    )
    assert first == again
    other = invoke("train", "done.yaml", "--resume", "--seed", "8", "--json")
    assert json.loads(other.stdout)["run"] != first["run"]


def test_a_run_does_not_go_on_with_what_would_give_another_result(begun, tmp_path):
    run, _ = begun
    run.resume(run.record)
    assert run.record.resumed
    other = replace(
        run.record,
        versions=run.record.versions | {"backend": "other"},
        data=replace(run.record.data, split="b"),
    )
    with pytest.raises(TrainingError, match=r"cannot be resumed: data\.split, versions\.backend"):
        run.resume(other)
    another, _ = declared(tmp_path, DataFacts((28, 28), 10), SMALL, "training.epochs=3")
    assert Run.latest(tmp_path, another) is None


def test_a_file_that_is_not_a_record_is_named(begun, tmp_path):
    run, declaration = begun
    (run.folder / "run.json").write_text('{"name": "small"}')
    with pytest.raises(TrainingError, match=r"run\.json: not the record of a run"):
        Run.latest(tmp_path, declaration)
