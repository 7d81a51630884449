"""Errors of training that are due neither to the declaration nor to the data."""

import re


class TrainingError(Exception):
    """A training failed; the message says why and what to do."""


def in_words(error: BaseException) -> str:
    """An exception's message, on one line and without the names of TensorFlow's graph nodes."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return re.sub(r"\{\{.*?\}\} | \[Op:.*", "", line)
