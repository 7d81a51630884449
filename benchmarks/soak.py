"""Whether the service serves those who behave while others do not.

    python -m benchmarks.soak ARTIFACT [--minutes 10] [--clients 20] [--hostile 0.05]

Starts `wardrobe serve` with few file descriptors. Then as many clients a second come, at random, as
`--clients` says. Most send one to four requests over a connection: pictures in every form that
`POST /predict` takes, both other protocols, probes, metrics, the page. The share `--hostile` does
what `benchmarks.hostile` can do. It held if

- every request of those who behave had the right answer within a second; what is right was computed
  in this process, with the same SavedModel;
- no answer to anybody was a 5xx but the 503 and 504 that are promised;
- nothing that was declared as a body was read as a request;
- no worker was lost, and the memory that stays (without files, the least of each minute) grew by
  less than a tenth from the second minute to the last.

The exit status is 1 if not. On Linux only.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import gzip
import io
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks import hostile
from benchmarks.hostile import Address, Answer
from benchmarks.serve import ROOT, free_port, megabytes

PICTURES = 64
"""Different ones, so that an answer which is another client's is noticed."""
SECONDS_ALLOWED, GROWTH_ALLOWED = 1.0, 1.1
DESCRIPTORS = 512
"""For each process of the service: a few hostile clients use them up."""
PROMISED = {503, 504}
SHOWN = 20
"""Failures that are printed."""

Check = Callable[[Answer], bool]


