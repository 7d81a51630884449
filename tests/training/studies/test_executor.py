"""Running variants: finished ones are kept, errors are reported with file and line."""

from __future__ import annotations

import signal
import subprocess
import time

from tests.conftest import heed_ctrl_c
from tests.training.studies.test_study import TEXT

PLAIN = TEXT.replace("quick: {axes: {seed: [1]}, set: {training.epochs: 1}}\n", "")


# Many groups: an interrupted process still finishes the few that it has begun.
MANY = PLAIN.replace("values: [1, 2]", "values: [1, 2, 3, 4]").replace("[1, 2, 3]\n", "[1]\n")


def test_an_interrupted_study_goes_on(tmp_path, wardrobe_program):
    (tmp_path / "small.yaml").write_text(MANY)
    command = [wardrobe_program, "study", "small.yaml", "--jobs", "1"]
    first = subprocess.Popen(
        command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c
    )
    variants = tmp_path / "runs" / "studies" / "members"
    deadline = time.monotonic() + 200
    while not list(variants.glob("*/*.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=100)
    assert first.returncode == 1
    assert said.rstrip().endswith("interrupted")
    assert "Traceback" not in said
    kept = {file: file.stat().st_mtime_ns for file in variants.glob("*/*.json")}
    assert 0 < len(kept) < 8
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=300)
    assert len(list(variants.glob("*/*.json"))) == 8
    assert all(file.stat().st_mtime_ns == when for file, when in kept.items())


def test_errors_in_variants_name_file_and_line(invoke, tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(PLAIN.replace("activation: tanh", "activaton: tanh"))
    done = invoke("study", file)
    assert done.returncode == 1
    assert "small.yaml:6: Dense has no argument 'activaton'" in done.stderr
    assert "Traceback" not in done.stderr
    file.write_text(PLAIN.replace("figure:", "measure: [tempo]\nfigure:"))
    done = invoke("study", file)
    assert done.returncode == 1
    assert "no measure 'tempo'; choose from activation_curve, averaged_copies" in done.stderr
    assert "Traceback" not in done.stderr
