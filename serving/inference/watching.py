"""The thread of each worker that keeps its models as the artifact folders are."""

import logging
import threading

from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.metrics import count_versions

logger = logging.getLogger(__name__)


def watch(repository: Repository, seconds: float) -> None:
    """Look at the folders every so many seconds, as long as the process lives."""
    threading.Thread(target=_watch, args=(repository, seconds), daemon=True, name="watch").start()


def _watch(repository: Repository, seconds: float) -> None:
    pause = threading.Event()
    while True:
        conditions = repository.conditions()
        count_versions((e.artifact.name, e.artifact.version, e.state) for e in conditions)
        pause.wait(seconds)
        try:
            repository.refresh()
        except Exception:  # a folder can fail in any way; the next look may succeed
            logger.exception("the artifact folders cannot be looked at; what is loaded serves on")