def main() -> None:
    """Starts the service, lets the clients come, prints what became of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path, help="a folder NAME/VERSION")
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--clients", type=float, default=20, help="a second")
    parser.add_argument("--hostile", type=float, default=0.05, help="their share")
    parser.add_argument("--only", nargs="*", choices=hostile.KINDS, default=list(hostile.KINDS))
    arguments = parser.parse_args()
    artifact = arguments.artifact.absolute()
    requests = well_behaved(artifact)
    hostile.prepare()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        service = Service.start(artifact, Path(folder))
        try:
            soak = Soak(service, requests, [hostile.KINDS[name] for name in arguments.only])
            asyncio.run(soak.run(60 * arguments.minutes, arguments.clients, arguments.hostile))
            failures = soak.report() + service.failures()
        finally:
            code = service.stop()
    failures += [f"the service ended with {code}"] if code else []
    print("\n" + ("\n".join(failures) or "It held."))
    sys.exit(bool(failures))


@dataclass
class Service:
    """`wardrobe serve` in processes of its own."""

    process: subprocess.Popen[bytes]
    address: Address
    log: Path
    """What it says of the requests."""
    workers: list[int] = field(default_factory=list)

    @classmethod
    def start(cls, artifact: Path, folder: Path) -> Service:
        port, log = free_port(), folder / "log"
        limit = f"ulimit -n {DESCRIPTORS}; exec "
        serve = f"{sys.executable} -m wardrobe.cli serve --artifacts {artifact.parents[1]}"
        with log.open("wb") as stdout, log.with_name("errors").open("wb") as stderr:
            process = subprocess.Popen(
                ["sh", "-c", f"{limit}{serve} --model {artifact.parent.name} --port {port}"],
                env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
                stdout=stdout, stderr=stderr, cwd=ROOT, start_new_session=True,
            )  # fmt: skip
        service = cls(process, ("127.0.0.1", port), log)
        while "ready on" not in service.errors:
            if process.poll() is not None:
                raise SystemExit(f"the service does not start:\n{service.errors}")
            time.sleep(0.2)
        time.sleep(10)  # the other worker, too
        service.workers = service.children()
        return service

    @property
    def errors(self) -> str:
        return self.log.with_name("errors").read_text(errors="replace")

    def children(self) -> list[int]:
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return sorted(map(int, task.read_text().split()))

    def megabytes(self) -> float:
        return megabytes(self.process.pid, "Pss_Anon")

    def failures(self) -> list[str]:
        """What the service itself, its log and its metrics say that must not be."""
        found = []
        if self.children() != self.workers:
            found.append(f"a worker was lost: {self.workers} became {self.children()}")
        with urllib.request.urlopen("http://{}:{}/metrics".format(*self.address)) as answer:
            counted = re.findall(r'wardrobe_requests_total{.*status="(\d+)"} ([\d.e+]+)',
                                 answer.read().decode())  # fmt: skip
        statuses: Counter[int] = Counter()
        for status, number in counted:
            statuses[int(status)] += round(float(number))
        print("answers by status, the hostile clients' included:", dict(sorted(statuses.items())))
        found += [
            f"{statuses[status]} answers were {status}"
            for status in statuses
            if status >= 500 and status not in PROMISED
        ]
        smuggled = self.log.read_text(errors="replace").count(hostile.HIDDEN)
        if smuggled:
            found.append(f"{smuggled} requests within bodies were answered")
        if "Traceback" in self.errors:
            found.append(f"there are tracebacks:\n{self.errors[-4000:]}")
        return found

    def stop(self) -> int:
        os.killpg(self.process.pid, signal.SIGTERM)
        return self.process.wait(60)


class Soak:
    """The clients, and what became of those who behave."""

    def __init__(
        self, service: Service, requests: Sequence[Request], kinds: Sequence[hostile.Kind]
    ) -> None:
        self._service, self._kinds = service, kinds
        self._requests: defaultdict[str, list[Request]] = defaultdict(list)
        for request in requests:
            self._requests[request.kind].append(request)
        self._seconds: defaultdict[str, list[float]] = defaultdict(list)
        self._hostile: Counter[str] = Counter()
        self._failures: list[str] = []
        self._minutes: list[list[float]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, seconds: float, rate: float, share: float) -> None:
        """Lets clients come for so many seconds, and waits for the last of them."""
        chance, begun = random.Random(1), time.monotonic()
        memory = asyncio.create_task(self._watch_memory(begun))
        due = begun
        while due < begun + seconds:
            await asyncio.sleep(max(0, due - time.monotonic()))
            client = self._attack if chance.random() < share else self._visit
            task = asyncio.create_task(client(random.Random(chance.random())))
            self._tasks.add(task)
            task.add_done_callback(self._leave)
            due += chance.expovariate(rate)
        memory.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _leave(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if error := task.exception():
            self._failures.append(f"a client failed: {error!r}")

    async def _visit(self, chance: random.Random) -> None:
        """One to four requests over a connection."""
        kinds = chance.choices(list(self._requests), k=chance.randint(1, 4))
        requests = [chance.choice(self._requests[kind]) for kind in kinds]
        begun = time.monotonic()
        try:
            async with (
                asyncio.timeout(hostile.PATIENCE),
                hostile.connection(self._service.address) as client,
            ):
                for request in requests:
                    await self._ask(client, request, begun)
                    begun = time.monotonic()
        except (OSError, EOFError) as error:
            self._failures.append(f"a visit to {requests[0].kind}: {error!r}")

    async def _ask(self, client: hostile.Client, request: Request, begun: float) -> None:
        await client.send(request.data)
        answer = await client.answer()
        seconds = time.monotonic() - begun
        self._seconds[request.kind].append(seconds)
        if answer.status != 200:
            self._failures.append(f"{request.kind}: {answer.status} {answer.body[:200]!r}")
        elif not request.is_right(answer):
            self._failures.append(f"{request.kind}: a wrong answer {answer.body[:200]!r}")
        if seconds > SECONDS_ALLOWED:
            self._failures.append(f"{request.kind}: answered after {seconds:.2f} s")

    async def _attack(self, chance: random.Random) -> None:
        kind = chance.choice(self._kinds)
        self._hostile[kind.__name__] += 1
        try:
            await asyncio.wait_for(kind(self._service.address, chance), 40)
        except hostile.MisledError as error:
            self._failures.append(f"{kind.__name__}: {error}")
        except (OSError, EOFError):  # as they deserve
            pass

    async def _watch_memory(self, begun: float) -> None:
        """Notes the memory, and prints it by the minute."""
        while True:
            while len(self._minutes) <= (time.monotonic() - begun) // 60:
                if self._minutes:
                    self._print_minute()
                self._minutes.append([])
            with suppress(OSError):  # a worker has just ended, which is reported at the end
                self._minutes[-1].append(self._service.megabytes())
            await asyncio.sleep(2)

    def _print_minute(self) -> None:
        seen = self._minutes[-1] or [0]
        number = sum(map(len, self._seconds.values()))
        print(
            f"minute {len(self._minutes)}: {min(seen):,.0f} to {max(seen):,.0f} MB,"
            f" {number:,} requests so far, {self._hostile.total()} hostile clients,"
            f" {len(self._failures)} failures",
            flush=True,
        )

    def report(self) -> list[str]:
        """Prints the tables; returns what must not be."""
        self._print_minute()
        print("\n| request | number | p50 ms | p99 ms | longest ms |\n|---|---:|---:|---:|---:|")
        everything = [each for kind in self._seconds.values() for each in kind]
        for kind, seconds in [*sorted(self._seconds.items()), ("**all**", everything)]:
            p50, p99, most = 1000 * np.quantile(seconds, (0.5, 0.99, 1))
            print(f"| {kind} | {len(seconds):,} | {p50:.1f} | {p99:.1f} | {most:.0f} |")
        print("\nhostile clients:", ", ".join(f"{n} {k}" for k, n in self._hostile.items()))
        failures = self._failures[:SHOWN]
        if len(self._failures) > SHOWN:
            failures.append(f"… {len(self._failures)} such failures")
        if len(self._minutes) > 2:
            second, last = min(self._minutes[1]), min(self._minutes[-1])
            if last > GROWTH_ALLOWED * second:
                failures.append(f"memory grew from {second:,.0f} to {last:,.0f} MB")
        return failures


@dataclass(frozen=True)
class Request:
    """What a client sends who behaves, and whether an answer is right."""

    kind: str
    data: bytes
    is_right: Check


def well_behaved(artifact: Path) -> list[Request]:
    """Requests of every kind, with different pictures."""
    from wardrobe.serving.inference.artifacts import at
    from wardrobe.serving.inference.model import load

    random = np.random.default_rng(1)
    pictures = np.zeros((PICTURES, 28, 28), np.uint8)
    for picture in pictures:
        top, left, bottom, right = random.integers((2, 2, 14, 14), (12, 12, 26, 26))
        picture[top:bottom, left:right] = random.integers(60, 255, (bottom - top, right - left))
    expected = load(at(artifact)).predict(pictures)
    name = artifact.parent.name
    requests = [
        Request("GET " + path, _get(path), lambda answer: bool(answer.body))
        for path in ("/", "/page/page.js", "/health/live", "/health/ready", "/metrics",
                     "/openapi.json", f"/v1/models/{name}", f"/v2/models/{name}")
    ]  # fmt: skip
    for index in range(PICTURES):
        requests += _with_picture(name, pictures[index], expected[index])
        few = [index, (index + 1) % PICTURES, (index + 2) % PICTURES]
        requests.append(_form(pictures[few], expected[few]))
    return requests


def _get(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nHost: soak\r\nAccept-Encoding: identity\r\n\r\n".encode()


def _with_picture(name: str, picture: npt.NDArray[np.uint8], expected: Any) -> list[Request]:
    """One picture in every way."""
    png = _png(picture)
    document = json.dumps({"image": base64.b64encode(png).decode()}).encode()
    rows = json.dumps({"instances": [picture.tolist()]}).encode()
    floats = picture.astype(np.float32).tobytes()
    tensor = {"name": "images", "shape": [1, 28, 28], "datatype": "FP32",
              "parameters": {"binary_data_size": len(floats)}}  # fmt: skip
    head = json.dumps({"inputs": [tensor], "parameters": {"binary_data_output": True}}).encode()
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (png[:99], png[99:]))
    is_predicted, v1, v2 = _predicted([expected]), f"/v1/models/{name}", f"/v2/models/{name}"
    binary = {"Inference-Header-Content-Length": str(len(head))}
    return [
        _form(picture[None], expected[None]),
        Request("a picture", hostile.post("/predict", png), is_predicted),
        Request("JSON", hostile.post("/predict", document), is_predicted),
        Request(
            "JSON, compressed",
            hostile.post("/predict", gzip.compress(document), {"Content-Encoding": "gzip"}),
            is_predicted,
        ),
        Request(
            "in chunks",
            hostile.head("/predict", {"Transfer-Encoding": "chunked"}) + pieces + b"0\r\n\r\n",
            is_predicted,
        ),
        Request(
            "/v1",
            hostile.post(f"{v1}:predict", rows),
            lambda answer: _close(json.loads(answer.body)["predictions"], [expected]),
        ),
        Request(
            "/v2, binary",
            hostile.post(f"{v2}/infer", head + floats, binary),
            lambda answer: _close(_binary_output(answer), [expected]),
        ),
    ]


def _form(pictures: npt.NDArray[np.uint8], expected: Any) -> Request:
    return Request(
        f"a form with {len(pictures)}",
        hostile.form([_png(picture) for picture in pictures]),
        _predicted(expected),
    )


def _png(picture: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _predicted(expected: Any) -> Check:
    """Whether the answer of `/predict` names the likeliest classes, in order."""
    wanted = [[float(row.argmax()), float(row.max())] for row in np.asarray(expected)]

    def is_right(answer: Answer) -> bool:
        predictions = json.loads(answer.body)["predictions"]
        return _close([[each["class_index"], each["probability"]] for each in predictions], wanted)

    return is_right


def _binary_output(answer: Answer) -> Any:
    """The only output of an answer of `/v2`."""
    length = int(answer.headers["inference-header-content-length"])
    (output,) = json.loads(answer.body[:length])["outputs"]
    return np.frombuffer(answer.body[length:], np.float32).reshape(output["shape"])


def _close(found: Any, expected: Any) -> bool:
    return np.shape(found) == np.shape(expected) and np.allclose(found, expected, atol=1e-3)


if __name__ == "__main__":
    main()
