"""`wardrobe study --cluster`, on three real nodes of this machine. `make test-cluster`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.cluster import LOOPBACK, three_nodes
from tests.conftest import COMPILING_QUICKLY, heed_ctrl_c
from wardrobe.cli import on_cluster
from wardrobe.training.studies import executor, runner
from wardrobe.training.studies.study import read
from wardrobe.training.studies.variants import expand

pytestmark = pytest.mark.cluster

STUDY = """\
title: Small
rows: [6]
about: eight programs, two variants each
base:
  data: stripes
  model: {layers: [{Dense: {units: 1, activation: tanh}}]}
  training: {epochs: 3, batch_size: 10, validation: 0.25}
axes:
  units: {path: model.layers.0.Dense.units, values: [1, 2, 3, 4, 5, 6, 7, 8]}
  seed: [1, 2]
figure: {loss_curves: {by: units}}
claim: ["max(test_accuracy) >= 0"]
"""

SEARCH = """\
title: Searched
rows: [26]
about: four trials
base:
  data: stripes
  model: {layers: [{Dense: {units: 2, activation: tanh}}]}
  training: {epochs: 3, batch_size: 10, validation: 0.25}
search:
  trials: 4
  ranges:
    step_size: {path: optimizer.Adam.learning_rate, low: 1e-4, high: 1e-1, log: true}
    units: {path: model.layers.0.Dense.units, low: 1, high: 4}
