"""Records a run with MLflow: its parameters, the measures of each epoch, its metrics and artifact.

A run of wardrobe is one run of MLflow, however often it was interrupted: a tag holds its id.
"""

from __future__ import annotations

import csv
import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import keras

from wardrobe.models import Declaration
from wardrobe.models.build.custom_objects import MLflow
from wardrobe.training.errors import TrainingError, in_words, without_password
from wardrobe.training.fit.compatibility import leaves
from wardrobe.training.run import Run

if TYPE_CHECKING:
    from mlflow import MlflowClient

_RUN_ID = "wardrobe.run"
_LONGEST_VALUE, _LONGEST_TAG = 6000, 8000  # characters that MLflow keeps
_AT_ONCE = 100  # parameters, or epochs, that are sent together


class MLflowRecorder(keras.callbacks.Callback):
    """Sends what the run's record and `history.csv` hold. Comes after what writes these files."""

    def __init__(self, experiment: str, uri: str | None) -> None:
        """Connects to the tracking server `uri`; None: the one that MLflow's environment names.

        Raises:
            TrainingError: MLflow is not installed, or the server does not answer.
        """
        super().__init__()
        if find_spec("mlflow") is None:
            raise TrainingError("recording with MLflow needs pip install 'wardrobe[mlflow]'")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
        import mlflow

        self.uri = uri or mlflow.get_tracking_uri()
        with self._in_words():
            _check_reachable(self.uri)
            self.client: MlflowClient = mlflow.MlflowClient(tracking_uri=self.uri)
            found = self.client.get_experiment_by_name(experiment)
            self.experiment = (
                found.experiment_id if found else self.client.create_experiment(experiment)
            )

    @classmethod
    def wanted(
        cls, declared: Sequence[keras.callbacks.Callback], uri: str | None
    ) -> MLflowRecorder | None:
        """The recorder of a training whose declaration has the callback MLflow, or has a `uri`."""
        callbacks = [callback for callback in declared if isinstance(callback, MLflow)]
        if not callbacks and uri is None:
            return None
        return cls((callbacks or [MLflow()])[0].experiment, uri)

    @contextmanager
    def recording(self, run: Run, declaration: Declaration) -> Iterator[None]:
        """Begins, or goes on with, the run of MLflow; at the end it says how that was.

        Raises:
            TrainingError: MLflow no longer answers.
        """
        with self._in_words():
            self._begin(run, declaration)
        try:
            yield
        except BaseException as error:
            with suppress(Exception):  # the first failure is the one to report
                status = "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED"
                self.client.set_terminated(self.run_id, status)
            raise
        with self._in_words():
            self._finish(run)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        with self._in_words():
            self._send_history()

    def _begin(self, run: Run, declaration: Declaration) -> None:
        self.folder, record = run.folder, run.record
        query = f"tags.`{_RUN_ID}` = '{record.id}'"
        found = self.client.search_runs([self.experiment], query) if record.id else []
        if found:
            self.run_id = found[0].info.run_id
            sent = self.client.get_metric_history(self.run_id, "loss")
            self.epochs_sent = max((metric.step for metric in sent), default=0)
            self.client.update_run(self.run_id, status="RUNNING")
            return
        tags = {
            _RUN_ID: record.id,
            "mlflow.source.name": record.command,
            "mlflow.source.type": "LOCAL",
            "mlflow.source.git.commit": (record.git or {}).get("commit", ""),
        }
        begun = self.client.create_run(
            self.experiment,
            tags={name: value[:_LONGEST_TAG] for name, value in tags.items() if value},
            run_name=f"{record.name} {self.folder.name}",
        )
        self.run_id, self.epochs_sent = begun.info.run_id, 0
        self._send_parameters(declaration)

    def _send_parameters(self, declaration: Declaration) -> None:
        """The declaration as resolved, a parameter for each value, named by its path."""
        from mlflow.entities import Param

        parameters = [
            Param(".".join(map(str, path)), _text(value)[:_LONGEST_VALUE])
            for path, value in leaves(declaration.tree.plain)
        ]
        for at in range(0, len(parameters), _AT_ONCE):
            self.client.log_batch(self.run_id, params=parameters[at : at + _AT_ONCE])

    def _send_history(self) -> None:
        """The epochs that MLflow does not have yet."""
        from mlflow.entities import Metric

        with (self.folder / "history.csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if int(row["epoch"]) > self.epochs_sent]
        now = int(time.time() * 1000)
        for at in range(0, len(rows), _AT_ONCE):
            metrics = [
                Metric(name, float(value), now, int(row["epoch"]))
                for row in rows[at : at + _AT_ONCE]
                for name, value in row.items()
                if name != "epoch"
            ]
            self.client.log_batch(self.run_id, metrics=metrics)
            self.epochs_sent = metrics[-1].step

    def _finish(self, run: Run) -> None:
        from mlflow.entities import Metric

        now, record = int(time.time() * 1000), run.record
        metrics = [
            Metric(f"{part}_{name}", float(value), now, 0)
            for part, measures in record.metrics.items()
            for name, value in measures.items()
            if isinstance(value, float)
        ]
        self.client.log_batch(self.run_id, metrics=metrics)
        artifact = Path(record.artifact)
        self.client.log_artifacts(
            self.run_id, str(artifact), f"{artifact.parent.name}/{artifact.name}"
        )
        card = (artifact / "assets.extra" / "card.md").read_text(encoding="utf-8")
        self.client.set_tag(self.run_id, "mlflow.note.content", card[:_LONGEST_TAG])
        self.client.set_terminated(self.run_id, "FINISHED")

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        from mlflow.exceptions import MlflowException

        try:
            yield
        except ImportError as error:  # a database's, which the client alone does not need
            text = f"needs the package {error.name}"
        except (MlflowException, OSError) as error:
            text = in_words(error)
        else:
            return
        raise TrainingError(f"MLflow at {without_password(self.uri)}: {text}")


def _check_reachable(uri: str) -> None:
    """MLflow itself would try for minutes."""
    address = urlsplit(uri)
    if address.scheme in ("http", "https") and address.hostname:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((address.hostname, port), timeout=10).close()


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
