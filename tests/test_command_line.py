"""The commands as programs and people call them: names, output, exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from tests.conftest import free_port, heed_ctrl_c, needs_fashion_mnist
from wardrobe.models import zoo
from wardrobe.training.data import silhouettes

SMALL = """\
name: small
about: a small network for tests
seed: 5
data: silhouettes
model: {layers: [{Dense: {units: 32, activation: relu}}]}
training: {epochs: 2, batch_size: 128}
"""

COMMANDS = (
    "list", "show", "check", "schema", "init", "train", "evaluate", "export", "predict", "classify",
    "serve", "data", "results", "study", "lab",
)  # fmt: skip


@pytest.fixture
def small(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(SMALL)
    return file


@pytest.fixture(scope="session")
def trained(wardrobe_program, tmp_path_factory):
    """A folder in which `wardrobe train small.yaml` has been run."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "small.yaml").write_text(SMALL)
    done = subprocess.run(
        [wardrobe_program, "train", "small.yaml", "--json"],
        cwd=folder, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (folder / "answer.json").write_text(done.stdout)
    return folder


def says_in_words(done, code=1):
    """The one clear message of a failure; a traceback is none."""
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr + done.stdout
    return done.stderr + done.stdout


def test_python_runs_it_as_a_module(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "wardrobe", "train", "nothing.yaml"],
        cwd=tmp_path, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    says_in_words(done)
    assert "nothing.yaml: there is no such file" in done.stderr


def test_help_at_every_level(invoke):
    overview = invoke("--help").stdout
    assert all(command in overview for command in COMMANDS)
    assert "..." not in overview.partition("Commands:")[2]  # no summary is cut
    for command in (*([command] for command in COMMANDS), ["data", "verify"], ["data", "fetch"]):
        done = invoke(*command, "--help")
        assert done.returncode == 0
        assert "Usage: wardrobe" in done.stdout


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["train"],
        ["check"],
        ["show"],
        ["train", "x", "--epochs", "many"],
        ["list", "x"],
        ["study"],
        ["study", "flu", "--all"],
    ],
)
def test_wrong_usage(invoke, arguments):
    assert "Usage" in says_in_words(invoke(*arguments), code=2)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["list"], 0),
        (["check", "no-such.yaml"], 1),
        (["study", "--list"], 0),
        (["study", "no-such"], 1),
    ],
)
def test_what_needs_neither_keras_nor_tensorflow_loads_neither(wardrobe, arguments, code):
    done = wardrobe(*arguments, PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == code
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "click" in imported
    assert not imported & {"keras", "tensorflow", "jax"}


def test_check_never_loads_tensorflow(wardrobe):
    done = wardrobe("check", "mlp-he-bn", PYTHONPROFILEIMPORTTIME="1")
    assert done.returncode == 0
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "keras" in imported
    assert "tensorflow" not in imported


def test_check_looks_for_the_data_set(invoke, tmp_path):
    text = "name: x\ndata:\n  name: silhouetes\nmodel: {layers: []}\n"
    (tmp_path / "x.yaml").write_text(text)
    for command in ("check", "train"):
        done = invoke(command, "x.yaml")
        assert "x.yaml:3: no data set 'silhouetes'; did you mean 'silhouettes'?" in (
            says_in_words(done)
        )
    assert invoke("check", "x.yaml", "--no-data").returncode == 0


@pytest.mark.parametrize("backend", ["numpy", "torch", "openvino", "tensorflw"])
def test_backends_that_cannot_train_are_refused(wardrobe, tmp_path, backend):
    done = wardrobe("train", "softmax-regression", KERAS_BACKEND=backend)
    assert f"not with Keras' backend '{backend}'" in says_in_words(done)
    assert not list(tmp_path.iterdir())


def test_schema(wardrobe):
    done = wardrobe("schema", PYTHONPROFILEIMPORTTIME="1")
    assert json.loads(done.stdout)["required"] == ["name"]
    assert "| tensorflow" not in done.stderr


def test_list(invoke):
    rows = json.loads(invoke("list", "--json").stdout)
    by_name = {row["name"]: row for row in rows}
    assert by_name["mlp-256-128-100"]["layers"] == "784-256-128-100-10"
    assert "fashion-base" not in by_name
    table = invoke("list").stdout
    assert all(row["what it shows"] in table for row in rows)


def test_show_tells_where_each_value_comes_from(invoke):
    shown = invoke("show", "mlp-he-bn", "--set", "training.epochs=3").stdout
    lines = {line.split("#")[0].strip(): line.split("#")[-1].strip() for line in shown.splitlines()}
    assert lines["epochs: 3"] == "--set training.epochs=3"
    assert lines["precision: float32"].startswith("models/schema/defaults.yaml:")
    written = zoo.path("mlp-he-bn").read_text().splitlines()
    (number,) = (n for n, line in enumerate(written, 1) if "units: 256" in line)
    assert lines["units: 256"].endswith(f"mlp-he-bn.yaml:{number}")
    assert lines["shape: [28, 28]"] == "default for this data"


def test_what_show_prints_is_the_same_declaration_again(invoke, tmp_path):
    (tmp_path / "shown.yaml").write_text(invoke("show", "mlp-he-bn").stdout)
    shown, again = (invoke("show", name, "--json") for name in ("mlp-he-bn", "shown.yaml"))
    assert json.loads(shown.stdout) == json.loads(again.stdout)


def test_check_reports_all_files(invoke, tmp_path, small):
    (tmp_path / "bad.yaml").write_text("name: bad\nmodel:\n  layers:\n    - Dense: {unit: 3}\n")
    done = invoke("check", small, "bad.yaml", "none.yaml")
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "bad.yaml:4: Dense has no argument 'unit'; did you mean 'units'?",
        "none.yaml: there is no such file",
    ]
    assert json.loads(invoke("check", "bad.yaml", "--json").stdout)[0]["line"] == 4


