"""What a replica of the service carries, and what larger loads need.

    python -m benchmarks.replica ARTIFACT [--rounds N] [--seconds S] [--connections C]

For a machine of two cores. Uploads of 28×28 PNGs, as in `benchmarks.serve`, to one worker and to
two: on a core of their own, with wrk on the other one, and on both cores, which wrk shares.

The second table is computed from the first: from what a request takes of CPU where one worker has a
core, and from the memory of one worker. Requests in hand are those that come in the median time of
an answer, while wrk, pausing at random, keeps that worker at 70 % of its best.
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
from pathlib import Path
from statistics import median

from benchmarks.serve import OURS, Contender, Load

BUSY = 0.7
"""The share of its cores that a replica is to use: what the chart's autoscaler keeps it at."""

LEAST = 2
"""Replicas, so that one may be moved to another node."""

RATES = (1, 10, 100, 300, 1_000, 3_000, 10_000)


def main() -> None:
    """Starts the service four times, lets each answer in turns, prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path, help="a folder NAME/VERSION")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=16)
    arguments = parser.parse_args()
    for program in ("wrk", "taskset"):
        if not shutil.which(program):
            raise SystemExit(f"{program} is not on the PATH")
    artifact = arguments.artifact.absolute()
    with tempfile.TemporaryDirectory() as folder:
        measured: dict[tuple[int, str], Contender] = {}
        for workers in (1, 2):
            for cores, of_wrk in (("0", "1"), ("0,1", "0,1")):
                load = Load(Path(folder), arguments.seconds, arguments.connections, of_wrk)
                service = Contender.start(OURS, artifact, load, workers=workers, cores=cores)
                try:
                    for turn in range(arguments.rounds + 1):
                        service.answer(load, counts=turn > 0)  # the first warms up
                    if (workers, cores) == (1, "0"):
                        milliseconds = at_ease(service, load)
                finally:
                    service.stop()
                measured[workers, cores] = service
    print_measured(measured)
    print_computed(measured[1, "0"], milliseconds)


def at_ease(service: Contender, load: Load) -> float:
    """The median milliseconds of an answer while the service is as busy as it is to be."""
    pause = 1000 * load.connections / (BUSY * median(service.rates))
    *_, p50, _ = load.run(service.url, pause)
    return p50 / 1000


def print_measured(measured: dict[tuple[int, str], Contender]) -> None:
    print(
        "| workers | cores | requests/s | p50 ms | p99 ms | CPU µs/request | MB |\n"
        "|---:|---|---:|---:|---:|---:|---:|"
    )
    where = {"0": "one; wrk on the other", "0,1": "two, which wrk shares"}
    for (workers, cores), service in measured.items():
        print(
            f"| {workers} | {where[cores]} | {median(service.rates):,.0f} "
            f"| {median(service.p50):.1f} | {median(service.p99):.1f} "
            f"| {median(service.cpu):,.0f} | {service.megabytes:,.0f} |"
        )


def print_computed(one: Contender, milliseconds: float) -> None:
    """Cores and memory of larger loads, from one worker on one core."""
    seconds, most = median(one.cpu) / 1e6, median(one.rates)
    in_hand = BUSY * most * milliseconds / 1000
    print(
        f"\nComputed, for replicas {BUSY:.0%} busy: {BUSY * most:,.0f} requests/s each, answered "
        f"in {milliseconds:.1f} ms, {in_hand:.1f} in hand at a time:\n\n"
        "| requests/s | cores busy | replicas of one worker | GB |\n|---:|---:|---:|---:|"
    )
    for rate in RATES:
        replicas = max(LEAST, math.ceil(rate / (BUSY * most)))
        print(
            f"| {rate:,} | {rate * seconds:.3g} | {replicas} "
            f"| {replicas * one.megabytes / 1000:.1f} |"
        )


if __name__ == "__main__":
    main()
