"""How fast wardrobe serves, beside what it could be at best and what is commonly written.

    python -m benchmarks.serve ARTIFACT [--rounds N] [--seconds S] [--connections C]
                               [--python ENVIRONMENT/bin/python]

28×28 PNG uploads (multipart, as `curl -F` sends them) over loopback from wrk, which must be on the
PATH. The contenders take turns, so that what else the machine does falls on all alike:

    decode only     a Flask view that reads and decodes the upload: the limit
    wardrobe        `POST /predict`
    model.predict   a Flask view that calls Keras' `predict`
    LitServe, BentoML   of the same SavedModel, where `--python` has them

Each runs in two processes; the Flask views under gunicorn's own threaded worker with four threads,
with which the limit is fastest on two cores, wardrobe with its eight. CPU is that of the server's
processes for each answered request; it is the measure to trust on a noisy machine. Memory is their
proportional share (PSS). At half load wrk pauses at random between requests, so that half as many
are sent as were answered at best; overload is four times as many connections as wardrobe takes
requests in hand.
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from PIL import Image

WORKERS, THREADS, QUEUE = 2, 8, 32
TICKS = os.sysconf("SC_CLK_TCK")
ROOT = Path(__file__).parents[1]
LIMIT, OURS = "decode only", "wardrobe"

GUNICORN = f"-m gunicorn -k gthread -w {WORKERS} --threads 4 -b 127.0.0.1:%d"
CONTENDERS = {
    LIMIT: f"{GUNICORN} benchmarks.rivals.decode_only:app",
    OURS: "-m wardrobe.cli serve --artifacts %s --model %s --port %d",
    "model.predict": f"{GUNICORN} benchmarks.rivals.keras_predict:app",
    "LitServe": f"-m benchmarks.rivals.lit_serve %d {WORKERS}",
    "BentoML": "-m bentoml serve benchmarks.rivals.bento_ml:Classifier --port %d",
}
NEEDS = {"LitServe": "litserve", "BentoML": "bentoml"}
"""Contenders that run in the other environment, and the package that must be there."""

SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "multipart/form-data; boundary=x"
wrk.body = io.open(os.getenv("UPLOAD"), "rb"):read("*a")
local pause = tonumber(os.getenv("PAUSE"))
if pause > 0 then
  delay = function() return math.floor(-pause * math.log(1 - math.random()) + 0.5) end
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %d %d %d %f %f\\n", summary.requests, summary.errors.status,
    summary.duration, latency:percentile(50), latency:percentile(99)))
end
"""


def main() -> None:
    """Starts the contenders, lets them answer in turns, prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path, help="a folder NAME/VERSION")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--python", help="of an environment with litserve, bentoml and tensorflow")
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS))
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not on the PATH; on Debian: apt-get install wrk")
    artifact = arguments.artifact.absolute()
    with tempfile.TemporaryDirectory() as folder:
        load = Load(Path(folder), arguments.seconds, arguments.connections)
        names = [name for name in arguments.only if _is_here(name, arguments.python)]
        with _running(names, artifact, load, arguments.python) as contenders:
            for turn in range(arguments.rounds + 1):
                for contender in contenders:
                    contender.answer(load, counts=turn > 0)  # the first turn warms up
            print_table(contenders)
            for contender in contenders:
                if contender.name == OURS:
                    print_half_load(contender, load, arguments.rounds)
                    print_overload(contender, load, arguments.rounds)
                    print_batches(contender, artifact)
                    print_memory(contender, artifact)


@dataclass
class Load:
    """wrk and what it sends."""

    folder: Path
    seconds: int
    connections: int
    cores: str = ""
    """Those that wrk is bound to, as `taskset -c` takes them; empty: any."""

    def __post_init__(self) -> None:
        garment = np.zeros((28, 28), np.uint8)
        garment[4:24, 8:20] = np.random.default_rng(1).integers(60, 255, (20, 12))
        picture = io.BytesIO()
        Image.fromarray(garment).save(picture, "PNG")
        self.body = (
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n'
            b"Content-Type: image/png\r\n\r\n%s\r\n--x--\r\n" % picture.getvalue()
        )
        (self.folder / "upload").write_bytes(self.body)
        (self.folder / "post.lua").write_text(SCRIPT)

    def run(self, url: str, pause: float = 0, connections: int = 0) -> list[float]:
        """Requests, refused ones, microseconds, p50 and p99 in microseconds; `pause` is the mean
        number of milliseconds between an answer and the connection's next request."""
        wrk = (
            f"wrk -t1 -c{connections or self.connections} -d{self.seconds}s --timeout=20s"
            f" -s {self.folder}/post.lua {url}/predict"
        )
        told = subprocess.check_output(
            [*bound_to(self.cores), *wrk.split()],
            env=os.environ | {"UPLOAD": str(self.folder / "upload"), "PAUSE": str(pause)},
            text=True,
        )
        return [float(number) for number in told.split("RESULT ")[1].split()]


