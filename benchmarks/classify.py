"""How fast `wardrobe classify` is on all cores, beside one process and beside the service.

    python -m benchmarks.classify ARTIFACT [--pictures N] [--photographs N] [--memory N]

All three answer the same files, one after the other: pictures of 28×28 pixels, PNG, from the test
examples of Fashion-MNIST, and photographs, from `clothing-photos` in $WARDROBE_DATA. The commands
are timed as a user meets them, from start to end; the service, of two workers, when it
is up. Its client sends a file a request from sixteen threads and shares the cores.

Then the pictures are classified again and again, `--memory` in all, while the memory of all
processes (the sum of their proportional shares) is looked at twice a second.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import os
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from PIL import Image

import wardrobe
from benchmarks.serve import Contender, Load, megabytes

CLIENTS = 16


def main() -> None:
    """Prints a table of pictures a second, and what classifying for long does to memory."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path, help="a folder NAME/VERSION")
    parser.add_argument("--pictures", type=int, default=20_000)
    parser.add_argument("--photographs", type=int, default=2_000)
    parser.add_argument("--memory", type=int, default=200_000)
    arguments = parser.parse_args()
    artifact = arguments.artifact.absolute()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pictures = as_files(folder / "pictures", arguments.pictures)
        photographs = sorted(Path(os.environ["WARDROBE_DATA"], "clothing-photos").rglob("*.jpg"))
        print("| files | method | pictures/s | × one process |\n|---|---|---:|---:|")
        print_rates("28×28", pictures, artifact, folder)
        print_rates("photographs", photographs[: arguments.photographs], artifact, folder)
        print_memory(pictures, arguments.memory, artifact, folder)


def as_files(folder: Path, count: int) -> list[Path]:
    """Pictures of the data set, again and again if need be."""
    folder.mkdir()
    examples = wardrobe.load_data("fashion-mnist").test.x
    files = [folder / f"{number:06}.png" for number in range(count)]
    for file, pixels in zip(files, itertools.cycle(examples), strict=False):
        Image.fromarray(pixels).save(file)
    return files


def print_rates(name: str, files: list[Path], artifact: Path, folder: Path) -> None:
    rates = {
        "classify, one process": len(files) / classify(files, artifact, folder, 1),
        "classify, all cores": len(files) / classify(files, artifact, folder, os.cpu_count() or 1),
        "the service": len(files) / ask_service(files, artifact, folder),
    }
    one, *_ = rates.values()
    for way, rate in rates.items():
        print(f"| {len(files):,} {name} | {way} | {rate:,.0f} | {rate / one:.2f} |", flush=True)


def started(files: list[Path], artifact: Path, folder: Path, jobs: int) -> subprocess.Popen[bytes]:
    """`wardrobe classify` of a list of files."""
    listed = folder / "list.txt"
    listed.write_text("".join(f"{file}\n" for file in files))
    output = folder / "answers.jsonl"
    output.unlink(missing_ok=True)
    return subprocess.Popen(
        [
            sys.executable, "-m", "wardrobe.cli", "classify", str(listed), "--to", str(output),
            "--artifacts", str(artifact.parents[1]), "--model", artifact.parent.name,
            "--jobs", str(jobs),
        ],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip


def classify(files: list[Path], artifact: Path, folder: Path, jobs: int) -> float:
    """The seconds that it takes."""
    began = time.perf_counter()
    if started(files, artifact, folder, jobs).wait():
        raise SystemExit("wardrobe classify failed")
    return time.perf_counter() - began


def ask_service(files: list[Path], artifact: Path, folder: Path) -> float:
    """The seconds from the first request to the last answer."""
    service = Contender.start("wardrobe", artifact, Load(folder, 0, 0), "")
    address = urlsplit(service.url).netloc
    own = threading.local()

    def ask(file: Path) -> None:
        if not hasattr(own, "connection"):
            own.connection = http.client.HTTPConnection(address, timeout=120)
        own.connection.request("POST", "/predict", file.read_bytes())
        answer = own.connection.getresponse()
        if answer.status != 200:
            raise SystemExit(f"{file}: {answer.status} {answer.read().decode()}")
        answer.read()

    try:
        began = time.perf_counter()
        with ThreadPoolExecutor(CLIENTS) as clients:
            for _ in clients.map(ask, files):
                pass
        return time.perf_counter() - began
    finally:
        service.stop()


def print_memory(files: list[Path], count: int, artifact: Path, folder: Path) -> None:
    """The largest memory in the second and in the last fifth of a long classification."""
    many = list(itertools.islice(itertools.cycle(files), count))
    process = started(many, artifact, folder, os.cpu_count() or 1)
    seen: list[float] = []
    while process.poll() is None:
        with suppress(OSError):  # one of them has just ended
            seen.append(megabytes(process.pid))
        time.sleep(0.5)
    if process.returncode:
        raise SystemExit("wardrobe classify failed")
    fifth = max(1, len(seen) // 5)
    early, late = max(seen[fifth : 2 * fifth]), max(seen[-fifth:])
    print(
        f"\nMemory while {count:,} pictures are classified: at most {early:,.0f} MB in the second "
        f"fifth of the time, {late:,.0f} MB in the last: {late / early:.2f} times as much"
    )


if __name__ == "__main__":
    main()
