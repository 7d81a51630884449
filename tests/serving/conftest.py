"""Real artifacts with networks whose answers are known, pictures for them, and a real server."""

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from wardrobe.serving.app import create_app
from wardrobe.serving.settings import Settings

LABELS = [f"band {index}" for index in range(10)]
INPUT = {"kind": "image", "shape": [28, 28], "range": [0, 255], "ground": "dark"}
ROOT = Path(__file__).parents[2]


def export(folder: Path, network: Any, output: str, explain: bool = False) -> None:
    """Write `network` as a SavedModel with the signature of an artifact."""
    import keras

    archive = keras.export.ExportArchive()
    signature = [keras.InputSpec("float32", (None, *network.input_shape[1:]), name="images")]
    archive.add_endpoint("serving_default", lambda images: {output: network(images)}, signature)
    if explain:
        archive.add_endpoint("explain", lambda images: {"evidence": images / 255}, signature)
    archive.write_out(str(folder), verbose=False)


def bands(sharpness: float) -> Any:
    """A network that names the brightest of ten horizontal bands of the picture."""
    import keras

    rows, kernel = np.arange(28 * 28) // 28, np.zeros((28 * 28, 10), np.float32)
    kernel[np.arange(28 * 28), rows * 10 // 28] = sharpness / 28
    dense = keras.layers.Dense(10, activation="softmax")
    scaling = keras.layers.Rescaling(1 / 255)
    network = keras.Sequential([keras.Input((28, 28)), scaling, keras.layers.Flatten(), dense])
    dense.set_weights([kernel, np.zeros(10, np.float32)])
    return network


def write_extras(folder: Path, **files: Any) -> None:
    """Write `assets.extra/NAME.json` for each keyword."""
    (folder / "assets.extra").mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / "assets.extra" / f"{name}.json").write_text(json.dumps(content))


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of sound artifacts: two versions of `bands`, and relatives of it."""
    import keras

    folder = tmp_path_factory.mktemp("artifacts")
    for version in (1, 2):
        export(folder / f"bands/{version}", bands(sharpness=version), "probabilities", explain=True)
        write_extras(folder / f"bands/{version}", labels=LABELS, input=INPUT)
    shutil.copytree(folder / "bands/1", folder / "light/1")
    write_extras(folder / "light/1", input=INPUT | {"ground": "light"})
    shutil.copytree(folder / "bands/1", folder / "unsure/1")
    write_extras(folder / "unsure/1", uncertainty={"below": 0.9})
    export(folder / "plain/7", bands(sharpness=1), "probabilities")
    export(folder / "a-table/1", keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)]), "y")
    write_extras(folder / "a-table/1", input={"kind": "table", "shape": [4]})
    return folder


@pytest.fixture(scope="session")
def flawed(good: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder where the newest versions of `bands` are broken in several ways, version 1 is not,
    and of `lost` there is nothing that works."""
    folder = tmp_path_factory.mktemp("flawed")
    for version in (1, 3, 4, 5):
        shutil.copytree(good / "bands/1", folder / f"bands/{version}")
    (folder / "bands/2").mkdir()
    shutil.rmtree(folder / "bands/3/variables")
    os.truncate(folder / "bands/4/saved_model.pb", 1000)
    os.truncate(folder / "bands/5/variables/variables.data-00000-of-00001", 1000)
    shutil.copytree(good / "bands/1", folder / "bands/.6.partial")
    (folder / "lost/1").mkdir(parents=True)
    return folder


@pytest.fixture(scope="session", name="export")
def export_() -> Callable[..., None]:
    return export


@pytest.fixture(scope="session", name="bands")
def bands_() -> Callable[..., Any]:
    return bands


@pytest.fixture(scope="session", name="write_extras")
def write_extras_() -> Callable[..., None]:
    return write_extras


@pytest.fixture(scope="session")
def settings(good: Path) -> Settings:
    return Settings(artifacts=(good,), model="bands", port=0)


@pytest.fixture(scope="session")
def client(settings: Settings) -> Any:
    """Flask's test client of the service over the sound artifacts."""
    return create_app(settings).test_client()


