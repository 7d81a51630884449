"""How fast wardrobe trains a network of the zoo, beside stock Keras and PyTorch.

    python -m benchmarks.train [--network NAME] [--epochs N] [--batch N]…
    python -m benchmarks.train --whole [--network NAME] [--epochs N] [--batch N]…

Each contender is a process of its own that trains one epoch when told to; the epochs of all take
turns, so that what else the machine does falls on all alike. Adam at 1e-3, 60,000 images, nothing
held out. One contender is the same arithmetic in plain JAX, without Keras: what XLA makes of it on
the machine. The last row is the arithmetic limit: as many images as their floating-point operations
allow at the rate at which the same machine multiplies two large matrices.

With `--whole`, the processes run one after the other, `--rounds` times, and are measured from start
to end: `wardrobe train` until its artifact, a script of stock Keras until its SavedModel. Both hold
out 5,000 images, validate each epoch and log it for TensorBoard. The first row is a process that
only imports TensorFlow.

PyTorch and plain JAX train `mlp-256-128-100` only. Reads Fashion-MNIST as the command line does.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from wardrobe.training.data import DataSet, load

if TYPE_CHECKING:
    from wardrobe.models import Declaration

IMAGES = 60_000
TARGET = 0.8833  # what the data set's benchmark table lists for this network
PLAIN = "mlp-256-128-100"
WIDTHS = (784, 256, 128, 100, 10)
REPORT = "epoch-report"


def main() -> None:
    """Runs the contenders in turns, for each batch size, and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--network", default=PLAIN, help="such as mlp-he-bn")
    parser.add_argument("--whole", action="store_true", help="measure whole processes")
    parser.add_argument("--rounds", type=int, default=3, help="of whole processes")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch", type=int, nargs="+", default=[128], help="such as 128 512 4096")
    parser.add_argument("--contender", choices=CONTENDERS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.contender:
        job = Job(arguments.network, arguments.epochs, arguments.batch[0])
        train = stock_keras_to_the_end if arguments.whole else CONTENDERS[arguments.contender].train
        train(job)
        return
    jobs = [Job(arguments.network, arguments.epochs, batch) for batch in arguments.batch]
    if arguments.whole:
        print(HEAD_OF_WHOLE)
        for job in jobs:
            print_whole(job, arguments.rounds)
        return
    names = list(CONTENDERS) if arguments.network == PLAIN else KERAS
    names = [name for name in names if name != "PyTorch" or find_spec("torch")]
    print(HEAD)
    for job in jobs:
        print_rows(in_turns(names, job), job.batch)


@dataclass(frozen=True)
class Job:
    """What all contenders train."""

    network: str
    epochs: int
    batch: int

    @property
    def settings(self) -> tuple[str, ...]:
        """How the declaration is changed, so that all contenders do the same."""
        return (
            f"training.epochs={self.epochs}",
            f"training.batch_size={self.batch}",
            "callbacks=[]",
            "optimizer={Adam: {learning_rate: 0.001}}",
        )

    def declaration(self, data: DataSet) -> Declaration:
        from wardrobe.models import DataFacts, read, resolve

        overrides = (*self.settings, "training.validation=0")
        facts = DataFacts(data.input_shape, data.classes)
        return resolve(read(self.network, overrides), facts)

    def command(self, contender: str) -> list[str]:
        """Runs one contender of this program."""
        options = {"network": self.network, "epochs": self.epochs, "batch": self.batch}
        given = [text for name, value in options.items() for text in (f"--{name}", str(value))]
        return [sys.executable, "-m", "benchmarks.train", *given, "--contender", contender]


@dataclass
class Contender:
    """What one process reported of its epochs: wall seconds, CPU seconds, test accuracy."""

    name: str
    process: subprocess.Popen[str]
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)
    peak_megabytes: float = 0

    def train_one_epoch(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith(REPORT):
                seconds, cpu, accuracy, peak = map(float, line.split()[1:])
                self.seconds.append(seconds)
                self.cpu.append(cpu)
                self.accuracies.append(accuracy)
                self.peak_megabytes = peak
                return
        raise SystemExit(f"{self.name} ended early; its messages are above")

    @property
    def images_per_second(self) -> float:
        """The median epoch; the first one compiles and is left out."""
        return IMAGES / median(self.seconds[1:])

    @property
    def seconds_to_target(self) -> float | None:
        """Training time, compiling included, until the test accuracy is first reached."""
        for epoch, accuracy in enumerate(self.accuracies, start=1):
            if accuracy >= TARGET:
                return sum(self.seconds[:epoch])
        return None


def in_turns(names: Sequence[str], job: Job) -> list[Contender]:
    """Starts a process for each contender and lets them train epoch by epoch."""
    contenders = [
        Contender(
            name,
            subprocess.Popen(
                job.command(name),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment(CONTENDERS[name].backend),
            ),
        )
        for name in names
    ]
    for _ in range(job.epochs):
        for contender in contenders:
            contender.train_one_epoch()
    for contender in contenders:
        contender.process.wait()
    return contenders


def environment(backend: str) -> dict[str, str]:
    return os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": backend}


HEAD = (
    f"| batch | contender | images/s | times stock | CPU s/epoch | s to {TARGET} "
    "| best test accuracy | peak MB |\n|---:|---|---:|---:|---:|---:|---:|---:|"
)


def print_rows(contenders: list[Contender], batch: int) -> None:
    """The part of the table that belongs to one batch size, as the README shows it."""
    stock = next(c for c in contenders if c.name == "stock Keras")
    for contender in contenders:
        speed = contender.images_per_second
        times = speed / stock.images_per_second
        row = f"| {batch:,} | {contender.name} | {speed:,.0f} | {times:.2f} "
        if contender.name == LIMIT:
            print(row + "| – | – | – | – |")
            continue
        reached = contender.seconds_to_target
        print(
            row + f"| {median(contender.cpu[1:]):.2f} "
            f"| {f'{reached:.1f}' if reached else 'not reached'} "
            f"| {max(contender.accuracies):.4f} | {contender.peak_megabytes:,.0f} |",
            flush=True,
        )


HEAD_OF_WHOLE = (
    "| batch | epochs | process | s | CPU s | images/s | times stock |\n"
    "|---:|---:|---|---:|---:|---:|---:|"
)


def print_whole(job: Job, rounds: int) -> None:
    """Runs whole processes in turns, and prints the medians."""
    settings = [f"--set={setting}" for setting in (*job.settings, "training.validation=5000")]
    train = [sys.executable, "-m", "wardrobe.cli", "train", job.network, *settings]
    stock = [*job.command("stock Keras"), "--whole"]
    processes = {
        "import tensorflow": ([sys.executable, "-c", "import tensorflow"], "tensorflow"),
        "wardrobe, JAX": (train, "jax"),
        "wardrobe, TensorFlow": (train, "tensorflow"),
        "stock Keras": (stock, "tensorflow"),
    }
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in processes}
    for _ in range(rounds):
        for name, (command, backend) in processes.items():
            taken[name].append(measured(command, backend))
    seconds = {name: median(wall for wall, _ in several) for name, several in taken.items()}
    for name, several in taken.items():
        trains = name != "import tensorflow"
        speed = f"{job.epochs * (IMAGES - 5000) / seconds[name]:,.0f}" if trains else "–"
        times = f"{seconds['stock Keras'] / seconds[name]:.2f}" if trains else "–"
        print(
            f"| {job.batch:,} | {job.epochs} | {name} | {seconds[name]:.1f} "
            f"| {median(cpu for _, cpu in several):.1f} | {speed} | {times} |",
            flush=True,
        )


