"""`wardrobe classify`: every picture once, in order, whatever happens meanwhile."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

import wardrobe
from tests.serving.offline.pictures import draw_into
from wardrobe.serving.offline import classify_all
from wardrobe.serving.offline.classifier import BATCH, Classifier
from wardrobe.serving.offline.inputs import read
from wardrobe.serving.offline.processes import Processes, useful

COUNT = 200
MODEL = "softmax-regression"
ARTIFACT = wardrobe.load(MODEL).folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Drawn garments, of which one is not a picture."""
    return draw_into(tmp_path_factory.mktemp("pictures"), COUNT)


@pytest.fixture(scope="module")
def expected(folder) -> list[dict[str, Any]]:
    """What `POST /predict` answers."""
    return wardrobe.load(MODEL).classify(sorted(folder.iterdir()))


@pytest.fixture(scope="module")
def here():
    """An engine without processes of its own, for what does not need them."""
    classifier = Classifier(ARTIFACT)

    def answers(unanswered):
        for source, start in unanswered:
            for picture in source.uploads(start):
                yield classifier.answer([read(picture)])

    return answers


def classify(folder, output, engine, resume=False, progress=lambda done, total: None):
    return classify_all([str(folder)], output, engine, resume, progress)


def read_back(file: Path) -> list[tuple[str, str | None]]:
    """Names and labels in an output."""
    if file.suffix == ".jsonl":
        rows = [json.loads(line) for line in file.read_text().splitlines()]
    elif file.suffix == ".csv":
        with file.open(newline="") as lines:
            rows = list(csv.DictReader(lines))
    else:
        rows = pyarrow.parquet.read_table(file).to_pylist()
    return [(row["file"], row.get("label") or None) for row in rows]


def test_all_outputs_hold_the_services_answers_in_order(folder, expected, here, tmp_path):
    labels = [(answer["file"], answer.get("label")) for answer in expected]
    for ending in (".jsonl", ".csv", ".parquet"):
        output = tmp_path / f"answers{ending}"
        done = classify(folder, output, here)
        assert (done.pictures, done.errors) == (COUNT, 1)
        assert read_back(output) == labels
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "answers.csv", "answers.jsonl", "answers.parquet",
    ]  # fmt: skip
    assert_same(tmp_path / "answers.jsonl", expected)


def assert_same(output: Path, expected: list[dict[str, Any]]) -> None:
    """Compares JSON lines with the service's answers, whose batches may round otherwise."""
    answers = [json.loads(line) for line in output.read_text().splitlines()]
    for answer, other in zip(answers, expected, strict=True):
        assert answer.keys() == other.keys()
        if "error" in other:
            assert answer == other
        else:
            assert answer["probability"] == pytest.approx(other["probability"], abs=1e-5)


class Interrupted(Exception):
    pass


def interrupting(after: int) -> Callable[[int, int | None], None]:
    """A progress that raises once so many pictures are answered."""

    def progress(done: int, total: int | None) -> None:
        if done >= after:
            raise Interrupted

    return progress


def test_an_interrupted_classification_goes_on_where_it_was(folder, expected, here, tmp_path):
    output = tmp_path / "answers.jsonl"
    with pytest.raises(Interrupted):
        classify(folder, output, here, progress=interrupting(100))
    assert not output.exists()
    (journal,) = tmp_path.iterdir()
    kept = journal.read_bytes()
    journal.write_bytes(kept + b'{"file": "half a li')  # as a killed process leaves it
    seen: list[int] = []
    done = classify(folder, output, here, True, lambda done, _: seen.append(done))
    assert seen[0] == kept.count(b"\n") > 0
    assert done.pictures == COUNT
    assert_same(output, expected)


def test_resume_notices_that_the_inputs_changed(folder, here, tmp_path):
    output = tmp_path / "answers.jsonl"
    with pytest.raises(Interrupted):
        classify(folder, output, here, progress=interrupting(64))
    other = tmp_path / "list.txt"
    other.write_text("\n".join(map(str, sorted(folder.iterdir(), reverse=True))))
    with pytest.raises(wardrobe.ServingError, match="without --resume"):
        classify(other, output, here, resume=True)
    other.write_text(str(folder / "0001.png"))
    with pytest.raises(wardrobe.ServingError, match="there are 1 now"):
        classify(other, output, here, resume=True)


def test_a_killed_program_loses_and_repeats_nothing(wardrobe_program, folder, expected, tmp_path):
    command = [wardrobe_program, "classify", folder, "--to", "answers.csv", "--model", MODEL]
    command += ["--jobs", "1"]
    program = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL)
    journal = tmp_path / ".answers.csv.journal"
    while program.poll() is None and not (journal.exists() and journal.stat().st_size):
        time.sleep(0.02)
    program.send_signal(signal.SIGKILL)
    program.wait()
    done = subprocess.run(
        [*command, "--resume", "--json"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == {"to": "answers.csv", "pictures": COUNT, "errors": 1}
    labels = [(answer["file"], answer.get("label")) for answer in expected]
    assert read_back(tmp_path / "answers.csv") == labels


def test_a_killed_process_is_reported_in_words(folder, tmp_path):
    def engine(unanswered):
        answers = processes.answers(unanswered, ARTIFACT)
        yield next(answers)
        for child in Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                os.kill(int(child), signal.SIGKILL)
        yield from answers

    archive = tmp_path / "many.tar"
    content = (folder / "0000.png").read_bytes()
    with tarfile.open(archive, "w") as file:
        for number in range(3000):
            member = tarfile.TarInfo(f"{number}.png")
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
    with (
        pytest.raises(wardrobe.ServingError, match="continue with --resume"),
        Processes(1) as processes,
    ):
        classify_all([str(archive)], tmp_path / "a.csv", engine, False, lambda done, total: None)


def test_no_more_processes_start_than_there_are_batches_for(folder, tmp_path):
    file, rest = str(folder / "0000.png"), tmp_path / "rest.txt"
    rest.write_text(f"{file}\n" * (2 * BATCH))
    assert useful([file], 8) == 1
    assert useful([file, str(rest)], 8) == 3
    assert useful([file, str(rest)], 2) == 2


def test_a_script_needs_no_guard_for_the_processes(folder, tmp_path):
    """A spawned process runs the main script again, unless it is told not to."""
    script = tmp_path / "script.py"
    script.write_text(
        "import wardrobe\nprint('begun')\n"
        f"wardrobe.classify({str(folder)!r}, 'a.csv', {MODEL!r}, jobs=1)\n"
    )
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert (done.returncode, done.stdout) == (0, "begun\n"), done.stderr
    assert len(read_back(tmp_path / "a.csv")) == COUNT


def test_wrong_usage_is_reported_before_anything_is_read(folder, tmp_path):
    with pytest.raises(wardrobe.ServingError, match="there is no model 'nonsense'"):
        wardrobe.classify([folder], tmp_path / "answers.csv", "nonsense", jobs=1)
    with pytest.raises(wardrobe.ServingError, match=r"\.jsonl, \.csv, \.parquet"):
        wardrobe.classify([folder], tmp_path / "answers.xlsx", MODEL)
    with pytest.raises(wardrobe.ServingError, match="does not exist"):
        wardrobe.classify([tmp_path / "nowhere"], tmp_path / "answers.csv", MODEL)
    with pytest.raises(wardrobe.ServingError, match="there is no folder"):
        wardrobe.classify([folder], tmp_path / "nowhere" / "answers.csv", MODEL)
    assert not list(tmp_path.iterdir())
