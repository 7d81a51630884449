"""Each row of the lecture has been run, and its claim is computed from what was measured."""

from __future__ import annotations

import json
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from tests.conftest import needs_fashion_mnist
from wardrobe.training.studies.claims import judge
from wardrobe.training.studies.study import read_all

pytestmark = needs_fashion_mnist

STUDIES = {study.name: study for study in read_all(is_quick=True)}

# Claims about accuracies of a hundredth need the full studies; these hold in quick ones too.
HOLD_QUICKLY = {
    1: "unit",
    2: "flu",
    3: "step-does-not-learn",
    4: "activations",
    5: "hidden-space",
    6: "hidden-units",
    8: "softmax",
    9: "losses",
    11: "back-propagation",
    12: "vanishing-gradients",
    14: "not-convex",
    17: "range-test",
    18: "overfitting",
    20: "early-stopping",
}


@pytest.mark.parametrize("row", range(1, 27))
def test_the_claims_of_a_row_are_computed_from_real_runs(lecture, row):
    names = [name for name, study in STUDIES.items() if row in study.frame.rows]
    assert names
    for name in names:
        study = STUDIES[name]
        if study.trials:
            continue  # its variants are proposed as it goes: see the test of the search
        records = lecture.records(name)
        assert len(records) == len(lecture.variants(name))
        for record in records:
            if study.frame.train:
                history = record.arrays["history_loss"]
                assert len(history) == record.numbers["epochs"]
                assert record.numbers["moved"] > 0 or "step" in record.labels.values()
        verdicts = [judge(claim, records) for claim in study.frame.claim]
        said = lecture.verdicts[name]
        assert said["computed"] == "; ".join(verdict.computed for verdict in verdicts)
        assert (said["claim"] == "holds") is all(verdict.holds for verdict in verdicts)
        nothing = [replace(one, numbers=dict.fromkeys(one.numbers, np.nan)) for one in records]
        assert not any(judge(claim, nothing).holds for claim in study.frame.claim)


@pytest.mark.parametrize("row", HOLD_QUICKLY)
def test_what_holds_at_any_size(lecture, row):
    assert lecture.verdicts[HOLD_QUICKLY[row]]["claim"] == "holds"


def test_the_search_has_pruned_and_found(lecture):
    said = lecture.verdicts["search"]
    assert said["computed"].count(";") == 3
    assert (lecture.folder / "studies" / "search-quick" / "search.journal").is_file()


@pytest.mark.parametrize("name", STUDIES)
def test_every_study_leaves_a_report_and_its_figure(lecture, name):
    folder = lecture.folder / "studies" / f"{name}-quick"
    text = (folder / "report.md").read_text()
    assert f"## The claim {lecture.verdicts[name]['claim']}" in text
    assert f"wardrobe study {name} --quick" in text
    assert (folder / "figure.png").stat().st_size < 400_000
    assert (folder / "figure.svg").stat().st_size < 400_000
    assert ElementTree.parse(folder / "figure.svg").getroot().tag.endswith("svg")


def test_the_page_needs_nothing_but_itself(lecture):
    page = (lecture.folder / "studies" / "lecture.html").read_text()
    assert "built with <code>--quick</code>" in page
    positions = [page.index(f'<section id="{name}">') for name in STUDIES]
    assert positions == sorted(positions)
    assert not re.findall(r'(?:src|href)="(?!#|data:)[^"]*"', page)
    assert "@import" not in page
    assert not re.findall(r"url\((?!#)", page)
    assert page.count("currentColor") > 100


def test_nothing_is_run_twice(lecture, wardrobe_program):
    files = sorted((lecture.folder / "studies" / "members").rglob("*.json"))
    before = {file: file.stat().st_mtime_ns for file in files}
    lost = next(file for file in files if json.loads(file.read_text())["name"] == "flu")
    lost.unlink()
    done = subprocess.run(
        [wardrobe_program, "study", "flu", "--quick", "--runs", str(lecture.folder)],
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert lost.is_file()
    changed = [file for file in files if file.stat().st_mtime_ns != before[file]]
    assert changed == [lost]


def test_the_committed_page_shows_no_picture_of_the_data_and_names_its_command():
    page = (Path(__file__).parents[3] / "docs" / "lecture.html").read_text()
    assert "wardrobe study --all" in page
    assert "called" not in re.sub(r"<p>.*?</p>", "", page, flags=re.DOTALL)
    assert all(f'id="{name}"' in page for name in STUDIES)
