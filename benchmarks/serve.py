"""How fast wardrobe serves, beside what it could be at best and what is commonly written.

    python -m benchmarks.serve ARTIFACT [--rounds N] [--seconds S] [--connections C]

28×28 PNG uploads (multipart, as `curl -F` sends them) over loopback from wrk, which must be on the
PATH. The contenders take turns, so that what else the machine does falls on all alike:

    decode only     a Flask view that reads and decodes the upload: the limit
    wardrobe        `POST /predict`
    model.predict   a Flask view that calls Keras' `predict`

All of them run under two workers. CPU is that of the server's processes for each answered request;
it is the measure to trust on a noisy machine. Memory is their proportional share (PSS).
"""

from __future__ import annotations

import argparse
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
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

WORKERS, THREADS = 2, 8
TICKS = os.sysconf("SC_CLK_TCK")
ARTIFACT = "BENCHMARK_ARTIFACT"

SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "multipart/form-data; boundary=x"
wrk.body = "--x\\r\\nContent-Disposition: form-data; name=\\"file\\"; filename=\\"a.png\\"\\r\\n" ..
  "Content-Type: image/png\\r\\n\\r\\n" .. io.open(os.getenv("PICTURE"), "rb"):read("*a") ..
  "\\r\\n--x--\\r\\n"
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
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS))
    arguments = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("wrk is not on the PATH; on Debian: apt-get install wrk")
    with tempfile.TemporaryDirectory() as folder:
        load = Load(Path(folder), arguments.seconds, arguments.connections)
        contenders = [
            Contender.start(name, arguments.artifact.absolute(), Path(folder))
            for name in arguments.only
        ]
        try:
            for turn in range(arguments.rounds + 1):
                for contender in contenders:
                    contender.answer(load, counts=turn > 0)  # the first turn warms up
            print_table(contenders)
            if "wardrobe" in arguments.only:
                print_batches(next(c for c in contenders if c.name == "wardrobe"), arguments)
        finally:
            for contender in contenders:
                contender.stop()


