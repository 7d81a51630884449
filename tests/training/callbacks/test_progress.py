"""The progress of a training, on terminals of its own and on a real one, and in a notebook."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import time
from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from wardrobe.training.callbacks.progress import Pace, ProgressBar

STEP = 0.01


def bar_after(
    epochs: int,
    is_terminal: bool,
    compiling: float = 0,
    validating: float = 0,
    is_notebook: bool = False,
) -> str:
    """What is written by a bar for 5 epochs of 10 steps, ended early; a call takes 5 steps."""
    written = StringIO()
    bar = ProgressBar(epochs=5, examples=1000)
    bar.progress.live.console = Console(
        file=written, force_terminal=is_terminal, force_jupyter=is_notebook, width=80
    )
    bar.set_params({"steps": 10})
    bar.on_train_begin()
    for epoch in range(epochs):
        bar.on_epoch_begin(epoch)
        for batch in (4, 9):
            time.sleep(5 * STEP + (compiling if epoch == 0 else 0))
            bar.on_train_batch_end(batch, {"loss": 1.0})
        time.sleep(validating)
        bar.on_epoch_end(epoch, {"loss": 0.25, "val_accuracy": 0.875})
    bar.on_train_end()
    return written.getvalue()


def last(pattern: str, shown: str) -> str:
    return str(re.findall(pattern, shown)[-1])


def test_it_shows_epoch_measures_rate_and_time_left():
    shown = bar_after(3, is_terminal=True)
    for word in ("epoch 3/5", "loss 0.2500", "val_accuracy 0.8750", "examples/s", "left"):
        assert word in shown
    assert "…" not in shown


def test_a_notebook_has_one_line_that_changes():
    shown = bar_after(5, is_terminal=False, is_notebook=True)
    line = shown.rpartition("\r")[2]
    assert re.match(r"epoch 5/5 · loss 0\.2500 · val_accuracy 0\.8750 · [\d,]+ examples/s", line)
    assert shown.count("\n") == 1


def test_no_rate_is_shown_before_a_call_that_did_not_compile():
    shown = bar_after(1, is_terminal=True, compiling=0.1)
    assert "compiling" in shown
    assert "examples/s" not in shown


def test_neither_compiling_nor_validation_spoils_the_rate():
    shown = bar_after(3, is_terminal=True, compiling=0.5, validating=0.3)
    rate = float(last(r"([\d,]+) examples/s", shown).replace(",", ""))
    assert 4_000 < rate < 10_500


def test_the_time_left_counts_the_validation():
    shown = bar_after(4, is_terminal=True, validating=0.5)  # twice, and 0.1 s of the last epoch
    assert last(r"(\d:\d\d:\d\d) left", shown) == "0:00:01"


def test_old_rates_are_forgotten():
    pace = Pace()
    for seconds in (1.0, 2.0):
        for _ in range(60):
            pace.add(100, seconds)
    assert pace.seconds_per_step == pytest.approx(0.02, rel=0.01)


def test_it_is_quiet_where_there_is_no_terminal():
    assert bar_after(2, is_terminal=False) == ""


RINGS = "name: rings\ndata: rings\nmodel: {layers: []}\ntraining: {epochs: 3, batch_size: 8}\n"


def test_a_training_shows_it_on_a_real_terminal_and_nowhere_else(wardrobe_program, tmp_path):
    (tmp_path / "rings.yaml").write_text(RINGS)
    terminal, stderr = pty.openpty()
    command = [wardrobe_program, "train", "rings.yaml"]
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "80"}
    training = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=stderr
    )
    os.close(stderr)
    shown = "".join(everything_on(terminal))
    written = training.communicate()[0].decode()
    assert training.returncode == 0, shown
    assert re.search(
        r"epoch 3/3 .*loss 0\.\d{4} · val_accuracy [01]\.\d{4} .*/s · 0:00:00 left", shown
    )
    assert "epoch" not in written
    assert "\x1b" not in written


def everything_on(terminal: int) -> Iterator[str]:
    """What is written there until the last writer has closed it."""
    with contextlib.suppress(OSError):  # how Linux reports that
        while block := os.read(terminal, 4096):
            yield block.decode(errors="replace")
