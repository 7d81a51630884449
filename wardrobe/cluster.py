"""The connection to a Ray cluster, for work that one machine is too small for."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class ClusterError(Exception):
    """Ray is missing, or the cluster cannot be reached; the message says what to do."""


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connects to a Ray cluster while the block runs; what it began ends with it.

    address: "auto" for the cluster that this machine belongs to, "HOST:PORT", or "local" for one
        that is started on this machine and stopped again.

    Raises:
        ClusterError: Ray is not installed, or there is no cluster at the address.
    """
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a future default; it warns
    if _is_loopback(address):
        # Otherwise Ray replaces 127.0.0.1 by the address by which other machines know this one, on
        # which a cluster bound to loopback does not listen.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
    except ImportError:
        raise ClusterError("a cluster needs Ray: pip install 'wardrobe[cluster]'") from None
    options = {"include_dashboard": False} if address == "local" else {"address": address}
    try:
        ray.init(logging_level=logging.ERROR, log_to_driver=False, **options)
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ClusterError(
            f"there is no Ray cluster at {address} ({error}); start one with `ray start --head`, "
            "or name `local`"
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _is_loopback(address: str) -> bool:
    """Whether the cluster is bound to this machine's loopback address."""
    if address == "auto":
        current = Path(tempfile.gettempdir(), "ray", "ray_current_cluster")  # `ray start` writes it
        found = current.read_text(encoding="utf-8") if current.is_file() else ""
        address = os.environ.get("RAY_ADDRESS") or found
    return address == "local" or address.startswith(("127.", "localhost:", "[::1]:"))
