"""Micro-batches: calls of several threads become one call of the network.

No thread of its own and no delay. The first to come leads: it calls the network for itself; those
who come meanwhile wait, and the first of them leads next, for all that have gathered. Waiting for
others on purpose was tried and left out: it cost more throughput than larger batches gave.
"""

import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from serving import deadline
from serving.errors import TooLateError
from serving.metrics import BATCH_EXAMPLES, MODEL_SECONDS
from serving.network import Array, Network, Signature

LARGEST = 64
"""Examples of one call; a request that brings as many is called for by itself."""


@dataclass(eq=False)
class _Call:
    """One call that waits for its answer."""

    inputs: Mapping[str, Array]
    examples: int
    leads: bool = False
    turn: threading.Lock = field(default_factory=threading.Lock)
    """Held until the call is answered or made the leader."""
    answer: dict[str, Array] | Exception | None = None

    def __post_init__(self) -> None:
        self.turn.acquire()


@dataclass(eq=False)
class _Queue:
    """Calls of one signature whose examples are of one shape."""

    waiting: deque[_Call] = field(default_factory=deque)
    is_led: bool = False

    def take(self) -> list[_Call]:
        """As many calls, the first ones, as make one batch."""
        batch = [self.waiting.popleft()]
        examples = batch[0].examples
        while self.waiting and examples + self.waiting[0].examples <= LARGEST:
            batch.append(self.waiting.popleft())
            examples += batch[-1].examples
        return batch


class Batching:
    """Stands in place of a network: same signatures, same `call`, fewer calls of the graph."""

    def __init__(self, network: Network, name: str) -> None:
        """`name` is the model's, for the metrics."""
        self._network = network
        self._seconds = MODEL_SECONDS.labels(name)
        self._examples = BATCH_EXAMPLES.labels(name)
        self._queues: dict[object, _Queue] = {}
        self._lock = threading.Lock()

    @property
    def signatures(self) -> Mapping[str, Signature]:
        return self._network.signatures

    @property
    def definitions(self) -> Mapping[str, Any]:
        return self._network.definitions

    def call(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """As `Network.call`.

        Raises `TooLateError` if the request's deadline passes first.
        """
        left = deadline.remaining()
        examples = _examples(self.signatures[name], inputs)
        if not 0 < examples < LARGEST:
            return self._call(name, inputs, examples or 1)
        call = _Call(inputs, examples)
        queue = self._join(call, (name, *(array.shape[1:] for array in inputs.values())))
        if not call.leads and not call.turn.acquire(timeout=min(left, threading.TIMEOUT_MAX)):
            self._give_up(call, queue)
        if call.leads:
            self._lead(name, queue)
        if isinstance(call.answer, Exception):
            raise call.answer
        assert call.answer is not None
        return call.answer

    def _join(self, call: _Call, key: object) -> _Queue:
        with self._lock:
            queue = self._queues.setdefault(key, _Queue())
            queue.waiting.append(call)
            call.leads, queue.is_led = not queue.is_led, True
            return queue

    def _give_up(self, call: _Call, queue: _Queue) -> None:
        """Its time is over: it leaves the queue, unless it was made the leader just now."""
        with self._lock:
            if call.leads:
                return
            if call in queue.waiting:
                queue.waiting.remove(call)
        raise TooLateError("the server was too busy to answer in time; try again later")

    def _lead(self, name: str, queue: _Queue) -> None:
        """Answers for all that have gathered, passes the lead on."""
        with self._lock:
            batch = queue.take()
        try:
            self._answer(name, batch)
        finally:
            with self._lock:
                queue.is_led = bool(queue.waiting)
                if queue.waiting:
                    queue.waiting[0].leads = True
                    queue.waiting[0].turn.release()
        for call in batch:
            if not call.leads:
                call.turn.release()

    def _answer(self, name: str, batch: list[_Call]) -> None:
        """One call for all; if it fails, one for each, so that a bad one fails alone."""
        if len(batch) > 1:
            inputs = {
                key: np.concatenate([call.inputs[key] for call in batch]) for key in batch[0].inputs
            }
            bounds = list(accumulate((call.examples for call in batch), initial=0))
            try:
                answers = self._call(name, inputs, bounds[-1])
            except Exception:
                pass
            else:
                for call, (start, end) in zip(batch, pairwise(bounds), strict=True):
                    call.answer = {key: array[start:end] for key, array in answers.items()}
                return
        for call in batch:
            try:
                call.answer = self._call(name, call.inputs, call.examples)
            except Exception as error:
                call.answer = error

    def _call(self, name: str, inputs: Mapping[str, Array], examples: int) -> dict[str, Array]:
        self._examples.observe(examples)
        with self._seconds.time():
            return self._network.call(name, inputs)


def _examples(signature: Signature, inputs: Mapping[str, Array]) -> int:
    """How many examples a call brings; 0 where they cannot be told apart."""
    counts = {len(array) for array in inputs.values()} if signature.by_example else set()
    return counts.pop() if len(counts) == 1 else 0
