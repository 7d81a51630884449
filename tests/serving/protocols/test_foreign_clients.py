"""The protocols' own clients against a real server of two workers, unchanged."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

PYTHON = Path(__file__).parents[3] / ".venv-clients/bin/python"
pytestmark = pytest.mark.skipif(
    not PYTHON.exists(),
    reason="tritonclient and kserve are not there; `make clients` installs them",
)


@pytest.fixture(scope="module")
def url(start, good: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A server whose models may be loaded and unloaded."""
    folder = tmp_path_factory.mktemp("own")
    for name in ("bands", "plain"):
        shutil.copytree(good / name, folder / name)
    return str(start([folder], REPOSITORY_CHANGES="1").url)


@pytest.fixture(scope="module")
def results(url: str) -> dict[str, Any]:
    script = Path(__file__).with_name("foreign_clients.py")
    ran = subprocess.run([PYTHON, script, url], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stderr
    results: dict[str, Any] = json.loads(ran.stdout)
    return results


def test_tritonclient(results: dict[str, Any]) -> None:
    triton = results["tritonclient"]
    assert (triton["live"], triton["ready"], triton["server"]) == (True, True, "wardrobe")
    assert triton["metadata"]["outputs"][0]["shape"] == [-1, 10]
    assert {(each["name"], each["version"]) for each in triton["index"]} == {
        ("bands", "1"),
        ("bands", "2"),
        ("plain", "7"),
    }
    answers = [value for name, value in triton.items() if name.startswith("infer ")]
    assert answers == [[3, 8]] * 13
    assert triton["classification"] == [["3", "band 3"], ["8", "band 8"]]
    assert "there is no model 'nothing'" in triton["error"]


def test_tritons_configuration_and_statistics(results: dict[str, Any]) -> None:
    config = results["tritonclient"]["config"]
    assert (config["name"], config["backend"], config["max_batch_size"]) == (
        "bands",
        "tensorflow",
        64,
    )
    assert config["input"][0]["data_type"] == "TYPE_FP32"
    assert config["input"][0]["dims"] == [28, 28]
    assert config["output"][0]["dims"] == [10]
    (statistics,) = results["tritonclient"]["statistics"]["model_stats"]
    assert (statistics["name"], statistics["version"]) == ("bands", "2")
    assert statistics["inference_count"] == 28  # two pictures in each of fourteen requests
    assert statistics["inference_stats"]["success"]["count"] == 14
    assert statistics["inference_stats"]["success"]["ns"] > 0
    assert statistics["last_inference"] > 1.7e12
    (batch,) = statistics["batch_stats"]
    assert (batch["batch_size"], batch["compute_infer"]["count"]) == (2, 14)
    assert batch["compute_infer"]["ns"] > 0
    every = results["tritonclient"]["all statistics"]["model_stats"]
    assert {(each["name"], each["version"]) for each in every} == {
        ("bands", "1"),
        ("bands", "2"),
        ("plain", "7"),
    }


def test_every_worker_serves_the_same_after_an_unload_and_a_load(results: dict[str, Any]) -> None:
    assert results["tritonclient"]["unloaded"] is False
    assert results["tritonclient"]["loaded"] is True


def test_kserve(results: dict[str, Any]) -> None:
    kserve = results["kserve"]
    assert kserve.pop("error") == "Servable not found for request: Latest(nothing)"
    assert kserve == {
        "v1": [3, 8],
        "v2 True": [3, 8],
        "v2 False": [3, 8],
        "ready": True,
        "live": True,
        "model ready": True,
    }


def test_curl(url: str) -> None:
    curl = shutil.which("curl")
    if not curl:
        pytest.skip("curl is not there")
    document = json.dumps({"instances": [[[0] * 28] * 28]})
    for options in ([], ["-H", "Content-Type:"]):
        answer = subprocess.check_output(
            [curl, "-s", *options, "-d", document, f"{url}/v1/models/bands:predict"], timeout=30
        )
        assert len(json.loads(answer)["predictions"][0]) == 10
