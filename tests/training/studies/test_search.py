"""Searches: where their trials lie, who may work on them, and how they go on."""

from __future__ import annotations

import signal
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.conftest import heed_ctrl_c
from tests.training.studies.postgresql import needs_postgresql, server

TEXT = """\
title: Searched
rows: [26]
about: a search for tests
base:
  data: moons
  model: {layers: [{Dense: {units: 2, activation: tanh}}], head: {activation: sigmoid}}
  training: {epochs: 3, batch_size: 50, validation: 100}
search:
  trials: 4
  ranges:
    step_size: {path: optimizer.Adam.learning_rate, low: 1e-4, high: 1e-1, log: true}
    units: {path: model.layers.0.Dense.units, low: 1, high: 4}
figure: {what_mattered: {log: [step_size]}}
claim: ["max(validation_accuracy) >= 0"]
"""


@pytest.fixture(autouse=True)
def study(tmp_path):
    (tmp_path / "searched.yaml").write_text(TEXT)


def make_trials(storage: optuna.storages.BaseStorage | str, count: int) -> None:
    """Trials as a search leaves them: the second one pruned."""
    trials = optuna.create_study(storage=storage, study_name="searched", direction="maximize")
    for number in range(count):
        trial = trials.ask()
        trial.suggest_float("step_size", 1e-4, 1e-1, log=True)
        trial.suggest_int("units", 1, 4)
        trial.report(number / 10, 0)
        if number == 1:
            trials.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            trials.tell(trial, number / 10)


def states(storage: optuna.storages.BaseStorage | str) -> list[str]:
    found = optuna.load_study(storage=storage, study_name="searched").get_trials()
    return [trial.state.name for trial in found]


def journal(file: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(file)))


def test_an_interrupted_search_goes_on_in_a_database_and_keeps_pruned_trials(invoke, tmp_path):
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    make_trials(url, 3)
    done = invoke("study", "searched.yaml", "--storage", url, "--jobs", "1")
    assert done.returncode == 0, done.stderr
    found = states(url)
    assert found[:3] == ["COMPLETE", "PRUNED", "COMPLETE"]
    assert len(found) == 4
    assert found[3] in ("COMPLETE", "PRUNED")


def test_trials_of_an_earlier_version_are_taken_over(invoke, tmp_path):
    folder = tmp_path / "runs" / "studies" / "searched"
    folder.mkdir(parents=True)
    make_trials(f"sqlite:///{folder / 'search.db'}", 4)
    for _ in range(2):
        done = invoke("study", "searched.yaml")
        assert done.returncode == 0, done.stderr
    found = states(journal(folder / "search.journal"))
    assert found == ["COMPLETE", "PRUNED", "COMPLETE", "COMPLETE"]


def test_several_processes_work_on_one_search(wardrobe_program, tmp_path):
    command = [wardrobe_program, "study", "searched.yaml", "--storage", "shared.journal"]
    several = [
        subprocess.Popen(
            [*command, "--jobs", "1", "--runs", f"runs{number}"],
            cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        )
        for number in range(2)
    ]  # fmt: skip
    for one in several:
        _, said = one.communicate(timeout=200)
        assert one.returncode == 0, said
        assert "4 of 4" in said
    finished = [s for s in states(journal(tmp_path / "shared.journal")) if s != "RUNNING"]
    assert len(finished) in (4, 5)  # the other one may be at its last trial when the fourth ends


@needs_postgresql
def test_two_processes_search_in_postgresql_and_one_that_is_interrupted_goes_on(
    wardrobe_program, tmp_path
):
    text = TEXT.replace("trials: 4", "trials: 12")
    (tmp_path / "searched.yaml").write_text(text)
    with server() as url:
        command = [wardrobe_program, "study", "searched.yaml", "--storage", url, "--jobs", "1"]

        def begin(runs: str) -> subprocess.Popen[str]:
            return subprocess.Popen(
                [*command, "--runs", runs],
                cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c,
            )  # fmt: skip

        first, second = begin("first"), begin("second")
        wait_for_trials(url, 3)
        second.send_signal(signal.SIGINT)
        _, said = second.communicate(timeout=100)
        assert said.rstrip().endswith("interrupted")
        for one in (begin("second"), first):
            _, said = one.communicate(timeout=200)
            assert one.returncode == 0, said
            assert "12 of 12" in said
        found = states(url)
    finished = [state for state in found if state in ("COMPLETE", "PRUNED")]
    assert len(finished) in (12, 13)  # as above
    for runs in ("first", "second"):
        assert (tmp_path / runs / "studies" / "searched" / "report.md").is_file()


def wait_for_trials(url: str, count: int) -> None:
    """Until so many trials are made."""
    deadline = time.monotonic() + 100
    while time.monotonic() < deadline:
        try:
            if sum(state in ("COMPLETE", "PRUNED") for state in states(url)) >= count:
                return
        except (KeyError, sqlalchemy.exc.SQLAlchemyError):  # no study, or not even a table, yet
            pass
        time.sleep(0.2)
    raise AssertionError("no trials are made")


@pytest.mark.parametrize(
    ("storage", "said"),
    [
        ("nonsense://me:secret@host/x", "nonsense"),
        ("broken.journal", "it is not a journal"),
        ("sqlite:////no/such/folder/x.db", "unable to open database file"),
    ],
)
def test_a_storage_that_cannot_be_used_is_told_in_one_message(invoke, tmp_path, storage, said):
    (tmp_path / "broken.journal").write_bytes(b"SQLite format 3\x00\nand\nmore\n")
    done = invoke("study", "searched.yaml", "--storage", storage)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Name the file of a journal, or the URL of a PostgreSQL or MySQL" in done.stderr
    assert "secret" not in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("kind", "driver", "package"),
    [("postgresql", "psycopg", "'wardrobe[postgresql]'"), ("mysql", "MySQLdb", "mysqlclient")],
)
def test_a_missing_driver_is_named_with_its_package(invoke, kind, driver, package):
    if find_spec(driver):
        pytest.skip(f"{driver} is installed")
    done = invoke("study", "searched.yaml", "--storage", f"{kind}://me:secret@127.0.0.1:9/x")
    assert done.returncode == 1
    assert done.stderr.rstrip().endswith(
        f"cannot use the storage {kind}://me:…@127.0.0.1:9/x: its driver, {driver}, is not "
        f"installed: pip install {package}"
    )


def test_a_storage_is_for_searches(invoke):
    done = invoke("study", "unit", "--storage", "x.journal")
    assert done.returncode == 2
    assert "--storage is for searches" in done.stderr