figure: {what_mattered: {log: [step_size]}}
claim: ["max(validation_accuracy) >= 0"]
"""


@pytest.fixture(scope="module")
def cluster():
    """Three nodes, which know nothing of the folder of data sets."""
    with pytest.MonkeyPatch.context() as patched:
        patched.delenv("WARDROBE_DATA", raising=False)
        for name, value in COMPILING_QUICKLY.items():  # as on this machine, to the bit
            patched.setenv(name, value)
        with three_nodes() as nodes:
            yield nodes


@pytest.fixture(autouse=True)
def data(tmp_path, monkeypatch):
    """Pictures with stripes along or across, on this machine only."""
    folder = tmp_path / "data"
    draw = np.random.default_rng(3)
    for name in ("across", "along"):
        (folder / "stripes" / name).mkdir(parents=True)
        for number in range(50):
            pixels = draw.integers(0, 80, (28, 28), "uint8")
            pixels[draw.integers(0, 4) :: 4] += 150
            picture = Image.fromarray(pixels if name == "across" else pixels.T)
            picture.save(folder / "stripes" / name / f"{number}.png")
    monkeypatch.setenv("WARDROBE_DATA", str(folder))
    return folder


@pytest.fixture
def study(tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(STUDY)
    return read(str(file))


def no_progress(done: int, total: int) -> None:
    pass


def members(folder: Path) -> dict[str, Any]:
    """What each record holds, without what it took of time."""
    found = {}
    for file in (folder / "members").glob("*/*.json"):
        facts = json.loads(file.read_text())
        facts["numbers"] = {k: v for k, v in facts["numbers"].items() if "seconds" not in k}
        with np.load(file.with_suffix(".npz")) as stored:
            arrays = {k: stored[k].tolist() for k in stored.files if "seconds" not in k}
        found[f"{file.parent.name}/{file.name}"] = facts, arrays
    return found


def test_a_search_keeps_its_trials_on_the_machine_that_began_it(cluster, tmp_path):
    file = tmp_path / "searched.yaml"
    file.write_text(SEARCH)
    folder = tmp_path / "studies"
    seen = []
    (report,) = runner.run(
        [read(str(file))], folder, on_cluster(cluster.address), False, lambda *at: seen.append(at)
    )
    assert report.holds
    assert seen[-1] == (4, 4)
    journal = (folder / "searched" / "search.journal").read_text().splitlines()
    assert len([line for line in journal if '"op_code":4' in line]) >= 4  # trials begun
    assert len({json.loads(line)["worker_id"] for line in journal}) > 1


def test_what_is_wrong_with_a_study_is_told_in_words(cluster, invoke, tmp_path):
    file = tmp_path / "small.yaml"
    file.write_text(STUDY.replace("figure:", "measure: [tempo]\nfigure:"))
    done = invoke("study", file, "--cluster", cluster.address)
    assert done.returncode == 1
    assert "small: no measure 'tempo'; known: activation_curve" in done.stderr
    assert "Traceback" not in done.stderr


def workers() -> list[str]:
    """The processes of the nodes, which this process has started, that train."""
    parents: dict[int, int] = {}
    titles: dict[int, str] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            status = (folder / "stat").read_text().rpartition(")")[2].split()
            titles[int(folder.name)] = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:  # it has ended
            continue
        parents[int(folder.name)] = int(status[1])
    found = []
    for process, title in titles.items():
        ancestor = process
        while ancestor in parents and ancestor != os.getpid():
            ancestor = parents[ancestor]
        if ancestor == os.getpid() and title.startswith("ray::_work"):
            found.append(title)
    return found


def test_ctrl_c_leaves_nothing_running(cluster, wardrobe_program, tmp_path):
    (tmp_path / "small.yaml").write_text(STUDY.replace("epochs: 3", "epochs: 3000"))
    first = subprocess.Popen(
        [wardrobe_program, "study", "small.yaml", "--cluster", cluster.address],
        cwd=tmp_path, stderr=subprocess.PIPE, text=True, preexec_fn=heed_ctrl_c,
    )  # fmt: skip
    deadline = time.monotonic() + 200
    while not workers() and first.poll() is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert workers()
    first.send_signal(signal.SIGINT)
    _, said = first.communicate(timeout=100)
    assert first.returncode == 1
    assert said.rstrip().endswith("interrupted")
    assert "Traceback" not in said
    deadline = time.monotonic() + 60
    while workers() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not workers()


def resources() -> Any:
    import ray

    return ray.get_runtime_context().get_assigned_resources()


def test_where_there_are_gpus_a_task_takes_a_part_of_one(cluster, study):
    found: list[Any] = []
    task = executor.Task(resources, found.append, expand(study)[0].declaration)
    with_gpu = cluster.add_node(num_cpus=1, num_gpus=1, **LOOPBACK)
    try:
        with on_cluster(cluster.address) as engine:
            assert list(engine.run([task])) == [task]
    finally:
        cluster.remove_node(with_gpu)
    assert found == [{"CPU": 1.0, "GPU": 0.25}]


ONE_AFTER_THE_OTHER = """
import sys
from wardrobe.cluster import ClusterError, connected

for _ in range(2):
    with connected("local"):
        pass
try:
    with connected(sys.argv[1]):
        pass
except ClusterError as error:
    print(error)
"""


def test_after_a_cluster_of_its_own_a_process_joins_no_other(cluster, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))  # Ray keeps its token there
    done = subprocess.run(
        [sys.executable, "-c", ONE_AFTER_THE_OTHER, cluster.address],
        capture_output=True, text=True, timeout=200, check=True,
    )  # fmt: skip
    assert done.stdout.rstrip().endswith(f"connect to {cluster.address} from a new process")


def test_a_lost_node_costs_its_unfinished_tasks_only(cluster, study, tmp_path):
    local, remote = tmp_path / "local", tmp_path / "remote"
    runner.run([study], local, executor.processes(1), False, no_progress)
    kept = {}

    def kill(done: int, total: int) -> None:
        assert total == 16
        if done >= 4 and not kept:
            kept.update({f: f.stat().st_mtime_ns for f in remote.glob("members/*/*.json")})
            cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)

    runner.run([study], remote, on_cluster(cluster.address), False, kill)
    assert len(kept) >= 4
    assert all(file.stat().st_mtime_ns == when for file, when in kept.items())
    assert len(members(remote)) == 16
    assert members(remote) == members(local)