def test_train_leaves_a_run_and_an_artifact(trained):
    answer = json.loads((trained / "answer.json").read_text())
    assert answer["status"] == "finished"
    assert answer["command"] == "wardrobe train small.yaml --json"
    assert (trained / answer["run"] / "model.keras").is_file()
    assert (trained / answer["artifact"] / "saved_model.pb").is_file()
    assert answer["artifact"] == "artifacts/small/1"


def test_evaluate_measures_what_training_measured(invoke, trained):
    answer = json.loads((trained / "answer.json").read_text())
    measured = json.loads(invoke("evaluate", trained / "artifacts/small/1", "--json").stdout)
    assert measured["accuracy"] == answer["metrics"]["test"]["accuracy"]
    assert measured["confusion"] == answer["metrics"]["test"]["confusion"]
    words = invoke("evaluate", trained / "artifacts" / "small").stdout
    for expected in ("accuracy", "negative log likelihood", "calibration error", "Ankle boot"):
        assert expected in words


def test_export_writes_another_format_and_says_what_it_is_worth(
    invoke, wardrobe, trained, tmp_path
):
    file = tmp_path / "small.onnx"
    done = wardrobe("export", trained / "artifacts/small/1", "--format", "onnx", "--to", file)
    assert done.returncode == 0, done.stderr
    assert f"{file}: " in done.stdout
    assert "accuracy" in done.stdout
    assert done.stderr == ""
    says_in_words(invoke("export", tmp_path, "--format", "onnx", "--to", file))


def test_evaluate_refuses_data_of_another_shape(invoke, trained, tmp_path):
    artifact = tmp_path / "artifacts" / "small" / "1"
    shutil.copytree(trained / "artifacts/small/1", artifact)
    declared = artifact / "assets.extra" / "declaration.yaml"
    declared.write_text(declared.read_text().replace("name: silhouettes", "name: rings"))
    assert "takes examples of shape (28, 28)" in says_in_words(invoke("evaluate", artifact))


def test_evaluate_takes_a_folder_even_if_a_model_that_ships_has_its_name(invoke, trained, tmp_path):
    shutil.copytree(trained / "artifacts/small/1", tmp_path / "mlp-1m" / "1")
    answer = json.loads((trained / "answer.json").read_text())
    measured = json.loads(invoke("evaluate", "mlp-1m/1", "--json").stdout)
    assert measured["accuracy"] == answer["metrics"]["test"]["accuracy"]
    assert "give a folder NAME/VERSION" in says_in_words(invoke("evaluate", "no-such/1"))


@pytest.fixture
def pictures(tmp_path):
    drawn = silhouettes.draw(4, seed=9).x
    files = [tmp_path / f"{number}.png" for number in range(len(drawn))]
    for file, pixels in zip(files, drawn, strict=True):
        Image.fromarray(pixels).save(file)
    return files


def test_predict_gives_the_contracts_answer(invoke, trained, pictures):
    done = invoke("predict", *pictures, "--artifacts", trained / "artifacts", "--json")
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)["predictions"]
    assert [answer["file"] for answer in answers] == [str(file) for file in pictures]
    for answer in answers:
        assert set(answer) == {
            "file", "label", "class_index", "probability", "uncertain", "top", "model", "version",
            "prepared",
        }  # fmt: skip
        assert answer["top"][0]["label"] == answer["label"]


