"""How many variants of a study a Ray cluster trains in a minute, compared with local processes.

    python -m benchmarks.cluster [--rounds N] [--seeds N] [--take N]

The same study in turns: in three processes, and on three raylets of one core each, all on this
machine, with other seeds in each turn. Starting the processes and importing is counted, starting
the cluster is not; programs are compiled before. Reads Fashion-MNIST as the command line does.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from contextlib import AbstractContextManager
from pathlib import Path
from statistics import median

from tests.cluster import three_nodes
from wardrobe import cli
from wardrobe.training.studies import executor
from wardrobe.training.studies.study import read
from wardrobe.training.studies.variants import expand

NODES = 3
STUDY = """\
title: Members
rows: [1]
about: six programs, each of some seeds
base:
  data: {{name: fashion-mnist, take: {take}}}
  model: {{layers: [{{Dense: {{units: 32, activation: relu}}}}]}}
  training: {{epochs: 10, batch_size: 64, validation: 1000}}
axes:
  units: {{path: model.layers.0.Dense.units, values: [32, 48, 64, 96, 128, 192]}}
  seed: {seeds}
figure: {{loss_curves: {{by: units}}}}
claim: [max(test_accuracy) > 0]
"""


def main() -> None:
    """Trains in both ways by turns and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seeds", type=int, default=6, help="of each program, in each turn")
    parser.add_argument("--take", type=int, default=10_000, help="training examples")
    arguments = parser.parse_args()
    seconds: dict[str, list[float]] = {"local": [], "Ray": []}
    variants = 6 * arguments.seeds
    with tempfile.TemporaryDirectory() as folder, three_nodes() as cluster:
        for turn in range(arguments.rounds + 1):
            first = 1 + turn * arguments.seeds
            seeds = list(range(first, first + arguments.seeds))
            file = Path(folder, f"variants{turn}.yaml")
            file.write_text(STUDY.format(take=arguments.take, seeds=seeds))
            ways = {"local": executor.processes(NODES), "Ray": cli.on_cluster(cluster.address)}
            for name, engine in ways.items():
                took = train(file, Path(folder, f"{name}{turn}"), engine)
                if turn:  # the first one compiles
                    seconds[name].append(took)
    print(
        "| engine | variants | s, median | variants/minute | × local |\n|---|---:|---:|---:|---:|"
    )
    for name, of_turns in seconds.items():
        ratio = median(mine / local for mine, local in zip(of_turns, seconds["local"], strict=True))
        took = median(of_turns)
        print(f"| {name} | {variants} | {took:.1f} | {60 * variants / took:.0f} | {ratio:.2f} |")


def train(file: Path, folder: Path, engine: AbstractContextManager[executor.Engine]) -> float:
    """The seconds that the variants of a study take."""
    variants = expand(read(str(file)))
    began = time.perf_counter()
    with engine as working:
        executor.run(variants, folder, working, lambda done, total: None)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
