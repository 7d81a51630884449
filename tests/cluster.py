"""A Ray cluster of three nodes, each a raylet of its own on this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

LOOPBACK = {"node_ip_address": "127.0.0.1", "include_dashboard": False}
"""What every node is started with."""


@contextmanager
def three_nodes() -> Iterator[Any]:
    """A head that hands out work and three nodes of one core; nothing listens beyond 127.0.0.1."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # see wardrobe.cluster
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, **LOOPBACK})
    try:
        for _ in range(3):
            cluster.add_node(num_cpus=1, **LOOPBACK)
        cluster.wait_for_nodes()
        yield cluster
    finally:
        cluster.shutdown()
