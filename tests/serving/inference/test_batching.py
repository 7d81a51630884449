import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from greenlet import greenlet

from wardrobe.serving import deadline
from wardrobe.serving.errors import RequestError, TooLateError
from wardrobe.serving.inference.batching import MAX_BATCH, Batcher
from wardrobe.serving.inference.graph import Signature, Spec
from wardrobe.serving.scheduling import let_others_finish


class Doubling:
    """A network of one number for each example, which notes its batches."""

    def __init__(self, output: tuple[int | None, ...] = (None,)) -> None:
        inputs, outputs = {"x": Spec("float32", (None,))}, {"y": Spec("float32", output)}
        self.signatures = {"serving_default": Signature(inputs, outputs, "predict")}
        self.definitions: dict[str, Any] = {}
        self.batches: list[int] = []

    def call(self, name: str, inputs: Any) -> dict[str, Any]:
        self.batches.append(len(inputs["x"]))
        if (inputs["x"] < 0).any():
            raise RequestError("x is negative")
        return {"y": 2 * inputs["x"]}


def ask(network: Any, *values: float) -> Any:
    try:
        answer = network.call("serving_default", {"x": np.array(values, np.float32)})
    except RequestError as error:
        return str(error)
    return answer["y"].tolist()


def together(requests: list[Callable[[], Any]]) -> list[Any]:
    """What the requests return that a worker's thread begins before it ends one."""
    answers: list[Any] = [None] * len(requests)
    begun = deque((index, greenlet(request)) for index, request in enumerate(requests))
    while begun:
        index, request = begun.popleft()
        answers[index] = request.switch()
        if not request.dead:
            begun.append((index, request))
    return answers


def test_requests_share_a_call_and_each_gets_its_own_outputs() -> None:
    doubling = Doubling()
    network = Batcher(doubling, "doubling")  # type: ignore[arg-type]
    answers = together([partial(ask, network, x, x + 0.5) for x in range(16)])
    assert answers == [[2 * x, 2 * x + 1] for x in range(16)]
    assert doubling.batches == [32]


def test_a_batch_has_a_greatest_size() -> None:
    doubling = Doubling()
    network = Batcher(doubling, "doubling")  # type: ignore[arg-type]
    answers = together([lambda: ask(network, *range(20)) for _ in range(7)])
    assert answers == [[2 * x for x in range(20)]] * 7
    assert sum(doubling.batches) == 140
    assert max(doubling.batches) <= MAX_BATCH
    assert len(doubling.batches) == 3


def test_a_single_request_does_not_wait() -> None:
    doubling = Doubling()
    network = Batcher(doubling, "doubling")  # type: ignore[arg-type]
    assert ask(network, 1) == [2]
    assert ask(network, *range(1000)) == [2 * x for x in range(1000)]
    assert doubling.batches == [1, 1000]


def test_a_bad_example_fails_alone() -> None:
    network = Batcher(Doubling(), "doubling")  # type: ignore[arg-type]
    answers = together([partial(ask, network, x) for x in range(-8, 8)])
    assert answers == ["x is negative"] * 8 + [[2.0 * x] for x in range(8)]


def test_a_signature_without_a_batch_axis_is_not_batched() -> None:
    doubling = Doubling(output=())
    network = Batcher(doubling, "doubling")  # type: ignore[arg-type]
    together([partial(ask, network, x) for x in range(8)])
    assert doubling.batches == [1] * 8


def test_after_its_deadline_a_request_does_not_call_the_network() -> None:
    doubling = Doubling()
    network = Batcher(doubling, "doubling")  # type: ignore[arg-type]

    def late() -> Any:
        deadline.start(time.monotonic() - 2, 1)
        with pytest.raises(TooLateError):
            ask(network, 1)
        return "late"

    assert together([late, lambda: ask(network, 2)]) == ["late", [4]]
    assert doubling.batches == [1]
    assert deadline.remaining() == float("inf")  # outside a request


def test_what_takes_long_is_done_when_the_others_have_finished() -> None:
    network, order = Batcher(Doubling(), "doubling"), []  # type: ignore[arg-type]

    def ask_at(place: int) -> None:
        if place % 3 == 1:
            let_others_finish()
        ask(network, place)
        order.append(place)

    together([partial(ask_at, place) for place in range(8)])
    assert sorted(order) == list(range(8))
    assert [place % 3 == 1 for place in order] == [False] * 5 + [True] * 3
