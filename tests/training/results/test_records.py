"""From finished runs to records that ship, and what is said of them."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from wardrobe.serving.inference.model import size_and_latency
from wardrobe.training.results import records


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    return tmp_path


def test_a_run_of_the_zoo_becomes_a_record(trained, folder, monkeypatch):
    def digest(name, resplit):
        assert (name, resplit) == ("small", None)
        return trained.record.declaration

    monkeypatch.setattr(records, "digest", digest)
    (file,) = records.collect(trained.folder.parent.parent, size_and_latency)
    assert file == folder / "records" / "small-seed5.json"
    (kept,) = records.records()["small"]
    assert kept.metrics == trained.record.metrics
    assert str(trained.artifact) not in file.read_text()
    stored = sum(file.stat().st_size for file in trained.artifact.rglob("*") if file.is_file())
    assert kept.costs["bytes"] == stored
    alone, together = (kept.costs["microseconds"][size] for size in ("1", "64"))
    assert 0 < together < 64 * alone


def test_an_altered_run_does_not(trained, folder):
    assert records.collect(trained.folder.parent.parent, size_and_latency) == []
    assert records.records() == {}


def test_a_run_on_a_test_set_drawn_anew_is_kept_apart(trained, folder, tmp_path, monkeypatch):
    run = tmp_path / "runs" / "small" / "1"
    run.mkdir(parents=True)
    (run / "run.json").write_text(json.dumps(trained.record.to_json()))
    declared = (trained.folder / "declaration.yaml").read_text()
    (run / "declaration.yaml").write_text(
        declared.replace("name: silhouettes", "name: silhouettes\n  resplit: 7")
    )
    monkeypatch.setattr(records, "digest", lambda *_: trained.record.declaration)
    taken = records.collect(tmp_path / "runs", size_and_latency)
    assert [file.name for file in taken] == ["small-resplit7-seed5.json"]
    assert records.records() == {}
    assert set(records.records(resplit=True)) == {"small"}


def test_the_summary_of_seeds(trained):
    def of_seed(accuracy):
        test = trained.record.metrics["test"] | {"accuracy": accuracy}
        costs = {"bytes": 10, "microseconds": {"1": 100 * accuracy, "64": 200.0}}
        metrics = trained.record.metrics | {"test": test}
        return replace(trained.record, metrics=metrics, costs=costs)

    summary = records.summarize([of_seed(accuracy) for accuracy in (0.7, 0.8, 0.9)])
    assert summary.seeds == 3
    assert summary.accuracy == pytest.approx(0.8)
    assert summary.accuracy_spread == pytest.approx(0.1)
    assert summary.microseconds["1"] == pytest.approx(70)
    assert summary.teacher is None