def measured(command: list[str], backend: str) -> tuple[float, float]:
    """Wall seconds and CPU seconds of a process and of those that it starts."""
    with tempfile.TemporaryDirectory() as folder:
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        path = os.pathsep.join([str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
        subprocess.run(
            command,
            cwd=folder,
            env=environment(backend) | {"PYTHONPATH": path},
            check=True,
            capture_output=True,
        )
        wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


class Turn:
    """Waits for its turn, times an epoch, reports it."""

    def begin(self) -> None:
        sys.stdin.readline()
        self.wall, self.cpu = time.perf_counter(), time.process_time()

    def end(self, test_accuracy: Callable[[], float]) -> None:
        self.report(time.perf_counter() - self.wall, test_accuracy)

    def report(self, wall: float, test_accuracy: Callable[[], float]) -> None:
        cpu = time.process_time() - self.cpu
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(REPORT, wall, cpu, test_accuracy(), peak, flush=True)


def keras_turns(data: DataSet) -> Any:
    """A callback that lets Keras' `fit` train in turns."""
    import keras

    class Turns(keras.callbacks.Callback):
        turn = Turn()

        def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.turn.begin()

        def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
            self.turn.end(lambda: test_accuracy(self.model, data))

    return Turns()


def test_accuracy(network: Any, data: DataSet) -> float:
    """The share of the test images that a Keras network names rightly."""
    import keras

    answers = network(data.test.x.astype("float32"), training=False)
    return float((keras.ops.convert_to_numpy(answers).argmax(axis=1) == data.test.y).mean())


def wardrobe(job: Job) -> None:
    """This program, with all that a run records."""
    from wardrobe.training.fit.fit import Fit

    data = load("fashion-mnist", validation=0)
    with tempfile.TemporaryDirectory() as folder:
        fit = Fit(job.declaration(data), data, Path(folder))
        fit.watchers.append(keras_turns(data))
        fit.run()


def stock_keras(job: Job) -> None:
    """`keras.Model.fit(x, y, batch_size=…)` with default settings."""
    data = load("fashion-mnist", validation=0)
    x, y = data.train.x, data.train.y
    callbacks = [keras_turns(data)]
    network = compiled(job, data)
    network.fit(x, y, batch_size=job.batch, epochs=job.epochs, verbose=0, callbacks=callbacks)


def stock_keras_to_the_end(job: Job) -> None:
    """The same as a whole: validated and logged each epoch, evaluated and exported at the end."""
    import keras

    data = load("fashion-mnist", validation=5000)
    network = compiled(job, data)
    network.fit(
        data.train.x,
        data.train.y,
        batch_size=job.batch,
        epochs=job.epochs,
        verbose=0,
        validation_data=(data.validation.x, data.validation.y),
        callbacks=[keras.callbacks.TensorBoard("logs", write_graph=False)],
    )
    network.evaluate(data.test.x, data.test.y, verbose=0)
    network.export("artifact", verbose=False)


def compiled(job: Job, data: DataSet) -> Any:
    """The declared network, ready for Keras' own `fit`."""
    from wardrobe.models.build import build

    parts = build(job.declaration(data))
    parts.network.compile(optimizer=parts.optimizer, loss=parts.loss, metrics=parts.metrics)
    return parts.network


def pytorch(job: Job) -> None:
    """A plain PyTorch loop over a shuffled index, all data in memory as floats."""
    import torch
    from torch import nn

    data = load("fashion-mnist", validation=0)
    x, y = torch.tensor(data.train.x).float() / 255, torch.tensor(data.train.y).long()
    test = torch.tensor(data.test.x).float() / 255
    hidden = [(nn.Linear(a, b), nn.ReLU()) for a, b in pairwise(WIDTHS[:-1])]
    network = nn.Sequential(nn.Flatten(), *sum(hidden, ()), nn.Linear(*WIDTHS[-2:]))
    optimizer, loss = torch.optim.Adam(network.parameters(), lr=1e-3), nn.CrossEntropyLoss()

    def accuracy() -> float:
        with torch.no_grad():
            return float((network(test).argmax(dim=1).numpy() == data.test.y).mean())

    turn = Turn()
    for _ in range(job.epochs):
        turn.begin()
        for chosen in torch.randperm(len(x)).split(job.batch):
            optimizer.zero_grad()
            loss(network(x[chosen]), y[chosen]).backward()
            optimizer.step()
        turn.end(accuracy)


def plain_jax(job: Job) -> None:
    """A loop over steps written by hand, compiled as one program; all data on the device."""
    import jax
    from jax import numpy as jnp

    data = load("fashion-mnist", validation=0)
    examples = jax.device_put((data.train.x, data.train.y))

    def logits(weights: Any, images: Any) -> Any:
        values = images.reshape(len(images), -1) / jnp.float32(255)
        for kernel, bias in weights[:-1]:
            values = jax.nn.relu(values @ kernel + bias)
        kernel, bias = weights[-1]
        return values @ kernel + bias

    def loss(weights: Any, images: Any, labels: Any) -> Any:
        chosen = jax.nn.log_softmax(logits(weights, images))
        return -chosen[jnp.arange(len(labels)), labels].mean()

    @jax.jit
    def steps(state: Any, examples: Any, batches: Any) -> Any:
        def step(number: Any, state: Any) -> Any:
            weights, m, v, count = state
            batch = [array[batches[number]] for array in examples]
            gradient = jax.grad(loss)(weights, *batch)
            m = jax.tree.map(lambda m, g: m + 0.1 * (g - m), m, gradient)
            v = jax.tree.map(lambda v, g: v + 0.001 * (g * g - v), v, gradient)
            rate = 1e-3 * jnp.sqrt(1 - 0.999**count) / (1 - 0.9**count)
            update = jax.tree.map(lambda m, v: rate * m / (jnp.sqrt(v) + 1e-7), m, v)
            return jax.tree.map(jnp.subtract, weights, update), m, v, count + 1

        return jax.lax.fori_loop(0, len(batches), step, state)

    def accuracy(weights: Any) -> float:
        return float((logits(weights, data.test.x).argmax(axis=1) == data.test.y).mean())

    glorot = jax.nn.initializers.glorot_uniform()
    keys = jax.random.split(jax.random.key(1), len(WIDTHS) - 1)
    shapes = zip(keys, pairwise(WIDTHS), strict=True)
    weights = [(glorot(key, shape), jnp.zeros(shape[1])) for key, shape in shapes]
    zeros = jax.tree.map(jnp.zeros_like, weights)
    state = weights, zeros, zeros, jnp.float32(1)
    generator, turn = np.random.default_rng(1), Turn()
    for _ in range(job.epochs):
        turn.begin()
        order = generator.permutation(len(data.train)).astype(np.int32)
        whole, rest = np.split(order, [len(order) // job.batch * job.batch])
        state = steps(state, examples, whole.reshape(-1, job.batch))
        if len(rest):
            state = steps(state, examples, rest[None])
        state[-1].block_until_ready()
        turn.end(partial(accuracy, state[0]))


def arithmetic_limit(job: Job) -> None:
    """No training: the time that its floating-point operations would take in one large product.

    A layer multiplies three times (forward, gradient of its weights, gradient of its inputs, the
    last not in the first layer), two operations for each weight and image.
    """
    import jax

    weights = [a * b for a, b in pairwise(WIDTHS)]
    operations = IMAGES * 2 * (3 * sum(weights) - weights[0])
    size = 2048
    matrix = jax.numpy.ones((size, size))
    product = jax.jit(lambda a: a @ a).lower(matrix).compile()
    turn = Turn()
    for _ in range(job.epochs):
        turn.begin()
        product(matrix).block_until_ready()
        rate = 2 * size**3 / (time.perf_counter() - turn.wall)
        turn.report(operations / rate, lambda: 0.0)


@dataclass(frozen=True)
class Way:
    """A way of training, and the backend that Keras has in it."""

    train: Callable[[Job], None]
    backend: str = "tensorflow"


LIMIT = "arithmetic limit"

KERAS = "wardrobe, JAX", "wardrobe, TensorFlow", "stock Keras"

CONTENDERS = {
    "wardrobe, JAX": Way(wardrobe, "jax"),
    "wardrobe, TensorFlow": Way(wardrobe),
    "stock Keras": Way(stock_keras),
    "PyTorch": Way(pytorch),
    "plain JAX": Way(plain_jax, "jax"),
    LIMIT: Way(arithmetic_limit, "jax"),
}


if __name__ == "__main__":
    main()
