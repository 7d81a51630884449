"""The example of a table in docs/data.md, done word for word."""

from __future__ import annotations

import json
import re
import shlex
from itertools import cycle, islice

import pytest

from tests.docs.pages import ROOT, blocks
from wardrobe.serving.app import create_app
from wardrobe.serving.settings import Settings

PAGE = ROOT / "docs" / "data.md"
ROWS = 110
"""The page shows a few rows; these are repeated until they can be split."""


def block(language, index=0):
    return [each.text for each in blocks(PAGE, language) if each.mark == "own table"][index]


@pytest.fixture
def folder(tmp_path):
    header, *rows = block("csv").splitlines()
    table = "\n".join([header, *islice(cycle(rows), ROWS)])
    (tmp_path / "people.csv").write_text(table + "\n", encoding="utf-8")
    (tmp_path / "people.yaml").write_text(block("yaml"), encoding="utf-8")
    return tmp_path


def test_it_leads_from_a_table_to_an_answer(folder, invoke):
    *commands, serve = block("sh").splitlines()
    for command in commands:
        done = invoke(*shlex.split(command)[1:])
        assert done.returncode == 0, (command, done.stderr)
    assert serve == "wardrobe serve"

    url, _, body = shlex.split(block("sh", 1).replace("\\\n", ""))[1:]
    path = re.sub(r"https?://[^/]+", "", url)
    client = create_app(Settings(artifacts=(folder / "artifacts",))).test_client()
    answer = client.post(path, data=body)
    assert answer.status_code == 200, answer.text
    probabilities = answer.json["predictions"]
    assert [len(each) for each in probabilities] == [2, 2]
    assert probabilities[0][0] > 0.5
    labels = folder / "artifacts" / "people" / "1" / "assets.extra" / "labels.json"
    assert json.loads(labels.read_text()) == ["high", "low"]
