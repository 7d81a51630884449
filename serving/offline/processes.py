"""Classifies on all cores of this machine, in processes of their own."""

from __future__ import annotations

import atexit
import math
import multiprocessing
import os
import signal
import sys
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import cache
from itertools import islice
from multiprocessing.context import SpawnContext, SpawnProcess
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TypeVar

from wardrobe.serving.errors import ServingError
from wardrobe.serving.images.classify import Upload
from wardrobe.serving.offline.answers import Answer
from wardrobe.serving.offline.classifier import BATCH, Classifier
from wardrobe.serving.offline.inputs import Source, read, sources

AHEAD = 4
"""Batches of each process that are read or answered but not yet written."""

Result = TypeVar("Result")


def useful(inputs: Sequence[str], most: int) -> int:
    """For how many processes, up to `most`, there is a batch of pictures.

    Raises `InputError` if an input is not there.
    """
    pictures = (picture for source in sources(inputs) for picture in source.uploads())
    found = sum(1 for _ in islice(pictures, most * BATCH))
    return max(1, math.ceil(found / BATCH))


class Processes:
    """So many processes, which load TensorFlow at once: this one does without. Use it in a `with`.

    Raises `ServingError` at the end of the block if one of them was killed.
    """

    def __init__(self, jobs: int) -> None:
        self._jobs = jobs
        self._pool = ProcessPoolExecutor(
            jobs,
            mp_context=_Spawning(),  # TensorFlow does not survive a fork
            initializer=_start,
        )

    def __enter__(self) -> Processes:
        for _ in range(self._jobs):
            self._pool.submit(os.getpid)  # a process starts with the first call that waits for one
        return self

    def __exit__(
        self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None
    ) -> None:
        self._pool.shutdown(cancel_futures=True)
        if isinstance(error, BrokenProcessPool):
            raise ServingError(
                "a process was killed, perhaps for lack of memory; continue with --resume and "
                "fewer --jobs"
            ) from None

    def call(self, function: Callable[[], Result]) -> Result:
        """What a function returns in one of the processes."""
        return self._pool.submit(function).result()

    def answers(
        self,
        unanswered: Iterator[tuple[Source, int]],
        artifact: Path,
        for_photographs: Path | None = None,
    ) -> Generator[list[Answer], None, None]:
        """The answers for the pictures of each source from a number on, batch by batch, in
        order."""
        waiting: deque[Future[list[Answer]]] = deque()
        for batch in _batches(unanswered):
            waiting.append(self._pool.submit(_answer, artifact, for_photographs, batch))
            if len(waiting) >= AHEAD * self._jobs:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


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


def _start() -> None:
    """Called once in each process, which ends when the one that started it does."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that waits says what there is to say
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.environ |= {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    import cv2

    from wardrobe.serving.inference.tensorflow import load_tensorflow

    cv2.setNumThreads(1)
    load_tensorflow()
    atexit.register(_classifier.cache_clear)  # sessions must be gone before TensorFlow's modules


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


@cache
def _classifier(artifact: Path, for_photographs: Path | None) -> Classifier:
    return Classifier(artifact, for_photographs)


def _answer(
    artifact: Path, for_photographs: Path | None, batch: list[Upload | Path]
) -> list[Answer]:
    return _classifier(artifact, for_photographs).answer([read(picture) for picture in batch])
