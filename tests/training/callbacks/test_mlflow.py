"""Runs recorded with MLflow: in a database file, and by a real server where there is one.

The client alone has no server: MLFLOW_SERVER names the program `mlflow` of another environment.
"""

from __future__ import annotations

import csv
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import keras
import pytest
from mlflow import MlflowClient

from tests.conftest import free_port
from tests.training.conftest import SMALL, trained_on

DECLARED = SMALL + "callbacks: [{MLflow: {experiment: garments}}]\n"
SERVER = os.environ.get("MLFLOW_SERVER", "")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    if not SERVER:
        pytest.skip("MLFLOW_SERVER names no program `mlflow` with a server")
    folder, port = tmp_path_factory.mktemp("server"), free_port()
    process = subprocess.Popen(
        [SERVER, "server", "--port", str(port), "--workers", "1"],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
        | {"MLFLOW_DISABLE_TELEMETRY": "true"},
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            break
        except OSError:
            time.sleep(0.2)
    yield f"http://127.0.0.1:{port}"
    process.terminate()
    process.wait(30)


@pytest.fixture(params=["database", "server"])
def uri(request, tmp_path, monkeypatch):
    """Where MLflow records."""
    monkeypatch.chdir(tmp_path)  # artifacts of a database lie in the working directory
    if request.param == "server":
        return request.getfixturevalue("server")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def recorded(uri: str, experiment: str) -> list[Any]:
    client = MlflowClient(tracking_uri=uri)
    found = client.get_experiment_by_name(experiment)
    assert found is not None
    return list(client.search_runs([found.experiment_id]))


def test_a_run_of_wardrobe_is_one_of_mlflow(few_silhouettes, uri, tmp_path):
    run = trained_on(few_silhouettes, tmp_path, SMALL, mlflow=uri)
    (found,) = recorded(uri, "wardrobe")
    assert found.info.status == "FINISHED"
    assert found.data.tags["mlflow.source.name"] == "wardrobe train declared.yaml"
    parameters = found.data.params
    assert parameters["model.layers.0.Dense.units"] == "32"
    assert parameters["training.epochs"] == "2"
    assert parameters["seed"] == "5"
    client = MlflowClient(tracking_uri=uri)
    with (run.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    for name in ("loss", "accuracy", "val_loss", "val_accuracy", "learning_rate", "seconds"):
        measured = client.get_metric_history(found.info.run_id, name)
        assert [(one.step, one.value) for one in measured] == [
            (int(row["epoch"]), float(row[name])) for row in rows
        ]
    assert found.data.metrics["test_accuracy"] == run.metrics["test"]["accuracy"]
    assert found.data.metrics["validation_accuracy"] == run.metrics["validation"]["accuracy"]
    fetched = Path(client.download_artifacts(found.info.run_id, "small/1", str(tmp_path)))
    assert (fetched / "saved_model.pb").is_file()
    card = (run.artifact / "assets.extra" / "card.md").read_text()
    assert (fetched / "assets.extra" / "card.md").read_text() == card
    assert found.data.tags["mlflow.note.content"] == card[:8000]


class Interrupting(keras.callbacks.Callback):
    """Ctrl-C at the end of an epoch, before anybody behind it hears of that."""

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if epoch == 2:
            raise KeyboardInterrupt


def test_a_declared_run_goes_on_in_the_same_run_of_mlflow(
    few_silhouettes, uri, tmp_path, monkeypatch
):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    text = DECLARED.replace("epochs: 2", "epochs: 4")
    with pytest.raises(KeyboardInterrupt):
        trained_on(few_silhouettes, tmp_path, text, callbacks=[Interrupting()])
    (found,) = recorded(uri, "garments")
    assert found.info.status == "KILLED"
    run = trained_on(few_silhouettes, tmp_path, text, resume=True)
    assert len(run.history["loss"]) == 4
    (found,) = recorded(uri, "garments")
    assert found.info.status == "FINISHED"
    losses = MlflowClient(tracking_uri=uri).get_metric_history(found.info.run_id, "loss")
    assert [loss.step for loss in losses] == [1, 2, 3, 4]
    assert [loss.value for loss in losses] == run.history["loss"]


def test_a_server_that_does_not_answer_is_reported_before_anything_is_written(invoke, tmp_path):
    (tmp_path / "small.yaml").write_text(SMALL)
    done = invoke("train", "small.yaml", "--mlflow", "http://me:secret@127.0.0.1:9")
    assert done.returncode == 1
    assert done.stderr.startswith("MLflow at http://me:…@127.0.0.1:9: ")
    assert "Connection refused" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


def test_without_the_package_a_message_says_what_to_install(invoke, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    (tmp_path / "small.yaml").write_text(DECLARED)
    assert invoke("check", "small.yaml").returncode == 0
    done = invoke("train", "small.yaml")
    assert done.returncode == 1
    assert done.stderr == "recording with MLflow needs pip install 'wardrobe[mlflow]'\n"
    assert not (tmp_path / "runs").exists()


def test_the_declared_callback_is_checked(invoke, tmp_path):
    (tmp_path / "small.yaml").write_text(DECLARED.replace("experiment", "experment"))
    done = invoke("check", "small.yaml")
    assert done.returncode == 1
    assert "MLflow has no argument 'experment'; did you mean 'experiment'" in done.stdout
