"""`wardrobe classify --cluster`, on three real nodes of this machine. `make test-cluster`."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import wardrobe
from tests.cluster import three_nodes
from tests.serving.offline.pictures import draw_into

pytestmark = pytest.mark.cluster
MODEL = "softmax-regression"
COUNT = 2500


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return draw_into(tmp_path_factory.mktemp("pictures"), COUNT)


def answers(output: Path) -> tuple[list[str], np.ndarray]:
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    return [row["file"] for row in rows], np.array([row.get("probability", 0) for row in rows])


def test_a_lost_node_costs_nothing_but_time(folder, tmp_path):
    local, remote = tmp_path / "local.jsonl", tmp_path / "remote.jsonl"
    wardrobe.classify([folder], local, MODEL)
    with three_nodes() as cluster:
        killed = threading.Event()

        def kill(done: int, total: int | None) -> None:
            assert total == COUNT
            if done >= COUNT // 10 and not killed.is_set():
                killed.set()
                cluster.remove_node(cluster.worker_nodes.copy().pop(), allow_graceful=False)

        done = wardrobe.classify([folder], remote, MODEL, cluster=cluster.address, progress=kill)
    assert killed.is_set()
    assert (done.pictures, done.errors) == (COUNT, 1)
    names, probabilities = answers(remote)
    expected_names, expected = answers(local)
    assert names == expected_names
    assert np.abs(probabilities - expected).max() < 1e-5


def test_an_address_without_a_cluster_is_reported_in_words(folder, tmp_path):
    began = time.monotonic()
    with pytest.raises(wardrobe.ClusterError, match=r"no Ray cluster at 127\.0\.0\.1:9.*ray start"):
        wardrobe.classify([folder], tmp_path / "a.csv", MODEL, cluster="127.0.0.1:9")
    assert time.monotonic() - began < 60
