"""The process behind a page: real trainings, a step at a time, from several seeds."""

from __future__ import annotations

import json
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from wardrobe.training.lab.session import Session
from wardrobe.training.lab.worker import Turns

TEXT = """\
name: mine
data: rings
model: {layers: [{Dense: {units: 3, activation: tanh}}], head: {activation: sigmoid}}
optimizer: {Adam: {learning_rate: 0.02}}
training: {epochs: 3, batch_size: 500, validation: 0.2}
seed: 7
"""


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    session = Session("tensorflow")
    until(session, "ready")
    yield session
    session.end()
    assert not session.folder.exists()
    assert not session.process.is_alive()


def until(session: Session, *kinds: str) -> list[dict[str, Any]]:
    """What the process says up to a message of one of these types."""
    said = []
    while session.connection.poll(60):
        said.append(session.connection.recv())
        if said[-1]["type"] in kinds:
            return said
    raise AssertionError(f"silence after {said}")


def train(session: Session, text: str = TEXT, **how: Any) -> None:
    session.send({"do": "train", "yaml": text, "seeds": [7], "paused": False, "pace": 0.0} | how)


def epochs(said: list[dict[str, Any]], seed: int = 7) -> list[int]:
    of_seed = [one for one in said if one["type"] == "epochs" and one["seed"] == seed]
    return [row["epoch"] for one in of_seed for row in one["rows"]]


def test_several_seeds_are_trained_and_exported_as_by_the_command_line(
    session: Session, tmp_path: Path
) -> None:
    train(session, seeds=[7, 8])
    said = until(session, "finished")
    assert said[-1]["complete"]
    assert epochs(said, 7) == epochs(said, 8) == [1, 2, 3]
    archive = session.archive()
    assert archive is not None
    with zipfile.ZipFile(archive) as file:
        file.extractall(tmp_path)
    assert (tmp_path / "declaration.yaml").read_text() == TEXT
    for seed in (7, 8):
        (record,) = tmp_path.glob(f"runs/mine/*-seed{seed}/run.json")
        facts = json.loads(record.read_text())
        assert (facts["status"], facts["seed"], facts["epochs"]) == ("finished", seed, 3)
        assert (tmp_path / facts["artifact"] / "saved_model.pb").exists()


def test_the_network_is_the_one_that_the_command_line_trains(
    session: Session, tmp_path: Path, wardrobe: Any
) -> None:
    train(session)
    until(session, "finished")
    (tmp_path / "declaration.yaml").write_text(TEXT)
    assert wardrobe("train", "declaration.yaml").returncode == 0
    (own,) = tmp_path.glob("runs/mine/*-seed7/model.keras")
    shown = max(session.folder.glob("runs/mine/*-seed7*/model.keras"))
    weights = [keras.models.load_model(file).get_weights() for file in (own, shown)]
    assert all(np.array_equal(one, other) for one, other in zip(*weights, strict=True))


def test_a_training_goes_a_step_at_a_time_with_another_step_size(session: Session) -> None:
    train(session, paused=True)
    begun = until(session, "epochs")
    assert epochs(begun) == []
    assert begun[-2]["kind"] == "plane"
    assert not session.connection.poll(0.5)
    session.send({"do": "rate", "value": 0.25})
    session.send({"do": "step"})
    (row,) = until(session, "epochs")[-1]["rows"]
    assert (row["epoch"], row["learning_rate"]) == (1, 0.25)
    assert not session.connection.poll(0.5)
    session.send({"do": "stop"})
    said = until(session, "finished")
    assert said[-1]["complete"]
    assert epochs(said) == []


def test_a_training_is_abandoned_for_the_next_one(session: Session) -> None:
    train(session, TEXT.replace("epochs: 3", "epochs: 100000"))
    until(session, "epochs")
    train(session, TEXT.replace("rings", "xor"))
    said = until(session, "finished")
    last = max(at for at, one in enumerate(said) if one["type"] == "begins")
    assert epochs(said[last:]) == [1, 2, 3]


def test_a_loss_that_is_no_number_is_told(session: Session) -> None:
    train(session, TEXT.replace("Adam: {learning_rate: 0.02", "SGD: {learning_rate: 1e38"))
    said = until(session, "finished")
    (failed,) = (one for one in said if one["type"] == "failed")
    assert "the loss became NaN" in failed["message"]
    assert not said[-1]["complete"]


@pytest.mark.parametrize(
    ("data", "head", "kind", "holds"),
    [
        ("curve", "linear", "curve", {"curve": 100, "units": 1}),
        ("silhouettes", "softmax", "images", {"images": 3}),
        ("flu", "sigmoid", "numbers", {}),
    ],
)
def test_what_is_shown_depends_on_the_data(
    session: Session, data: str, head: str, kind: str, holds: dict[str, int]
) -> None:
    train(session, TEXT.replace("rings", data).replace("sigmoid", head), paused=True)
    begins, shown = until(session, "epochs")[-2:]
    assert begins["kind"] == kind
    assert {name: len(value) for name, value in shown["picture"].items()} == holds


def test_a_snapshot_is_bounded(session: Session) -> None:
    layers = "{repeat: 9, layers: [{Dense: {units: 300, activation: tanh}}]}"
    train(session, TEXT.replace("{Dense: {units: 3, activation: tanh}}", layers), paused=True)
    begins, shown = until(session, "epochs")[-2:]
    assert len(json.dumps([begins, shown])) < 100_000


def test_turns_are_taken_in_order_and_given_up_at_the_end() -> None:
    turns, trained = Turns([1, 2, 3]), list[tuple[int, int]]()

    def one(seed: int) -> None:
        turns.begin(seed)
        for epoch in range(seed + 1):
            trained.append((epoch, seed))
            if epoch < seed:
                turns.next(seed, epoch)
        turns.leave(seed)

    threads = [threading.Thread(target=one, args=(seed,)) for seed in (3, 1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert trained == sorted(trained)
    assert len(trained) == 2 + 3 + 4