@dataclass
class Load:
    """wrk and what it sends."""

    folder: Path
    seconds: int
    connections: int

    def __post_init__(self) -> None:
        garment = np.zeros((28, 28), np.uint8)
        garment[4:24, 8:20] = np.random.default_rng(1).integers(60, 255, (20, 12))
        buffer = io.BytesIO()
        Image.fromarray(garment).save(buffer, "PNG")
        (self.folder / "picture.png").write_bytes(buffer.getvalue())
        (self.folder / "post.lua").write_text(SCRIPT)

    def run(self, url: str) -> list[float]:
        """Requests, refused ones, microseconds, p50 and p99 in microseconds."""
        told = subprocess.check_output(
            f"wrk -t1 -c{self.connections} -d{self.seconds}s --timeout=20s"
            f" -s {self.folder}/post.lua {url}/predict".split(),
            env=os.environ | {"PICTURE": str(self.folder / "picture.png")},
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
    def start(cls, name: str, artifact: Path, folder: Path) -> Contender:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        environment = os.environ | {
            ARTIFACT: str(artifact),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_NUM_INTRAOP_THREADS": "1",
            "TF_NUM_INTEROP_THREADS": "1",
            "WARDROBE_ARTIFACTS": str(artifact.parents[1]),
            "WARDROBE_MODEL": artifact.parent.name,
            "WARDROBE_PORT": str(port),
            "WARDROBE_WORKERS": str(WORKERS),
            "WARDROBE_THREADS": str(THREADS),
        }
        with (folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                CONTENDERS[name](port), env=environment, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        contender = cls(name, process, f"http://127.0.0.1:{port}")
        contender._wait(folder / f"{name}.log")
        return contender

    def _wait(self, log: Path) -> None:
        until = time.monotonic() + 120
        while True:
            try:
                with socket.create_connection(("127.0.0.1", int(self.url.rpartition(":")[2]))):
                    return
            except OSError:
                if self.process.poll() is not None or time.monotonic() > until:
                    raise SystemExit(f"{self.name} does not start:\n{log.read_text()}") from None
                time.sleep(0.2)

    def answer(self, load: Load, counts: bool) -> None:
        before = self._cpu_seconds()
        requests, refused, duration, p50, p99 = load.run(self.url)
        cpu = self._cpu_seconds() - before
        if counts:
            answered = max(requests - refused, 1)
            self.rates.append(answered / duration * 1e6)
            self.cpu.append(cpu / answered * 1e6)
            self.p50.append(p50 / 1000)
            self.p99.append(p99 / 1000)
            self.refused += refused
            self.megabytes = sum(map(_megabytes, self._processes()))

    def stop(self) -> None:
        os.killpg(self.process.pid, signal.SIGTERM)
        self.process.wait()

    def _processes(self) -> list[int]:
        """The server and all that it started."""
        found, todo = [], [self.process.pid]
        while todo:
            process = todo.pop()
            found.append(process)
            for children in Path(f"/proc/{process}/task").glob("*/children"):
                todo += map(int, children.read_text().split())
        return found

    def _cpu_seconds(self) -> float:
        ticks = 0
        for process in self._processes():
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / TICKS


def _megabytes(process: int) -> float:
    lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def print_table(contenders: list[Contender]) -> None:
    """The table, as the README shows it: medians of the rounds."""
    limit = contenders[0]
    print(
        "| server | requests/s | p50 ms | p99 ms | CPU µs/request | times decode only | MB |\n"
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


def print_batches(wardrobe: Contender, arguments: argparse.Namespace) -> None:
    """Images per second of 1,000 in one request, beside the SavedModel in this process."""
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
    from serving.artifacts import at
    from serving.saved_model import load

    artifact = at(arguments.artifact)
    images = np.random.default_rng(1).integers(0, 256, (1000, 28, 28)).astype(np.float32)
    model = load(artifact)
    head = (
        b'{"inputs":[{"name":"images","shape":[1000,28,28],"datatype":"FP32",'
        b'"parameters":{"binary_data_size":%d}}],"parameters":{"binary_data_output":true}}'
        % images.nbytes
    )
    body = head + images.tobytes()
    request = urllib.request.Request(
        f"{wardrobe.url}/v2/models/{artifact.name}/infer",
        body,
        {"Inference-Header-Content-Length": str(len(head))},
    )

    def over_http() -> None:
        with urllib.request.urlopen(request, timeout=60) as response:
            response.read()

    seconds: dict[str, list[float]] = {"in process": [], "/infer": []}
    for _ in range(30):
        for name, call in (("in process", lambda: model.predict(images)), ("/infer", over_http)):
            begun = time.perf_counter()
            call()
            seconds[name].append(time.perf_counter() - begun)
    inside, outside = (1000 / median(times[5:]) for times in seconds.values())
    print(
        f"\n1,000 images at a time: {inside:,.0f} images/s in process, {outside:,.0f} over binary "
        f"`/infer`: {outside / inside:.0%}"
    )


def decode_only() -> Any:
    """The WSGI application of `decode only`."""
    from flask import Flask, jsonify, request

    app = Flask(__name__)

    @app.post("/predict")
    def predict() -> Any:
        with Image.open(request.files["file"].stream) as image:
            return jsonify(mean=float(np.asarray(image.convert("L")).mean()))

    return app


def keras_predict() -> Any:
    """The WSGI application of `model.predict`, as tutorials write it."""
    import keras
    from flask import Flask, jsonify, request

    layer = keras.layers.TFSMLayer(os.environ[ARTIFACT], call_endpoint="serving_default")
    model = keras.Sequential([keras.Input((28, 28)), layer])
    app = Flask(__name__)

    @app.post("/predict")
    def predict() -> Any:
        with Image.open(request.files["file"].stream) as image:
            picture = np.asarray(image.convert("L"), np.float32)
        answer = model.predict(picture[None], verbose=0)
        values = answer["probabilities"] if isinstance(answer, dict) else answer
        return jsonify(label=int(np.argmax(values)), probability=float(np.max(values)))

    return app


def _gunicorn(application: str) -> Callable[[int], list[str]]:
    def command(port: int) -> list[str]:
        settings = f"-k gthread -w {WORKERS} --threads {THREADS} -b 127.0.0.1:{port}"
        return [
            sys.executable,
            "-m",
            "gunicorn",
            *settings.split(),
            f"benchmarks.serve:{application}",
        ]

    return command


def _wardrobe(_: int) -> list[str]:
    program = (
        "from serving.server import serve; from serving.settings import Settings;"
        "serve(Settings.from_environment())"
    )
    return [sys.executable, "-c", program]


CONTENDERS: dict[str, Callable[[int], list[str]]] = {
    "decode only": _gunicorn("decode_only()"),
    "wardrobe": _wardrobe,
    "model.predict": _gunicorn("keras_predict()"),
}


if __name__ == "__main__":
    main()
