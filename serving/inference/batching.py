"""Micro-batches: the calls of several requests become one call of the network.

There is no extra thread, lock or delay. The worker runs the requests that arrived together in one
thread, each in a greenlet. A request that is about to call the network first lets the others of its
thread reach the same point; the first one then calls the network for all of them.
"""

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from wardrobe.serving import deadline
from wardrobe.serving.inference.graph import Array, Network, Signature
from wardrobe.serving.metrics import BATCH_EXAMPLES, MODEL_SECONDS, InferenceMetrics
from wardrobe.serving.scheduling import let_others_begin

MAX_BATCH = 64
"""Examples in a shared call; a request with as many gets a call of its own."""


@dataclass(eq=False)
class _Call:
    """One request's call, waiting for its outputs."""

    inputs: Mapping[str, Array]
    examples: int
    outcome: dict[str, Array] | Exception | None = None


class Batcher:
    """A network with the same signatures and the same `call`, but fewer calls of the graph."""

    def __init__(self, network: Network, name: str, version: int = 1) -> None:
        """`name` and `version` are the model's, for the metrics."""
        self._network = network
        self._inferences = InferenceMetrics(name, version)
        self._seconds = MODEL_SECONDS.labels(name)
        self._examples = BATCH_EXAMPLES.labels(name)
        self._thread = threading.local()

    @property
    def signatures(self) -> Mapping[str, Signature]:
        return self._network.signatures

    @property
    def default(self) -> str:
        return self._network.default

    @property
    def definitions(self) -> Mapping[str, Any]:
        return self._network.definitions

    def call(self, name: str, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """As `Network.call`.

        Raises `TooLateError` if the request's deadline has passed.
        """
        deadline.remaining()
        begun, is_success = time.perf_counter(), False
        examples = _examples(self.signatures[name], inputs)
        try:
            outputs = self._shared(name, inputs, examples)
            is_success = True
        finally:
            self._inferences.called(time.perf_counter() - begun, examples or 1, is_success)
        return outputs

    def _shared(self, name: str, inputs: Mapping[str, Array], examples: int) -> dict[str, Array]:
        """The outputs of one request's call, alone or in a batch with others."""
        if not 0 < examples < MAX_BATCH:
            return self._call(name, inputs, examples or 1)
        call = _Call(inputs, examples)
        waiting = self._waiting((name, *(array.shape[1:] for array in inputs.values())))
        waiting.append(call)
        let_others_begin()
        while call.outcome is None:
            self._run(name, _next_batch(waiting))
        if isinstance(call.outcome, Exception):
            raise call.outcome
        return call.outcome

    def _waiting(self, key: object) -> list[_Call]:
        """This thread's waiting calls of one signature, with examples of one shape."""
        if not hasattr(self._thread, "waiting"):
            self._thread.waiting = {}
        waiting: dict[object, list[_Call]] = self._thread.waiting
        return waiting.setdefault(key, [])

    def _run(self, name: str, batch: list[_Call]) -> None:
        """Make one call for all; if it fails, one for each, so that only the faulty one fails."""
        if len(batch) > 1:
            inputs = {
                key: np.concatenate([call.inputs[key] for call in batch]) for key in batch[0].inputs
            }
            bounds = list(accumulate((call.examples for call in batch), initial=0))
            try:
                outputs = self._call(name, inputs, bounds[-1])
            except Exception:
                pass
            else:
                for call, (start, end) in zip(batch, pairwise(bounds), strict=True):
                    call.outcome = {key: array[start:end] for key, array in outputs.items()}
                return
        for call in batch:
            try:
                call.outcome = self._call(name, call.inputs, call.examples)
            except Exception as error:
                call.outcome = error

    def _call(self, name: str, inputs: Mapping[str, Array], examples: int) -> dict[str, Array]:
        self._examples.observe(examples)
        begun = time.perf_counter()
        try:
            return self._network.call(name, inputs)
        finally:
            seconds = time.perf_counter() - begun
            self._seconds.observe(seconds)
            self._inferences.executed(seconds, examples)


def _examples(signature: Signature, inputs: Mapping[str, Array]) -> int:
    """The number of examples in a call; 0 if the signature does not count them."""
    counts = {len(array) for array in inputs.values()} if signature.is_batched else set()
    return counts.pop() if len(counts) == 1 else 0


def _next_batch(waiting: list[_Call]) -> list[_Call]:
    """Remove the first calls, as many as fit into one batch, and return them."""
    totals = accumulate(call.examples for call in waiting)
    count = sum(total <= MAX_BATCH for total in totals)
    batch, waiting[:] = waiting[:count], waiting[count:]
    return batch
