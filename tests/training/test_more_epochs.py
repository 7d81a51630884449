"""A run continues from the end of one with fewer epochs, and becomes what it would be at once."""

from __future__ import annotations

import errno
import fcntl
import json
import shutil

import keras
import numpy as np
import pytest

from tests.training.conftest import SMALL, a_record, declared, trained_on
from wardrobe.models import DataFacts
from wardrobe.training.errors import TrainingError
from wardrobe.training.run import Run
from wardrobe.training.train import TrainedRun

# Everything that remembers something from epoch to epoch, and nothing that counts the epochs.
TEXT = """\
name: longer
seed: 3
data: silhouettes
model:
  layers:
    - Dense: {units: 16, activation: tanh}
    - BatchNormalization
    - Dropout: {rate: 0.2}
optimizer: {Adam: {learning_rate: 0.01, use_ema: true, ema_momentum: 0.5}}
training: {epochs: 3, batch_size: 100}
callbacks:
  - SwapEMAWeights: {swap_on_epoch: true}
  - ReduceLROnPlateau: {monitor: val_accuracy, patience: 1, factor: 0.5, min_delta: 0.05}
  - ModelCheckpoint: {filepath: best.keras, save_best_only: true}
  - EarlyStopping: {monitor: val_accuracy, patience: 25, restore_best_weights: true}
"""

SIX = "training.epochs=6"


@pytest.fixture(scope="module")
def finished(few_silhouettes, tmp_path_factory):
    """The folder in which a run of three epochs was trained, and the run."""
    folder = tmp_path_factory.mktemp("finished")
    return folder, trained_on(few_silhouettes, folder, TEXT)


@pytest.fixture
def three(finished, tmp_path):
    """A finished run of three epochs, a copy of the test's own."""
    original, run = finished
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    return TrainedRun(tmp_path / run.folder.relative_to(original), run.record)


def weights(run, file="model.keras"):
    return keras.models.load_model(run.folder / file, compile=False).get_weights()


def assert_same_bits(mine, others):
    assert all(np.array_equal(a, b) for a, b in zip(mine, others, strict=True))


def test_three_epochs_and_three_more_give_the_bits_of_six(three, few_silhouettes, tmp_path):
    (tmp_path / "at once").mkdir()
    before = weights(three)
    longer = trained_on(few_silhouettes, tmp_path, TEXT, SIX, resume=True)
    at_once = trained_on(few_silhouettes, tmp_path / "at once", TEXT, SIX)
    for file in ("model.keras", "best.keras"):
        assert_same_bits(weights(longer, file), weights(at_once, file))
    assert longer.metrics == at_once.metrics
    histories = [{k: v for k, v in run.history.items() if k != "seconds"} for run in
                 (longer, at_once)]  # fmt: skip
    assert histories[0] == histories[1]
    assert len(set(longer.history["learning_rate"])) > 1
    # The run that it went on from is as it was; there are two runs and two artifacts.
    assert longer.folder != three.folder
    assert longer.record.continues == three.record.id
    assert longer.record.epochs == 6
    assert_same_bits(weights(three), before)
    assert [run.artifact.name for run in (three, longer)] == ["1", "2"]


def test_resumed_again_it_is_finished(three, few_silhouettes, tmp_path):
    longer, again = (
        trained_on(few_silhouettes, tmp_path, TEXT, SIX, resume=True) for _ in range(2)
    )
    assert longer.folder == again.folder


def test_with_anything_else_changed_a_new_run_begins(three, few_silhouettes, tmp_path, caplog):
    other = trained_on(few_silhouettes, tmp_path, TEXT, SIX, "training.batch_size=500", resume=True)
    assert not other.record.continues
    assert (
        f"a new run begins: {three.folder} was declared with another training.batch_size, "
        "training.epochs; drop --resume if that is meant" in caplog.text
    )


def test_a_schedule_goes_on_and_this_is_told(few_silhouettes, tmp_path, caplog):
    decay = (
        "optimizer={Adam: {learning_rate: {CosineDecay: {initial_learning_rate: 0.01, "
        "decay_epochs: 2}}}}"
    )
    trained_on(few_silhouettes, tmp_path, SMALL, decay)
    trained_on(few_silhouettes, tmp_path, SMALL, decay, "training.epochs=3", resume=True)
    assert "continues from the end of" in caplog.text
    assert "continues as in CosineDecay after 2 epochs, from 0 to 0" in caplog.text


STOPS = "callbacks=[{EarlyStopping: {monitor: loss, patience: 0, min_delta: 1000}}]"


def test_a_run_that_stopped_early_has_no_use_for_more_epochs(few_silhouettes, tmp_path):
    trained_on(few_silhouettes, tmp_path, SMALL, STOPS, "training.epochs=5")
    with pytest.raises(TrainingError, match=r"stopped early, after 2 of 5 epochs; drop --resume"):
        trained_on(few_silhouettes, tmp_path, SMALL, STOPS, "training.epochs=9", resume=True)
    assert len(list((tmp_path / "runs" / "small").iterdir())) == 1


def test_a_run_that_kept_nothing_to_go_on_from(three, few_silhouettes, tmp_path):
    (three.folder / "end.npz").unlink()
    with pytest.raises(TrainingError, match=r"kept no end.npz; drop --resume"):
        trained_on(few_silhouettes, tmp_path, TEXT, SIX, resume=True)


def test_what_would_give_another_result_is_named(three, few_silhouettes, tmp_path):
    record = json.loads((three.folder / "run.json").read_text())
    record["versions"]["numpy"] = "1.0"
    (three.folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(TrainingError, match=r"versions\.numpy changed since; drop --resume"):
        trained_on(few_silhouettes, tmp_path, TEXT, SIX, resume=True)


@pytest.fixture
def begun(tmp_path, few_silhouettes):
    """Begins a run whose folder has this name, and notes how it ended."""
    declaration, _ = declared(tmp_path, DataFacts((28, 28), 10), SMALL)

    def begin(name, status):
        record = a_record(declaration, few_silhouettes)
        run = Run.start(tmp_path / "small" / name, record, declaration)
        run.note(status=status)
        return run

    return begin, declaration


def test_an_interrupted_run_comes_before_a_finished_one_whatever_the_clock_says(begun, tmp_path):
    begin, declaration = begun
    interrupted = begin("20200101-000000-seed5", "interrupted")
    finished = begin("20300101-000000-seed5", "finished")
    assert Run.latest(tmp_path, declaration).folder == interrupted.folder
    interrupted.note(status="finished")
    assert Run.latest(tmp_path, declaration).folder == finished.folder


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_without_locks_training_goes_on_with_a_notice(begun, monkeypatch, caplog, code):
    def flock(*_):
        raise OSError(code, "no locks here")

    monkeypatch.setattr(fcntl, "flock", flock)
    begin, _ = begun
    assert begin("one", "finished").folder.is_dir()
    assert "cannot be locked on this file system (no locks here)" in caplog.text


def test_other_failures_of_a_lock_are_not_passed_over(begun, monkeypatch):
    def flock(*_):
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(fcntl, "flock", flock)
    with pytest.raises(TrainingError, match="input/output error"):
        begun[0]("one", "finished")
