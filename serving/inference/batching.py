"""Micro-batches: calls for several requests become one call of the network.

No thread, no lock and no delay. A request that wants the network called lets those begin that have
arrived with it; the first then calls it for all. Each thread has batches of its own.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from wardrobe.serving import deadline
from wardrobe.serving.inference import turns
from wardrobe.serving.inference.graph import Array, Network, Signature
from wardrobe.serving.metrics import BATCH_EXAMPLES, MODEL_SECONDS

LARGEST = 64
"""Examples of one call; a request that brings as many is called for by itself."""


@dataclass(eq=False)
class _Call:
    """One call that waits for its answer."""

    inputs: Mapping[str, Array]
    examples: int
    answer: dict[str, Array] | Exception | None = None


class Batching:
    """Stands in place of a network: same signatures, same `call`, fewer calls of the graph."""

    def __init__(self, network: Network, name: str) -> None:
        """`name` is the model's, for the metrics."""
        self._network = network
        self._seconds = MODEL_SECONDS.labels(name)
        self._examples = BATCH_EXAMPLES.labels(name)
        self._thread = threading.local()

    @property
    def signatures(self) -> Mapping[str, Signature]:
        return self._network.signatures

    @property
    def definitions(self) -> Mapping[str, Any]:
        return self._network.definitions

    def call(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """As `Network.call`.

        Raises `TooLateError` if the request's deadline has passed.
        """
        deadline.remaining()
        examples = _examples(self.signatures[name], inputs)
        if not 0 < examples < LARGEST:
            return self._call(name, inputs, examples or 1)
        call = _Call(inputs, examples)
        waiting = self._waiting((name, *(array.shape[1:] for array in inputs.values())))
        waiting.append(call)
        turns.pause()
        while call.answer is None:
            self._answer(name, _take(waiting))
        if isinstance(call.answer, Exception):
            raise call.answer
        return call.answer

    def _waiting(self, key: object) -> list[_Call]:
        """The calls of this thread's requests for one signature and examples of one shape."""
        if not hasattr(self._thread, "waiting"):
            self._thread.waiting = {}
        waiting: dict[object, list[_Call]] = self._thread.waiting
        return waiting.setdefault(key, [])

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


def _take(waiting: list[_Call]) -> list[_Call]:
    """As many calls, the first ones, as make one batch."""
    totals = accumulate(call.examples for call in waiting)
    count = sum(total <= LARGEST for total in totals)
    batch, waiting[:] = waiting[:count], waiting[count:]
    return batch
