"""A PostgreSQL server of its own, for the tests of storages."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.conftest import free_port

PROGRAMS = next(  # Debian keeps them off the PATH
    (
        Path(found).parent
        for path in (
            None,
            *map(str, sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)),
        )
        if (found := shutil.which("initdb", path=path))
    ),
    None,
)

needs_postgresql = pytest.mark.skipif(
    PROGRAMS is None or find_spec("psycopg") is None,
    reason="needs PostgreSQL's programs, and pip install 'wardrobe[postgresql]'",
)


@contextmanager
def server() -> Iterator[str]:
    """The URL of an empty database; nothing listens beyond 127.0.0.1."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        user = None if os.getuid() else "nobody"  # PostgreSQL refuses to be run by root
        if user:
            shutil.chown(folder, user)

        def run(program: str, *arguments: str) -> None:
            assert PROGRAMS is not None
            command = [str(PROGRAMS / program), "-D", f"{folder}/data", *arguments]
            subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

        run("initdb", "--username=me", "--auth=trust", "--no-sync")
        options = f"-p {port} -c listen_addresses=127.0.0.1 -k {folder} -F"
        run("pg_ctl", "start", "--wait", "--options", options, "--log", f"{folder}/log")
        try:
            yield f"postgresql://me:secret@127.0.0.1:{port}/postgres"
        finally:
            run("pg_ctl", "stop", "--mode=immediate")
