"""Where the time of an epoch goes when `mlp-256-128-100` is trained.

    python -m benchmarks.profile [--batch N]…

For each backend and batch size a process of its own trains on one core, so that no operation waits
for another thread, and the last epoch is watched by the backend's own profiler. Adam at 1e-3,
60,000 images, nothing held out. Operations are told apart by the names that XLA gives them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks.train import PLAIN, Job

BACKENDS = {"JAX": "jax", "TensorFlow": "tensorflow"}

# In this order; what is between the operations is what remains of the epoch.
PARTS = {
    "matrix products": r"(dot|ynn_fusion|MatMul(_\d+)?)",
    "Adam": r"(divide_subtract|multiply_add)_fusion",
    "taking and scaling the images": r"(\w*gather\w*|multiply_bitcast_fusion|GatherV2(_\d+)?)",
    "activations, loss, metrics": r"(\w+_fusion|wrapped_[\w-]+|reduce|copy|transpose)",
}


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, nargs="+", default=[128, 512])
    parser.add_argument("--backend", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.backend:
        print(json.dumps(profile(arguments.backend, arguments.batch[0])))
        return
    print(f"| batch | backend | {' | '.join(PARTS)} | between the operations |")
    print("|---:|---|" + "---:|" * (len(PARTS) + 1))
    for batch in arguments.batch:
        for name, backend in BACKENDS.items():
            shares = in_a_process(backend, batch).values()
            print(f"| {batch} | {name} | " + " | ".join(f"{share:.0%}" for share in shares) + " |")


def in_a_process(backend: str, batch: int) -> dict[str, float]:
    """The shares of the parts, as a process measures them that has this backend and one core."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.profile", "--backend", backend, "--batch", str(batch)],
        env=os.environ | {"KERAS_BACKEND": backend, "TF_CPP_MIN_LOG_LEVEL": "3"},
        preexec_fn=lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
        stdout=subprocess.PIPE,
        check=True,
    )
    shares: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return shares


def profile(backend: str, batch: int) -> dict[str, float]:
    """Trains until all is compiled, and an epoch more; the shares of that epoch."""
    from wardrobe.training.data import load
    from wardrobe.training.fit.fit import Fit

    data = load("fashion-mnist", validation=0)
    epochs = 3
    with tempfile.TemporaryDirectory() as folder:
        fit = Fit(Job(PLAIN, epochs, batch).declaration(data), data, Path(folder))
        watcher = watching(backend, folder, last=epochs - 1)
        fit.watchers = [watcher]
        fit.run()
        return shares_of(Path(folder), watcher.seconds)


def watching(backend: str, folder: str, last: int) -> Any:
    """A callback that has the last epoch profiled into a folder; `seconds` is what it took."""
    import keras

    start: Any
    stop: Any
    if backend == "jax":
        import jax

        start, stop = jax.profiler.start_trace, jax.profiler.stop_trace
    else:
        import tensorflow as tf

        start, stop = tf.profiler.experimental.start, tf.profiler.experimental.stop

    class Profiler(keras.callbacks.Callback):
        seconds = 0.0

        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            if epoch == last:
                start(folder)
                self.seconds -= time.perf_counter()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            if epoch == last:
                self.seconds += time.perf_counter()
                stop()

    return Profiler()


def shares_of(folder: Path, seconds: float) -> dict[str, float]:
    """What the parts and the rest take of the seconds that were profiled into the folder."""
    from jax.profiler import ProfileData

    (file,) = folder.rglob("*.xplane.pb")
    found: Counter[str] = Counter(dict.fromkeys(PARTS, 0))
    for plane in ProfileData.from_file(str(file)).planes:
        for line in plane.lines:
            for event in line.events:
                if part := part_of(event.name):
                    found[part] += event.duration_ns
    shares = {part: found[part] / 1e9 / seconds for part in PARTS}
    return shares | {"between": 1 - sum(shares.values())}


def part_of(name: str) -> str | None:
    """The part to which an operation belongs, or None for what is none."""
    for part, pattern in PARTS.items():
        if re.fullmatch(pattern + r"(\.\d+)?(:\w+)?", name):
            return part
    return None


if __name__ == "__main__":
    main()
