"""The processes of the service: gunicorn, configured in code, and the smoke test of a start."""

import ctypes
import json
import logging
import os
import shutil
import socket
import stat
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from tempfile import mkdtemp
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from wardrobe.serving.errors import StartError
from wardrobe.serving.settings import Settings

logger = logging.getLogger(__name__)

M_MMAP_THRESHOLD = -3
"""Of glibc's `mallopt`: the bytes from which memory comes from the system, and goes back to it."""
LARGE = 2**22
"""Bytes: more than a thousand pictures of 28×28 as floats. Less than that is kept, because getting
it from the system again, page by page, takes longer than filling it."""


def serve(settings: Settings, listening: Callable[[str], None] | None = None) -> None:
    """Serve until SIGTERM or Ctrl-C, finish what is in flight, then raise `SystemExit(0)`.

    `listening` is called with the URL once the address is bound, before any worker is started.

    Raises `ModelNotFoundError` if there is nothing to serve and `StartError` if the address cannot
    be bound, both before any worker is started, and `StartError` if the workers do not come up.
    Broken artifacts do not prevent the start: the others are served, and readiness says why.
    """
    master = os.getpid()
    shared = _share_metrics()
    try:
        _serve(settings, listening)
    except SystemExit as stop:
        if stop.code and os.getpid() == master:  # workers leave through here as well
            raise StartError("the workers do not start; the lines above say why") from None
        raise
    finally:
        if os.getpid() == master and shared:
            del os.environ["PROMETHEUS_MULTIPROC_DIR"]
            shutil.rmtree(shared, ignore_errors=True)


def _share_metrics() -> str | None:
    """Makes the folder through which the workers share their metrics.

    Must be called before serving.metrics is imported, which is why `_serve` imports the repository.
    """
    try:
        folder = os.environ["PROMETHEUS_MULTIPROC_DIR"] = mkdtemp(prefix="wardrobe-metrics-")
    except OSError as error:
        logger.warning("/metrics shows one worker only: no temporary folder (%s)", error.strerror)
        return None
    from wardrobe.serving.worker import metric_files

    metric_files.reserve()
    return folder


def _serve(settings: Settings, listening: Callable[[str], None] | None) -> None:
    from wardrobe.serving.inference.repository import Repository

    Repository(settings.artifacts, settings.model).check()
    listener = _listen(settings.host, settings.port)
    _log_to_stderr()
    _drop_what_nobody_reads()
    _share_cores(settings.workers)
    _give_memory_back()
    server = _Server(settings, listener)
    if listening:
        listening(server.url)
    server.run()


def _log_to_stderr() -> None:
    logging.basicConfig(format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("wardrobe.serving").setLevel(logging.INFO)


def _drop_what_nobody_reads() -> None:
    """If nobody empties the pipe of stdout or stderr, lines are lost rather than requests held."""
    for descriptor in (1, 2):
        with suppress(OSError):  # it is closed
            kind = os.fstat(descriptor).st_mode
            if stat.S_ISFIFO(kind):
                _open_anew(descriptor)
            if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
                os.set_blocking(descriptor, False)


def _open_anew(descriptor: int) -> None:
    """Open the same pipe a second time: that writes do not wait concerns every program that has the
    descriptor from the same parent. Does nothing without /proc, or if the pipe is another user's.
    """
    with suppress(OSError):
        own = os.open(f"/proc/self/fd/{descriptor}", os.O_WRONLY | os.O_NONBLOCK)
        os.dup2(own, descriptor)
        os.close(own)


def _share_cores(workers: int) -> None:
    """Divide the cores among the workers: TensorFlow would give each one a thread per core."""
    threads = max(1, (os.cpu_count() or 1) // workers)
    os.environ.setdefault("TF_NUM_INTRAOP_THREADS", str(threads))
    os.environ.setdefault("TF_NUM_INTEROP_THREADS", "1")


def _give_memory_back() -> None:
    """Return the memory of large pictures and bodies to the system when they are done with: glibc
    would keep it, in pieces, for each thread."""
    if mallopt := getattr(ctypes.CDLL(None), "mallopt", None):  # inherited by the workers
        mallopt(M_MMAP_THRESHOLD, LARGE)


def _listen(host: str, port: int) -> socket.socket:
    """The socket that the workers will accept on, bound here so that gunicorn need not retry."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = str(error.strerror).partition(" (while")[0]  # Python adds the address
        raise StartError(
            f"cannot listen on {host}:{port} ({reason}); choose another with --host, --port"
        ) from error


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn's own application class, with our settings and application."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        host, port = listener.getsockname()[:2]
        self.url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
        self._descriptor = listener.detach()  # gunicorn's from here on: it closes it
        super().__init__()

    def load_config(self) -> None:
        configuration = {
            "bind": f"fd://{self._descriptor}",
            "worker_class": _worker_class(self._settings),
            "workers": self._settings.workers,
            "threads": self._settings.threads,
            "preload_app": False,  # TensorFlow does not survive a fork
            "timeout": 120,  # seconds to load the models; not a deadline for requests
            "loglevel": "warning",
            "graceful_timeout": self._settings.drain_seconds + self._settings.deadline_seconds + 5,
            "control_socket_disable": True,  # unused
            "forwarded_allow_ips": "",  # no header changes the path or scheme of a request
            "post_worker_init": self._start_watching,
            "child_exit": _forget_worker,
        }
        for name, value in configuration.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called in each worker, after the fork."""
        from wardrobe.serving.app import create_app

        return create_app(self._settings)

    def _start_watching(self, worker: Any) -> None:
        """Called in each worker when its models are loaded: watch the artifact folders from now on,
        and log, in the first worker, where the service is."""
        repository = worker.wsgi.extensions["repository"]
        repository.watch(self._settings.poll_seconds)
        if worker.age > 1:
            return
        if repository.ready:
            logger.info("ready on %s", self.url)
        else:
            logger.error("on %s, but no model can answer; the lines above say why", self.url)


def _worker_class(settings: Settings) -> type:
    """gunicorn constructs the workers itself, so their class carries the settings."""
    from wardrobe.serving.worker.worker import Worker

    return type("Worker", (Worker,), {"settings": settings})


def _forget_worker(_: Any, worker: Any) -> None:
    """Drop the gauges of a worker that has ended, keep its counters."""
    from prometheus_client import multiprocess

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]


_direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Asks this machine itself, whatever proxy the environment names."""


def first_answer(url: str, picture: bytes) -> dict[str, Any] | None:
    """The smoke test of a start: wait until the service at `url` is ready, then return its answer
    to the bytes of one picture.

    Returns None if this process's parent, whose service it is, ends before that.
    """
    parent = os.getppid()
    while not _is_ready(url):
        if os.getppid() != parent:
            return None
        time.sleep(0.2)
    with _direct.open(f"{url}/predict", picture, timeout=60) as response:
        answer: dict[str, Any] = json.load(response)["predictions"][0]
    return answer


def _is_ready(url: str) -> bool:
    try:
        with _direct.open(f"{url}/health/ready", timeout=60):
            return True
    except OSError:  # not listening yet, or 503
        return False
