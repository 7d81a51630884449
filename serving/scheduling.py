"""Cooperative scheduling of the requests that a thread of the worker answers together, each in a
greenlet.

Outside such a worker there are no others, and both functions return at once.
"""

from greenlet import getcurrent


def let_others_begin() -> None:
    """Let the other requests of this thread get as far as they can: to a call of the network that
    all share, say."""
    worker = getcurrent().parent  # goes round all requests that are not over
    if worker is not None:
        worker.switch()


def let_others_finish() -> None:
    """Call this before what takes long, so that nobody waits for it who need not."""
    let_others_begin()
    let_others_begin()
