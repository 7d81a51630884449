"""How long the request that this thread answers may still take."""

import math
import threading
import time

from serving.errors import TooLateError

_request = threading.local()


def start(arrived: float, allowed: float) -> None:
    """This thread takes up a request that arrived at `arrived` (of `time.monotonic`) and is of use
    to its sender for `allowed` seconds from then."""
    _request.arrived, _request.ends = arrived, arrived + allowed


def stop() -> None:
    """The request is answered; what the thread does next has no deadline."""
    _request.arrived, _request.ends = None, math.inf


def arrived() -> float | None:
    """When the request arrived; None outside one."""
    moment: float | None = getattr(_request, "arrived", None)
    return moment


def remaining() -> float:
    """Seconds left; infinite outside a request. Raises `TooLateError` where there are none."""
    left: float = getattr(_request, "ends", math.inf) - time.monotonic()
    if left <= 0:
        raise TooLateError("the server was too busy to answer in time; try again later")
    return left