@dataclass
class Contender:
    """One server and what was measured of it."""

    name: str
    process: subprocess.Popen[bytes]
    url: str
    rates: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    refused: float = 0
    megabytes: float = 0

    @classmethod
    def start(
        cls, name: str, artifact: Path, load: Load, other: str = "",
        workers: int = WORKERS, cores: str = "",
    ) -> Contender:  # fmt: skip
        port = free_port()
        values = (artifact.parents[1], artifact.parent.name, port) if name == OURS else (port,)
        python = other if name in NEEDS else sys.executable
        environment = os.environ | {
            "BENCHMARK_ARTIFACT": str(artifact),
            "BENCHMARK_WORKERS": str(WORKERS),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
            "WARDROBE_WORKERS": str(workers),
            "WARDROBE_THREADS": str(THREADS),
            "WARDROBE_QUEUE": str(QUEUE),
        }
        log = load.folder / f"{name}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [*bound_to(cores), python, *(CONTENDERS[name] % values).split()],
                env=environment, stdout=output, stderr=output, cwd=ROOT, start_new_session=True,
            )  # fmt: skip
        contender = cls(name, process, f"http://127.0.0.1:{port}")
        try:
            contender._wait(load, log)
        except BaseException:
            contender.stop()
            raise
        return contender

    def _wait(self, load: Load, log: Path) -> None:
        """Until it answers: that it listens says little."""
        form = {"Content-Type": "multipart/form-data; boundary=x"}
        until = time.monotonic() + 300
        while True:
            try:
                request = urllib.request.Request(f"{self.url}/predict", load.body, form)
                with urllib.request.urlopen(request, timeout=60):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{self.name} does not start:\n{log.read_text()}") from None
                time.sleep(0.5)

    def answer(self, load: Load, counts: bool) -> None:
        before = cpu_seconds(self.process.pid)
        requests, refused, duration, p50, p99 = load.run(self.url)
        cpu = cpu_seconds(self.process.pid) - before
        if counts:
            answered = max(requests - refused, 1)
            self.rates.append(answered / duration * 1e6)
            self.cpu.append(cpu / answered * 1e6)
            self.p50.append(p50 / 1000)
            self.p99.append(p99 / 1000)
            self.refused += refused
            self.megabytes = megabytes(self.process.pid)

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()


@contextmanager
def _running(names: list[str], artifact: Path, load: Load, other: str) -> Iterator[list[Contender]]:
    contenders: list[Contender] = []
    try:
        for name in names:
            contenders.append(Contender.start(name, artifact, load, other))
        yield contenders
    finally:
        for contender in contenders:
            contender.stop()


def bound_to(cores: str) -> list[str]:
    """What begins a command that runs on these cores only; nothing if none are named."""
    return ["taskset", "-c", cores] if cores else []


def _is_here(name: str, other: str | None) -> bool:
    """Whether the package of a contender can be imported where it would run."""
    if name not in NEEDS:
        return True
    return bool(other) and not subprocess.call([str(other), "-c", f"import {NEEDS[name]}"])


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def cpu_seconds(first: int) -> float:
    """What a process and all that it started have taken."""
    ticks = 0
    for process in _processes(first):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def megabytes(first: int, kind: str = "Pss") -> float:
    """The memory of a process and all that it started, what others share of it in proportion;
    `Pss_Anon` leaves out files, whose share depends on who else has them open."""
    kilobytes = 0
    for process in _processes(first):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        kilobytes += sum(int(line.split()[1]) for line in lines if line.startswith(f"{kind}:"))
    return kilobytes / 1024


def _processes(first: int) -> list[int]:
    found, unvisited = [], [first]
    while unvisited:
        process = unvisited.pop()
        found.append(process)
        for children in Path(f"/proc/{process}/task").glob("*/children"):
            unvisited += map(int, children.read_text().split())
    return found


def print_table(contenders: list[Contender]) -> None:
    """The table, as the README shows it: medians of the rounds."""
    limit = contenders[0]
    print(
        f"| server | requests/s | p50 ms | p99 ms | CPU µs/request | times {limit.name} | MB |\n"
        "|---|---:|---:|---:|---:|---:|---:|"
    )
    for each in contenders:
        ratio = median(mine / its for mine, its in zip(each.cpu, limit.cpu, strict=True))
        print(
            f"| {each.name} | {median(each.rates):,.0f} | {median(each.p50):.1f} "
            f"| {median(each.p99):.1f} | {median(each.cpu):,.0f} | {ratio:.2f} "
            f"| {each.megabytes:,.0f} |"
            + (f" {each.refused:.0f} not answered with 200" if each.refused else "")
        )


