"""The deadline of the current request, counted from its arrival, before it waits in the queue."""

import math
import time
from contextvars import ContextVar

from wardrobe.serving.errors import TooLateError

_arrived: ContextVar[float | None] = ContextVar("arrived", default=None)
_ends: ContextVar[float] = ContextVar("ends", default=math.inf)


def start(arrived: float, allowed: float) -> None:
    """Begin a request that arrived at `arrived` (by `time.monotonic`) and must be answered within
    `allowed` seconds from then."""
    _arrived.set(arrived)
    _ends.set(arrived + allowed)


def arrived() -> float | None:
    """When the current request arrived, by `time.monotonic`; None outside a request."""
    return _arrived.get()


def remaining() -> float:
    """Seconds left, infinite outside a request. Raises `TooLateError` if there are none."""
    left = _ends.get() - time.monotonic()
    if left <= 0:
        raise TooLateError("the server was too busy to answer in time; try again later")
    return left