@pytest.fixture(scope="session")
def band() -> Callable[[int], np.ndarray]:
    """`band(k)`: `uint8 [28, 28]`, bright in band k on black."""

    def draw(index: int) -> np.ndarray:
        picture = np.zeros((28, 28), np.uint8)
        picture[np.arange(28) * 10 // 28 == index, 4:24] = 250
        return picture

    return draw


@pytest.fixture(scope="session")
def encode() -> Callable[..., bytes]:
    """`encode(array or image, format, …)`: the bytes of a file."""

    def save(picture: np.ndarray | Image.Image, kind: str = "PNG", **options: Any) -> bytes:
        image = picture if isinstance(picture, Image.Image) else Image.fromarray(picture)
        buffer = io.BytesIO()
        image.save(buffer, kind, **options)
        return buffer.getvalue()

    return save


@pytest.fixture(scope="session")
def growth() -> Callable[[str, bytes], tuple[float, str]]:
    """`growth(code, data)`: by how many MiB the memory of a process grows at most while it runs
    `code`, with `data` at hand, and what it prints (Linux only)."""
    program = """if True:
        import sys
        from pathlib import Path
        def peak():
            lines = Path("/proc/self/status").read_text().splitlines()
            return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024
        data = sys.stdin.buffer.read()
        BEFORE
        before = peak()
        CODE
        print(peak() - before)
    """

    def run(code: str, data: bytes) -> tuple[float, str]:
        imports = [line for line in code.splitlines() if "import " in line]
        rest = [line for line in code.splitlines() if "import " not in line]
        indent = "\n" + " " * 8
        script = program.replace("BEFORE", indent.join(imports)).replace("CODE", indent.join(rest))
        ran = subprocess.run(
            [sys.executable, "-c", script], input=data, capture_output=True, cwd=ROOT, timeout=60
        )
        assert ran.returncode == 0, ran.stderr.decode()
        *printed, grown = ran.stdout.decode().splitlines()
        return float(grown), "\n".join(printed)

    return run


@dataclass
class Running:
    """A server in processes of its own."""

    process: subprocess.Popen[bytes]
    url: str
    log: Path

    def children(self) -> list[int]:
        """The process ids of its workers (Linux only)."""
        task = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(child) for child in task.read_text().split()]


Start = Callable[..., Running]


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """`start(folders, workers=2, SETTING=value…)`: a server that says it is up; it is stopped with
    the tests of its file."""
    with servers(tmp_path_factory) as start:
        yield start


@pytest.fixture(scope="session")
def start_for_all(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """The same for servers that several files share."""
    with servers(tmp_path_factory) as start:
        yield start


@contextmanager
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Starts servers, and stops them all at the end."""
    started: list[subprocess.Popen[bytes]] = []
    program = (
        "from wardrobe.serving.server import serve; from wardrobe.serving.settings import Settings;"
        "serve(Settings.from_environment())"
    )

    def run(
        folders: Sequence[Path],
        workers: int = 2,
        stdout: int = subprocess.DEVNULL,
        **options: str,
    ) -> Running:
        log = tmp_path_factory.mktemp("server") / "log"
        environment = (
            os.environ
            | {
                "WARDROBE_ARTIFACTS": os.pathsep.join(map(str, folders)),
                "WARDROBE_PORT": "0",
                "WARDROBE_WORKERS": str(workers),
                "WARDROBE_DRAIN_SECONDS": "0",  # nobody waits for the end of a test
            }
            | {f"WARDROBE_{name}": value for name, value in options.items()}
        )
        with log.open("wb") as stderr:
            process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdout=stdout,
                stderr=stderr,
                env=environment,
                cwd=ROOT,
            )
        started.append(process)
        deadline = time.monotonic() + 60
        while " on http://" not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        url = log.read_text().split(" on http://")[1].split()[0].rstrip(",")
        return Running(process, f"http://{url}", log)

    yield run
    for process in started:
        process.terminate()
    for process in started:
        process.wait(timeout=40)


@pytest.fixture(scope="session")
def server(start_for_all: Start, good: Path, flawed: Path) -> Running:
    """Two workers over the sound artifacts and the flawed ones."""
    return start_for_all([good, flawed])
