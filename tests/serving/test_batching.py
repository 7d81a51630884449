import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serving import deadline
from serving.batching import LARGEST, Batching
from serving.errors import RequestError, TooLateError
from serving.network import Signature, Spec


class Slow:
    """A network of one number for each example, which takes its time and notes its batches."""

    def __init__(self, output: tuple[int | None, ...] = (None,)) -> None:
        inputs, outputs = {"x": Spec("float32", (None,))}, {"y": Spec("float32", output)}
        self.signatures = {"serving_default": Signature(inputs, outputs, "predict")}
        self.definitions: dict[str, Any] = {}
        self.batches: list[int] = []

    def call(self, name: str, inputs: Any) -> dict[str, Any]:
        self.batches.append(len(inputs["x"]))
        time.sleep(0.02)
        if (inputs["x"] < 0).any():
            raise RequestError("x is negative")
        return {"y": 2 * inputs["x"]}


def ask(network: Any, *values: float) -> list[float]:
    answer = network.call("serving_default", {"x": np.array(values, np.float32)})
    doubled: list[float] = answer["y"].tolist()
    return doubled


def test_threads_share_calls_and_each_gets_its_own_answer() -> None:
    slow = Slow()
    network: Any = Batching(slow, "slow")  # type: ignore[arg-type]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda x: ask(network, x, x + 0.5), range(200)))
    assert answers == [[2 * x, 2 * x + 1] for x in range(200)]
    assert sum(slow.batches) == 400
    assert len(slow.batches) < 100
    assert max(slow.batches) <= LARGEST


def test_a_bad_example_fails_alone() -> None:
    network: Any = Batching(Slow(), "slow")  # type: ignore[arg-type]

    def outcome(x: int) -> Any:
        try:
            return ask(network, x)
        except RequestError:
            return "refused"

    with ThreadPoolExecutor(16) as pool:
        outcomes = list(pool.map(outcome, range(-8, 8)))
    assert outcomes == ["refused"] * 8 + [[2.0 * x] for x in range(8)]


def test_what_does_not_answer_by_example_is_not_batched() -> None:
    slow = Slow(output=())
    network: Any = Batching(slow, "slow")  # type: ignore[arg-type]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda x: ask(network, x), range(8)))
    assert slow.batches == [1] * 8


def test_who_waits_beyond_the_deadline_is_told_and_the_others_are_answered() -> None:
    network: Any = Batching(Slow(), "slow")  # type: ignore[arg-type]
    outcomes = []

    def hurry() -> None:
        deadline.start(time.monotonic(), 0.01)
        try:
            ask(network, 1)
        except TooLateError as error:
            outcomes.append(error.status)

    with ThreadPoolExecutor(4) as pool:
        others = [pool.submit(ask, network, x) for x in range(4)]
        time.sleep(0.005)
        thread = threading.Thread(target=hurry)
        thread.start()
        thread.join()
        assert [other.result() for other in others] == [[0], [2], [4], [6]]
    assert outcomes == [504]


def test_outside_a_request_there_is_no_deadline() -> None:
    deadline.start(time.monotonic() - 2, 1)
    with pytest.raises(TooLateError):
        deadline.remaining()
    deadline.stop()
    assert deadline.remaining() == float("inf")
