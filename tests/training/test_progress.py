"""The progress bar, on a terminal that is none."""

from __future__ import annotations

import time
from io import StringIO

from rich.console import Console

from training.progress import ProgressBar


def bar_after(epochs: int, is_terminal: bool, compiling: float = 0) -> str:
    """What is written by a bar for 5 epochs of 10 steps, ended early; a step takes 10 ms."""
    written = StringIO()
    bar = ProgressBar(epochs=5, examples=1000)
    bar.progress.live.console = Console(file=written, force_terminal=is_terminal, width=200)
    bar.set_params({"steps": 10})
    bar.on_train_begin()
    time.sleep(compiling)
    for epoch in range(epochs):
        bar.on_epoch_begin(epoch)
        for batch in (4, 9):
            time.sleep(0.05)
            bar.on_train_batch_end(batch, {"loss": 1.0})
        bar.on_epoch_end(epoch, {"loss": 0.25, "val_accuracy": 0.875})
    bar.on_train_end()
    return written.getvalue()


def test_it_tells_all_that_one_waits_for():
    shown = bar_after(3, is_terminal=True)
    for word in ("epoch 3/5", "loss 0.2500", "validation accuracy 0.8750", "examples/s", "left"):
        assert word in shown


def test_compiling_does_not_spoil_the_rate():
    shown = bar_after(3, is_terminal=True, compiling=1)
    rate = float(shown.rpartition(" examples/s")[0].rpartition(" · ")[2].replace(",", ""))
    assert 4_000 < rate < 10_500


def test_it_is_quiet_where_there_is_no_terminal():
    assert bar_after(2, is_terminal=False) == ""
