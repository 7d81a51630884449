"""A record is read and written in one place, and is the same afterwards."""

from __future__ import annotations

import json

import pytest

from wardrobe.training.record import Record, read
from wardrobe.training.results.records import FOLDER

SHIPPED = sorted((FOLDER / "records").glob("*.json"))


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_the_records_that_ship_are_written_as_they_were_read(file):
    facts = json.loads(file.read_text(encoding="utf-8"))
    written = read(file).to_json()
    if facts["data"]["resplit"] is None:  # only a record that ships says so
        written["data"]["resplit"] = None
    written = {"id": "", "teacher": {}} | written
    facts = {"id": "", "teacher": {}} | facts
    assert json.dumps(written) == json.dumps(facts)


def test_a_finished_run_is_written_as_it_was_read(trained):
    text = (trained.folder / "run.json").read_text(encoding="utf-8")
    facts = json.loads(text)
    assert json.dumps(Record.from_json(facts).to_json(), indent=2) + "\n" == text
    assert list(facts) == [
        "id", "name", "status", "started", "seed", "declaration", "command", "data", "teacher",
        "versions", "devices", "processor", "git", "parameters", "epochs", "seconds",
        "calibration", "metrics", "artifact",
    ]  # fmt: skip
    assert list(facts["data"]) == ["name", "source", "files", "split", "examples"]
    assert facts["teacher"] == {}
