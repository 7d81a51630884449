"""What the image of the service has is enough to serve, and agrees with what trains."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HIDE = "import sys; sys.modules.update(dict.fromkeys({missing}))\n"
"""What is None there cannot be imported."""
SERVE = """
import io, os
os.environ["WARDROBE_ARTIFACTS"] = {artifacts!r}
import numpy as np
from PIL import Image
import wardrobe.serving.server, wardrobe.serving.worker.worker
from wardrobe.serving.app import create_app
client = create_app().test_client()
file = io.BytesIO()
Image.fromarray(np.random.default_rng(1).integers(0, 255, (90, 70, 3), np.uint8)).save(file, "jpeg")
rows = {{"instances": np.zeros((1, 28, 28)).tolist()}}
tensor = {{"name": "images", "shape": [1, 28, 28], "datatype": "FP32", "data": [0.0] * 784}}
model = client.get("/health/ready").json["models"][0]["name"]
name = client.get(f"/v2/models/{{model}}").json["inputs"][0]["name"]
for answer in (
    client.post("/predict?explain=1", data=file.getvalue()),
    client.post(f"/v1/models/{{model}}:predict", json=rows),
    client.post(f"/v2/models/{{model}}/infer", json={{"inputs": [tensor | {{"name": name}}]}}),
    *map(client.get, ("/", "/metrics", "/openapi.json", "/v2", f"/v1/models/{{model}}/metadata")),
):
    assert answer.status_code == 200, answer.text
"""


def locked(file: str) -> dict[str, set[str]]:
    """Names and versions in a lock file."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==(\S+)", (ROOT / file).read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def missing_modules() -> set[str]:
    """The modules at the top of what is installed here and not in the image."""
    from importlib.metadata import packages_distributions

    image = locked("requirements-serving.lock").keys() | {
        "wardrobe",
        "tensorflow",
        "tensorflow-cpu",
    }
    return {
        module
        for module, distributions in packages_distributions().items()
        if not {re.sub(r"[-_.]+", "-", each).lower() for each in distributions} & image
    } | {"wardrobe.training", "wardrobe.models"}


def test_the_service_imports_nothing_else() -> None:
    missing = missing_modules()
    assert {"jax", "keras", "h5py", "tensorboard", "pydantic"} <= missing
    program = (HIDE + SERVE).format(missing=missing, artifacts=str(ROOT / "pretrained"))
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", [["train", "mlp-he-bn"], ["list"], ["check", "mlp-he-bn"]])
def test_a_command_that_needs_more_says_so(command: list[str]) -> None:
    program = HIDE.format(missing=missing_modules()) + (
        f"import sys; sys.argv = ['wardrobe', *{command}]\nfrom wardrobe.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "is not installed here" in done.stderr
    assert "Traceback" not in done.stderr


def test_serve_refuses_the_try_that_it_cannot_make() -> None:
    program = HIDE.format(missing=missing_modules()) + (
        "import sys; sys.argv = ['wardrobe', 'serve', '--try']\n"
        "from wardrobe.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "start without it, then send a picture: curl -F file=@boot.png URL" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_network_is_served_by_the_versions_that_it_was_trained_with() -> None:
    everything, serving = locked("requirements.lock"), locked("requirements-serving.lock")
    everything["tensorflow-cpu"] = everything["tensorflow"]
    assert serving.items() <= everything.items()


def test_what_serving_needs_is_declared_as_for_the_package() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    serving = {each.partition(" ;")[0] for each in project["dependency-groups"]["serving"]}
    extra = {each for each in serving if each.startswith("tensorflow-cpu")}
    assert {each.replace("-cpu", "") for each in extra} <= serving
    assert serving - extra <= set(project["project"]["dependencies"])
