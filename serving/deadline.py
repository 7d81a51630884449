"""How long the request that is being answered may still take."""

import math
import time
from contextvars import ContextVar

from wardrobe.serving.errors import TooLateError

_arrived: ContextVar[float | None] = ContextVar("arrived", default=None)
_ends: ContextVar[float] = ContextVar("ends", default=math.inf)


def start(arrived: float, allowed: float) -> None:
    """A request is taken up that arrived at `arrived` (of `time.monotonic`) and is of use to its
    sender for `allowed` seconds from then."""
    _arrived.set(arrived)
    _ends.set(arrived + allowed)


def arrived() -> float | None:
    """When the request arrived; None outside one."""
    return _arrived.get()


def remaining() -> float:
    """Seconds left; infinite outside a request. Raises `TooLateError` where there are none."""
    left = _ends.get() - time.monotonic()
    if left <= 0:
        raise TooLateError("the server was too busy to answer in time; try again later")
    return left
