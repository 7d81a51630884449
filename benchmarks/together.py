"""How long 16 seeds of `mlp-256-128-100` train together, beside 16 runs one after the other.

    python -m benchmarks.together [--seeds N] [--epochs N]

Both train on JAX, in one process and in turns: after each epoch of all seeds together, a part of
the runs, so that what else the machine does falls on both alike. 60,000 images, nothing held out.
Compiling is counted, but not in the figures of an image. Reads Fashion-MNIST as the command line
does.
"""

from __future__ import annotations

import argparse
import math
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, median, stdev
from typing import TYPE_CHECKING, Any

from benchmarks.train import test_accuracy

if TYPE_CHECKING:
    from wardrobe.models import Declaration
    from wardrobe.training.data import DataSet

HEAD = (
    "| {seeds} seeds, {epochs} epochs | s | CPU s | images/s | CPU µs/image | mean test accuracy "
    "| standard deviation | lowest | highest |\n|---|---:|---:|---:|---:|---:|---:|---:|---:|"
)


def main() -> None:
    """Trains in both ways and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=16)
    parser.add_argument("--epochs", type=int, default=3)
    arguments = parser.parse_args()
    if arguments.seeds < 2 or arguments.epochs < 2:
        parser.error(
            "give at least 2 seeds, for their spread, and 2 epochs: the first one compiles"
        )
    os.environ |= {"KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    together, apart = in_turns(arguments.seeds, arguments.epochs)
    print(HEAD.format(**vars(arguments)))
    together.print_row()
    apart.print_row()
    print(
        f"| together / one after the other | {together.wall / apart.wall:.2f} "
        f"| {together.cpu / apart.cpu:.2f} | {together.speed / apart.speed:.2f} "
        f"| {together.cost / apart.cost:.2f} | – | – | – | – |"
    )


class Way:
    """A way of training: what it has taken, while its clock ran, and what came of it."""

    def __init__(self, name: str, images: int) -> None:
        self.name, self.images = name, images
        self.wall = self.cpu = 0.0
        self.epochs: list[tuple[float, float]] = []
        self.began = 0.0, 0.0
        self.accuracies: list[float] = []

    def start(self) -> None:
        self.wall -= time.perf_counter()
        self.cpu -= time.process_time()

    def stop(self) -> None:
        self.wall += time.perf_counter()
        self.cpu += time.process_time()

    def watching(self, then: Callable[[int], None] = lambda epoch: None) -> Any:
        """A callback that times the epochs which do not compile; `then` follows each epoch."""
        import keras

        class Epochs(keras.callbacks.Callback):
            def on_epoch_begin(_, epoch: int, logs: Any = None) -> None:
                self.began = time.perf_counter(), time.process_time()

            def on_epoch_end(_, epoch: int, logs: Any = None) -> None:
                if epoch > 0:
                    wall, cpu = self.began
                    self.epochs.append((time.perf_counter() - wall, time.process_time() - cpu))
                then(epoch)

        return Epochs()

    @property
    def speed(self) -> float:
        """Images a second."""
        return self.images / median(wall for wall, _ in self.epochs)

    @property
    def cost(self) -> float:
        """Seconds of CPU time an image."""
        return median(cpu for _, cpu in self.epochs) / self.images

    def print_row(self) -> None:
        scores = self.accuracies
        print(
            f"| {self.name} | {self.wall:.1f} | {self.cpu:.1f} | {self.speed:,.0f} "
            f"| {self.cost * 1e6:.1f} | {mean(scores):.4f} | {stdev(scores):.4f} "
            f"| {min(scores):.4f} | {max(scores):.4f} |"
        )


def in_turns(seeds: int, epochs: int) -> tuple[Way, Way]:
    """Trains all seeds together and, after each of their epochs, some of them one by one."""
    from wardrobe.training.data import load
    from wardrobe.training.fit.fit import Fit, fit_together

    data = load("fashion-mnist", validation=0)
    images = len(data.train)
    together, apart = Way("together", seeds * images), Way("one after the other", images)
    waiting = declarations(data, seeds, epochs)
    with tempfile.TemporaryDirectory() as folder:

        def some_apart(epoch: int) -> None:
            together.stop()
            for _ in range(math.ceil(len(waiting) / (epochs - epoch))):
                declaration = waiting.pop()
                apart.start()
                fit = Fit(declaration, data, Path(folder, f"seed-{declaration.seed}"))
                fit.folder.mkdir()
                fit.watchers = [apart.watching()]
                fit.run()
                apart.stop()
                apart.accuracies.append(test_accuracy(fit.network, data))
            together.start()

        together.start()
        fits = [Fit(declaration, data, Path(folder)) for declaration in waiting]
        for fit in fits:
            fit.watchers = []
        fits[0].watchers = [together.watching(some_apart)]
        fit_together(fits)
        together.stop()
    together.accuracies = [test_accuracy(fit.network, data) for fit in fits]
    return together, apart


def declarations(data: DataSet, seeds: int, epochs: int) -> list[Declaration]:
    """`mlp-256-128-100` without validation, once for each seed."""
    from wardrobe.models import DataFacts, read, resolve

    facts = DataFacts(data.input_shape, data.classes)
    overrides = (f"training.epochs={epochs}", "training.validation=0")
    return [
        resolve(read("mlp-256-128-100", (*overrides, f"seed={seed}")), facts)
        for seed in range(1, seeds + 1)
    ]


if __name__ == "__main__":
    main()
