"""The examples run as they are, on data and for so few epochs that they take seconds."""

from __future__ import annotations

import io
import json
import runpy
import sys
import threading
from pathlib import Path

import matplotlib as mpl
import pytest
from PIL import Image
from werkzeug.serving import make_server

import wardrobe
from wardrobe.training.data import silhouettes

EXAMPLES = Path(__file__).parents[1] / "examples"
PRETRAINED = Path(__file__).parents[1] / "pretrained"
NOTEBOOK = EXAMPLES / "train_and_plot.ipynb"


@pytest.fixture
def example(tmp_path, monkeypatch, capsys):
    """Runs a script of `examples/` in an empty folder and returns what it printed.

    In this process, which has loaded TensorFlow and drawn the silhouettes already.
    """
    monkeypatch.chdir(tmp_path)

    def run(name, *arguments):
        monkeypatch.setattr(sys, "argv", [name, *arguments])
        capsys.readouterr()
        runpy.run_path(str(EXAMPLES / name), run_name="__main__")
        return capsys.readouterr().out

    return run


@pytest.fixture
def service():
    """The address of a service with the pretrained networks."""
    server = make_server("127.0.0.1", 0, wardrobe.create_app([PRETRAINED]))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.port}"
    server.shutdown()
    thread.join()


def test_train_shows_the_curve_of_each_epoch(example, tmp_path):
    printed = example("train.py", "--data", "silhouettes", "--epochs", "2")
    assert [line.split()[0] for line in printed.splitlines()[1:3]] == ["1", "2"]
    artifact = printed.splitlines()[-1].removeprefix("artifact: ")
    assert (tmp_path / artifact / "saved_model.pb").is_file()


def test_fine_tune_learns_the_new_classes(example):
    printed = example("fine_tune.py", "--data", "silhouettes", "--examples", "200")
    frozen, unfrozen = (float(line.split()[-1]) for line in printed.splitlines())
    assert frozen > 0.5  # by chance it would be 0.25
    assert unfrozen >= frozen


def test_call_service_prints_what_the_service_answers(example, service, tmp_path):
    file = io.BytesIO()
    Image.fromarray(silhouettes.draw(1, seed=1).x[0]).save(file, "png")
    (tmp_path / "drawn.png").write_bytes(file.getvalue())
    assert example("call_service.py", "--url", service, "drawn.png").startswith("drawn.png: ")
    assert len(json.loads(example("call_service.py", "--url", service))) == 10


def test_the_notebook_runs(tmp_path, monkeypatch):
    mpl.use("agg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXAMPLE_EPOCHS", "1")
    names = {}
    for number, cell in enumerate(json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]):
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), f"{NOTEBOOK.name}[{number}]", "exec"), names)


def test_the_notebook_is_valid_and_holds_no_outputs():
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    ids = [cell["id"] for cell in notebook["cells"]]
    assert len(set(ids)) == len(ids)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            assert (cell["outputs"], cell["execution_count"]) == ([], None)
