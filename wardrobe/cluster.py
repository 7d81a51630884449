"""The connection to a Ray cluster, for work that is too large for one machine."""

from __future__ import annotations

import logging
import os
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_keeps_a_token = False
"""Whether Ray has set this process up for the token of a cluster that it started, which cannot be
undone."""


class ClusterError(Exception):
    """Ray is missing, or the cluster cannot be reached; the message says what to do."""


@contextmanager
def connected(address: str) -> Iterator[None]:
    """Connects to a Ray cluster while the block runs, and ends what was started in it.

    address: "auto" for the cluster that this machine belongs to, "HOST:PORT", or "local" for one
        that is started on this machine and stopped again.

    Raises:
        ClusterError: Ray is not installed, there is no cluster at the address, or this process had
            one of its own before.
    """
    global _keeps_a_token
    if _keeps_a_token and address != "local":
        raise ClusterError(
            "this process had a Ray cluster of its own, and Ray would keep asking for its token; "
            f"connect to {address} from a new process"
        )
    chose_auth_mode = "RAY_AUTH_MODE" in os.environ and not _keeps_a_token
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # a future default; it warns
    options: dict[str, Any] = {"include_dashboard": False} if address == "local" else {}
    if address == "local" or _is_on_loopback_only(_reachable(address)):
        # Otherwise Ray replaces 127.0.0.1 by the address by which other machines know this one.
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"
    try:
        import ray
        from ray.exceptions import AuthenticationError
    except ImportError:
        raise ClusterError("a cluster needs Ray: pip install 'wardrobe[cluster]'") from None
    try:
        # Ray takes a token that it finds by itself for the cluster that it finds by itself only.
        ray.init(address, logging_level=logging.ERROR, log_to_driver=False, **options)
    except AuthenticationError as error:
        raise ClusterError(
            f"the Ray cluster at {address} asks for its token: set RAY_AUTH_MODE=token, and "
            "RAY_AUTH_TOKEN unless the token is in ~/.ray/auth_token"
        ) from error
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ClusterError(f"the Ray cluster at {address} does not answer: {error}") from error
    if address == "local" and not chose_auth_mode:
        _keeps_a_token = "RAY_AUTH_MODE" in os.environ  # set by Ray
    try:
        yield
    finally:
        ray.shutdown()


def _reachable(address: str) -> str:
    """HOST:PORT of a cluster that answers at once: Ray itself would wait for it for minutes."""
    found = address
    if address == "auto":
        current = Path(tempfile.gettempdir(), "ray", "ray_current_cluster")  # `ray start` writes it
        known = current.read_text(encoding="utf-8") if current.is_file() else ""
        found = os.environ.get("RAY_ADDRESS") or known
    host, _, port = found.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()
    except (OSError, ValueError):
        raise ClusterError(
            f"there is no Ray cluster at {found or address}; start one with `ray start --head`, or "
            "name `local`"
        ) from None
    return found


def _is_on_loopback_only(address: str) -> bool:
    """Whether the HOST:PORT of a cluster on this machine is out of reach of other machines."""
    host, _, port = address.rpartition(":")
    if not host.startswith(("127.", "[::1]", "localhost")):
        return False
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anywhere:
            anywhere.connect(("192.0.2.1", 9))  # sends nothing, but has an address from now on
            here, _ = anywhere.getsockname()
        socket.create_connection((here, int(port)), timeout=10).close()
    except OSError:
        return True
    return False
