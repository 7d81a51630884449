"""Classifies on all cores of this machine, in processes of their own."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Generator, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import ModuleType

from wardrobe.serving.errors import ServingError
from wardrobe.serving.images.classify import Upload
from wardrobe.serving.offline.answers import Answer
from wardrobe.serving.offline.classifier import BATCH, Classifier
from wardrobe.serving.offline.inputs import Source, read

AHEAD = 4
"""Batches of each process that are read or answered but not yet written."""


def answers(
    unanswered: Iterator[tuple[Source, int]],
    artifact: Path,
    jobs: int,
    for_photographs: Path | None = None,
) -> Generator[list[Answer], None, None]:
    """The answers for the pictures of each source from a number on, batch by batch, in order.

    Raises:
        ServingError: a process was killed.
    """
    pool = ProcessPoolExecutor(
        jobs,
        mp_context=_Spawning(),  # TensorFlow does not survive a fork
        initializer=_load,
        initargs=(artifact, for_photographs),
    )
    waiting: deque[Future[list[Answer]]] = deque()
    try:
        for batch in _batches(unanswered):
            waiting.append(pool.submit(_answer, batch))
            if len(waiting) >= AHEAD * jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except BrokenProcessPool:
        raise ServingError(
            "a process was killed, perhaps for lack of memory; go on with --resume and fewer --jobs"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


class _Process(SpawnProcess):
    """A process that does not run the caller's script again, as spawned ones do: what it needs is
    all in this package, so a script need not begin with `if __name__ == "__main__":`."""

    def start(self) -> None:
        script = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            super().start()
        finally:
            sys.modules["__main__"] = script


class _Spawning(SpawnContext):
    Process = _Process


def _batches(unanswered: Iterator[tuple[Source, int]]) -> Iterator[list[Upload | Path]]:
    pictures = (picture for source, start in unanswered for picture in source.uploads(start))
    while batch := list(islice(pictures, BATCH)):
        yield batch


_classifier: Classifier | None = None


def _load(artifact: Path, for_photographs: Path | None) -> None:
    """Called once in each process, which ends when the one that started it does."""
    global _classifier
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits says what there is to say
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    import cv2

    cv2.setNumThreads(1)
    _classifier = Classifier(artifact, for_photographs)
    atexit.register(_unload)


def _unload() -> None:
    """TensorFlow's sessions must be gone before its modules are."""
    global _classifier
    _classifier = None


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def _answer(batch: list[Upload | Path]) -> list[Answer]:
    assert _classifier is not None
    return _classifier.answer([read(picture) for picture in batch])