def test_predict_takes_folders_and_refers_to_classify_for_many(invoke, trained, tmp_path):
    for number in range(3):
        Image.new("L", (28, 28), 40 * number).save(tmp_path / f"{number}.png")
    done = invoke("predict", tmp_path, "--artifacts", trained / "artifacts", "--json")
    answers = json.loads(done.stdout)["predictions"]
    assert [Path(answer["file"]).name for answer in answers] == ["0.png", "1.png", "2.png"]
    for number in range(3, 1000):
        (tmp_path / f"{number}.png").touch()
    assert "wardrobe classify" in says_in_words(invoke("predict", tmp_path))


def test_predict_explains(invoke, trained, pictures):
    options = ("--artifacts", trained / "artifacts", "--explain", "--json")
    (answer,) = json.loads(invoke("predict", pictures[0], *options).stdout)["predictions"]
    np.testing.assert_array_equal(answer["input"], np.asarray(Image.open(pictures[0])))
    evidence = np.array(answer["evidence"])
    assert evidence.shape == (28, 28)
    assert evidence.max() > 0
    assert (evidence[np.array(answer["input"]) == 0] == 0).all()


def test_predict_tells_of_a_bad_picture_and_answers_the_others(invoke, trained, pictures):
    pictures[1].write_bytes(b"not a picture")
    done = invoke("predict", *pictures, "--artifacts", trained / "artifacts")
    assert "is text, not a PNG, JPEG" in says_in_words(done)
    assert len(done.stdout.splitlines()) == len(pictures) - 1


@needs_fashion_mnist
def test_data_verify(invoke):
    done = invoke("data", "verify")
    assert done.returncode == 0
    assert done.stdout.count("right") == 4
    assert all(report["ok"] for report in json.loads(invoke("data", "verify", "--json").stdout))


def test_data_that_is_nowhere(invoke, tmp_path):
    nowhere = {"WARDROBE_DATA": "", "KERAS_HOME": str(tmp_path)}
    assert "wardrobe data fetch" in says_in_words(invoke("data", "verify", **nowhere))


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [("[]", "it is not a mapping"), ('{"floatx": "float8"}', "floatx 'float8'")],
)
def test_settings_of_keras_with_which_it_cannot_be_loaded(wardrobe, tmp_path, settings, complaint):
    (tmp_path / "keras.json").write_text(settings)
    done = wardrobe("check", "softmax-regression", KERAS_HOME=str(tmp_path))
    assert f"{tmp_path}/keras.json: Keras cannot be loaded with" in says_in_words(done)
    assert complaint in done.stderr


@needs_fashion_mnist
def test_truncated_and_altered_data_files(invoke, tmp_path):
    from wardrobe.training.data import fashion_mnist

    copy = tmp_path / "fashion-mnist"
    shutil.copytree(fashion_mnist.find(), copy)
    labels = copy / "train-labels-idx1-ubyte.gz"
    labels.chmod(0o644)
    labels.write_bytes(labels.read_bytes()[:-100])
    for command in (["train", "softmax-regression"], ["data", "verify"]):
        done = invoke(*command, "--data-dir", tmp_path)
        assert "train-labels" in says_in_words(done)
    assert not (tmp_path / "runs").exists()
    assert not (tmp_path / "artifacts").exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "is empty"),
        (b"\x00\x01\x02\xff", "is not a UTF-8 text file"),
        (b"a: 1\n" * 2_200_000, "is larger than"),
        (b"name: x\nname: y\n", "duplicate key"),
        (b"name: x\nextends: x\n", "forms a loop"),
        (b"name: x\nextends: nobody\n", "no declaration 'nobody'"),
        (b"name: x\nmodel: {layers: [{Dens: {units: 3}}]}\n", "did you mean 'Dense'?"),
    ],
)
def test_bad_declarations_fail_before_anything_is_written(invoke, tmp_path, content, message):
    (tmp_path / "x.yaml").write_bytes(content)
    for command in ("check", "train"):
        assert message in says_in_words(invoke(command, "x.yaml"))
    assert {path.name for path in tmp_path.iterdir()} == {"x.yaml"}


