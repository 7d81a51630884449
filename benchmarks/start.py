"""How long the service takes to start and what memory it takes, by the number of its models.

    python -m benchmarks.start [--models 1 2 5] [--rounds 3]

Starts `wardrobe serve` with some of the networks that ship with wardrobe, by turns, in two workers,
each of which loads all of them. Seconds are those from the command until `/health/ready` says 200,
which is when the first worker is ready; CPU is that of all processes until both are. Memory is the
proportional share (PSS) of all processes after each worker has answered.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from statistics import median

from benchmarks.serve import ROOT, cpu_seconds, free_port, megabytes

NAMES = ("mlp-256-128-100", "mlp-he-bn", "mlp-250k", "mlp-1m", "softmax-regression")
WORKERS = 2
ANSWERS = 200
"""Requests, of which each worker gets some."""


def main() -> None:
    """Starts the service again and again, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, nargs="+", default=[1, 2, 5])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    measured: dict[int, list[tuple[float, float, float]]] = {each: [] for each in arguments.models}
    for turn in range(arguments.rounds + 1):
        for number, results in measured.items():
            result = measure(NAMES[:number])
            results += [result] * (turn > 0)  # the first turn warms the file system up
    print("| models | s until ready | CPU s until both workers are | MB |\n|---:|---:|---:|---:|")
    for number, results in measured.items():
        seconds, cpu, memory = (median(column) for column in zip(*results, strict=True))
        print(f"| {number} | {seconds:.1f} | {cpu:.1f} | {memory:,.0f} |")


def measure(names: tuple[str, ...]) -> tuple[float, float, float]:
    """Seconds until ready, CPU seconds until both workers are, MB."""
    with tempfile.TemporaryDirectory() as folder:
        for name in names:
            (Path(folder) / name).symlink_to(ROOT / "pretrained" / name)
        port, begun = free_port(), time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "wardrobe.cli", "serve", "--artifacts", folder,
             "--port", str(port), "--workers", str(WORKERS)],
            env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "WARDROBE_ACCESS_LOG": "0"},
            cwd=ROOT, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        try:
            url = f"http://127.0.0.1:{port}"
            while not _is_ready(url):
                if process.poll() is not None:
                    raise SystemExit("the service does not start")
                time.sleep(0.02)
            seconds = time.monotonic() - begun
            while _workers(url, names[0]) < WORKERS:
                time.sleep(0.02)
            cpu = cpu_seconds(process.pid)
            for _ in range(ANSWERS):
                _ask(f"{url}/v1/models/{names[0]}:predict", b'{"instances": %s}' % ZEROS)
            return seconds, cpu, megabytes(process.pid)
        finally:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait(60)


ZEROS = json.dumps([[[0] * 28] * 28]).encode()


def _is_ready(url: str) -> bool:
    with suppress(OSError):
        _ask(f"{url}/health/ready")
        return True
    return False


def _workers(url: str, model: str) -> int:
    """In how many workers a model is available."""
    lines = _ask(f"{url}/metrics").decode().splitlines()
    states = f'model="{model}",state="available"'
    return sum(
        int(float(line.rpartition(" ")[2]))
        for line in lines
        if line.startswith("wardrobe_model_versions{") and states in line
    )


def _ask(url: str, body: bytes | None = None) -> bytes:
    with urllib.request.urlopen(url, body, timeout=30) as answer:
        said: bytes = answer.read()
    return said


if __name__ == "__main__":
    main()