def print_half_load(wardrobe: Contender, load: Load, rounds: int) -> None:
    """How long requests take when half as many come as can be answered."""
    pause = 1000 * load.connections / (max(wardrobe.rates) / 2)
    told = [load.run(wardrobe.url, pause) for _ in range(rounds)]
    rate = median(requests / duration * 1e6 for requests, _, duration, _, _ in told)
    p50, p99 = (median(each[column] / 1000 for each in told) for column in (3, 4))
    print(f"\nAt half load, {rate:,.0f} requests/s: p50 {p50:.1f} ms, p99 {p99:.1f} ms")


def print_overload(wardrobe: Contender, load: Load, rounds: int) -> None:
    """How many requests are still answered when far too many come, by turns with those at best."""
    connections = 4 * WORKERS * (THREADS + QUEUE)
    best, answered, refused = [], [], []
    for _ in range(rounds):
        requests, _, duration, *_ = load.run(wardrobe.url)
        best.append(requests / duration)
        requests, not_answered, duration, *_ = load.run(wardrobe.url, connections=connections)
        answered.append((requests - not_answered) / duration)
        refused.append(not_answered / duration)
    share = median(answered) / median(best)
    print(
        f"\nOverload, {connections} connections: {median(answered) * 1e6:,.0f} requests/s answered "
        f"({share:.0%} of the best), {median(refused) * 1e6:,.0f}/s told 503"
    )


def print_batches(wardrobe: Contender, artifact: Path) -> None:
    """Images per second of 1,000 in one request, beside the SavedModel in this process."""
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    import orjson

    from wardrobe.serving.inference.artifacts import at
    from wardrobe.serving.inference.model import load

    model, name = load(at(artifact)), artifact.parent.name
    images = np.random.default_rng(1).integers(0, 256, (1000, 28, 28)).astype(np.float32)
    head = (
        b'{"inputs":[{"name":"images","shape":[1000,28,28],"datatype":"FP32",'
        b'"parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}'
        % images.nbytes
    )
    rows = orjson.dumps({"instances": images.astype(int)}, option=orjson.OPT_SERIALIZE_NUMPY)
    length = {"Inference-Header-Content-Length": str(len(head))}
    connection = http.client.HTTPConnection(wardrobe.url.removeprefix("http://"))

    def send(path: str, body: bytes, headers: dict[str, str]) -> bytes:
        connection.request("POST", path, body, headers)
        return connection.getresponse().read()

    infer = partial(send, f"/v2/models/{name}/infer", head + images.tobytes(), length)
    predict = partial(send, f"/v1/models/{name}:predict", rows, {})
    calls: dict[str, Callable[[], object]] = {
        "in process": lambda: model.predict(images),
        "binary `/infer`": infer,
        "JSON `:predict`": predict,
    }
    seconds: dict[str, list[float]] = {each: [] for each in calls}
    for _ in range(30):
        for each, call in calls.items():
            begun = time.perf_counter()
            call()
            seconds[each].append(time.perf_counter() - begun)
    rates = {each: 1000 / median(times[5:]) for each, times in seconds.items()}
    print(
        "\n1,000 images at a time: "
        + ", ".join(
            f"{rate:,.0f} images/s {each} ({rate / rates['in process']:.0%})"
            for each, rate in rates.items()
        )
    )


def print_memory(wardrobe: Contender, artifact: Path) -> None:
    """The service's memory beside that of as many processes that can only call the network."""
    program = (
        "import tensorflow, sys, time; network = tensorflow.saved_model.load(sys.argv[1]);"
        "print('loaded', flush=True); time.sleep(600)"
    )
    bare = [
        subprocess.Popen([sys.executable, "-c", program, str(artifact)], stdout=subprocess.PIPE)
        for _ in range(WORKERS)
    ]
    try:
        for process in bare:
            assert process.stdout
            process.stdout.readline()
        least = sum(megabytes(process.pid) for process in bare)
    finally:
        for process in bare:
            process.kill()
            process.wait()
    print(
        f"\nMemory: {wardrobe.megabytes:,.0f} MB; {WORKERS} processes that import TensorFlow and "
        f"load the model: {least:,.0f} MB; {wardrobe.megabytes / least:.2f} times as much"
    )


if __name__ == "__main__":
    main()
