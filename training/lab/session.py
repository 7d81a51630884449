"""The sessions: a process and a folder for each open page, both gone when the page is closed."""

from __future__ import annotations

import multiprocessing
import secrets
import tempfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

from wardrobe.training.lab import worker

MOST_SESSIONS = 4
"""Each needs the memory of a training, and a browser holds only six connections to a server."""

HEARTBEAT = 1.0
"""Seconds of silence after which something is sent, which shows whether the page is gone."""

_SPAWNED = multiprocessing.get_context("spawn")


class Session:
    """One page's process."""

    def __init__(self, backend: str) -> None:
        self.name = secrets.token_urlsafe(12)
        self._folder = tempfile.TemporaryDirectory(
            prefix="wardrobe-lab-", ignore_cleanup_errors=True
        )
        self.folder = Path(self._folder.name)
        self.connection, theirs = _SPAWNED.Pipe()
        self.process = _SPAWNED.Process(
            target=worker.work, args=(theirs, self.folder, backend), daemon=True
        )
        self.process.start()
        theirs.close()
        self._sending = threading.Lock()

    def send(self, command: dict[str, Any]) -> None:
        """Tells the process what to do.

        Raises:
            OSError: the process has ended.
        """
        with self._sending:
            self.connection.send(command)

    def events(self) -> Iterator[str]:
        """The messages of the process as server-sent events, until it ends or nobody listens."""
        yield _event({"type": "session", "name": self.name})
        while True:
            try:
                if self.connection.poll(HEARTBEAT):
                    yield _event(self.connection.recv())
                else:
                    yield ": still here\n\n"
            except (EOFError, OSError):
                message = "the training process has ended, perhaps for lack of memory"
                yield _event({"type": "gone", "message": message})
                return

    def archive(self) -> Path | None:
        """A zip file of the runs and artifacts, as from the command line; None without any."""
        if not any(self.folder.glob("artifacts/*/*/assets.extra")):
            return None
        file = self.folder / "export.zip"
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(self.folder / "declaration.yaml", "declaration.yaml")
            for path in sorted(self.folder.glob("[ra]*s/**/*")):
                if path.is_file() and path.name != ".lock":
                    archive.write(path, path.relative_to(self.folder))
        return file

    def end(self) -> None:
        """Ends the process, even in the middle of an epoch, and removes its folder."""
        self.connection.close()
        self.process.kill()
        self.process.join()
        self._folder.cleanup()


class Sessions:
    """All sessions of a server."""

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._open: dict[str, Session] = {}
        self._lock = threading.Lock()

    def open(self) -> Session | None:
        """A new session; None if the maximum is reached."""
        with self._lock:
            if len(self._open) >= MOST_SESSIONS:
                return None
            session = Session(self.backend)
            self._open[session.name] = session
            return session

    def get(self, name: str) -> Session | None:
        return self._open.get(name)

    def end(self, name: str) -> None:
        """Ends a session, if it has not ended already."""
        with self._lock:
            session = self._open.pop(name, None)
        if session:
            session.end()

    def end_all(self) -> None:
        for name in list(self._open):
            self.end(name)


def _event(message: dict[str, Any]) -> str:
    return f"data: {orjson.dumps(message).decode()}\n\n"  # a loss that is NaN becomes null
