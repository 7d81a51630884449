"""What can go wrong in training that is not the fault of a declaration or of the data."""

import re


class TrainingError(Exception):
    """A training that gave no artifact; the message says why and what to do."""


def in_words(error: BaseException) -> str:
    """What an exception says, on one line and without the names of TensorFlow's graph nodes."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\{\{.*?\}\} | \[Op:.*", "", line)