def test_an_artifact_folder_that_is_empty_or_half_copied(
    invoke, wardrobe, trained, tmp_path, pictures
):
    (tmp_path / "artifacts" / "small").mkdir(parents=True)
    empty = ("--artifacts", tmp_path / "artifacts")
    assert "train one with" in says_in_words(invoke("predict", pictures[0], *empty))
    assert "train one with" in says_in_words(wardrobe("serve", "--port", "0", *empty))
    half = tmp_path / "artifacts" / "small" / "1"
    shutil.copytree(trained / "artifacts/small/1", half)
    (half / "variables" / "variables.index").unlink()
    assert "copy it again" in says_in_words(invoke("evaluate", half))
    logged = wardrobe("predict", pictures[0], "--artifacts", half.parent.parent)
    assert "copy it again" in says_in_words(logged)


def test_ctrl_c_during_training(wardrobe_program, tmp_path, small):
    process = subprocess.Popen(
        [wardrobe_program, "train", small, "--epochs", "2000"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c,
    )  # fmt: skip
    while not list(tmp_path.glob("runs/small/*/history.csv")):
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, words = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "interrupted" in words
    assert "Traceback" not in words
    (record,) = (json.loads(file.read_text()) for file in tmp_path.glob("runs/small/*/run.json"))
    assert record["status"] == "interrupted"
    assert not list(tmp_path.glob("artifacts/**/*"))


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are Unix'")
def test_a_disk_that_takes_no_more(wardrobe_program, tmp_path, small):
    """A limit on the size of files stands in for a full disk; `model.keras` hits it."""
    import resource

    small.write_text(SMALL.replace("units: 32", "units: 400"))
    limit = 1_000_000
    done = subprocess.run(
        [wardrobe_program, "train", small],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )  # fmt: skip
    assert "cannot write" in says_in_words(done)
    (record,) = (json.loads(file.read_text()) for file in tmp_path.glob("runs/small/*/run.json"))
    assert record["status"] == "failed"
    assert not list(tmp_path.rglob("*partial*"))
    assert not list(tmp_path.glob("artifacts/small/[0-9]*"))


def test_without_the_data_set_the_stand_in_is_trained_on_loudly(invoke, tmp_path):
    nowhere = {
        "WARDROBE_DATA": "",
        "KERAS_HOME": str(tmp_path / "empty"),
        "https_proxy": "http://127.0.0.1:9",  # no network
    }
    misspelt = invoke("train", "softmax-regression", "--set", "model.layers=[Dens]", **nowhere)
    assert "did you mean 'Dense'?" in says_in_words(misspelt)
    refused = invoke("train", "softmax-regression", **nowhere)
    assert "cannot be fetched" in says_in_words(refused)
    done = invoke("train", "softmax-regression", "--epochs", "1", "--stand-in", **nowhere)
    assert done.returncode == 0, done.stderr
    assert "FASHION-MNIST NOT FOUND" in done.stderr
    assert "NOT Fashion-MNIST" in " ".join(done.stderr.replace("│", " ").split())
    (artifact,) = (tmp_path / "artifacts").iterdir()
    assert artifact.name == "softmax-regression-silhouettes"
    card = (artifact / "1" / "assets.extra" / "card.md").read_text()
    assert "examples of silhouettes" in card


@pytest.mark.skipif(sys.platform == "win32" or not hasattr(os, "fork"), reason="needs fork")
def test_serve_answers_and_stops(wardrobe_program, trained, tmp_path):
    with subprocess.Popen(
        [wardrobe_program, "serve", "--artifacts", trained / "artifacts", "--workers", "1",
         "--port", str(free_port()), "--try"],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"http_proxy": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9"},
    ) as process:  # fmt: skip
        for line in process.stderr:
            if "has answered" in line:
                break
        process.terminate()
        assert process.wait(timeout=30) == 0
    assert "small takes a drawn" in line


def test_results_take_up_unaltered_runs_of_the_zoo_only(trained, tmp_path, monkeypatch):
    from wardrobe.cli import main
    from wardrobe.training.results import records

    shipped = records.FOLDER / "records"
    monkeypatch.setattr(records, "FOLDER", tmp_path)
    shutil.copytree(shipped, tmp_path / "records")
    done = CliRunner().invoke(main, ["results", "--runs", str(trained / "runs"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["records"] == []
    kept, before = ({file.name for file in of.iterdir()} for of in (tmp_path / "records", shipped))
    assert kept == before


def test_the_end_of_a_training_tells_classes_that_are_never_named(invoke, small, tmp_path):
    names_nothing_but_bags = "training.class_weight={Bag: 1000}"
    done = invoke("train", small, "--epochs", "1", "--set", names_nothing_but_bags)
    assert done.returncode == 0, done.stderr
    assert "note: never predicted by the network: T-shirt/top" in done.stderr
    (card,) = tmp_path.glob("artifacts/small/1/assets.extra/card.md")
    assert "| Class weights | T-shirt/top 1, Trouser 1" in card.read_text()
