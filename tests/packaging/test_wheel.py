"""The wheel as somebody installs it: into a clean environment, used from any folder."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = ("wardrobe", "models", "training", "serving", "pretrained", "results")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the tree."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = [sys.executable, "-m", "pip", "--quiet", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--wheel-dir", str(built), str(source)], check=True, timeout=300)
    (file,) = built.glob("*.whl")
    return file


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment that holds the wheel, and beside it only the dependencies.

    These are lent by a `.pth` file: installing them anew would take minutes. The editable install
    of this project among them is no longer found that way.
    """
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True, with_pip=False)
    variables = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", vars=variables))
    pip = [sys.executable, "-m", "pip", "--quiet", "--python", str(folder / "bin" / "python")]
    subprocess.run([*pip, "install", "--no-deps", str(wheel)], check=True, timeout=300)
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A folder of somebody who has packages called models, training and serving."""
    for name in ("models", "training", "serving"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("theirs = True\n")
    return tmp_path


def run(command: Path, *arguments: str, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_has_one_top_level_name(wheel: Path) -> None:
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {"wardrobe"}


def test_list_shows_the_measured_accuracies(installed: Path, crowded: Path) -> None:
    rows = json.loads(run(installed / "wardrobe", "list", "--json", cwd=crowded))
    accuracies = {row["name"]: row["accuracy"] for row in rows}
    assert accuracies["mlp-1m"] > 0.9
    assert all(accuracies.values())


def test_the_lecture_is_in_it(installed: Path, crowded: Path) -> None:
    assert (
        len(json.loads(run(installed / "wardrobe", "study", "--list", "--json", cwd=crowded))) > 20
    )


def test_a_script_imports_it_beside_packages_of_its_own(installed: Path, crowded: Path) -> None:
    script = crowded / "script.py"
    script.write_text(
        "import models, numpy as np, wardrobe\n"
        "assert models.theirs\n"
        "assert wardrobe.__file__.count('site-packages') == 1, wardrobe.__file__\n"
        "model = wardrobe.load('mlp-256-128-100')\n"
        "print(model.predict(np.zeros((2, 28, 28), np.uint8)).shape)\n"
    )
    assert run(installed / "python", "script.py", cwd=crowded).strip() == "(2, 10)"


def test_it_serves(installed: Path, crowded: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    server = subprocess.Popen(
        [installed / "wardrobe", "serve", "--port", "0", "--workers", "1", "--try"],
        cwd=crowded, env=environment, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stderr is not None
    try:
        lines = iter(server.stderr.readline, "")
        assert any("has answered" in line for line in lines)
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert server.returncode == 0
