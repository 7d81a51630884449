"""Errors of training that neither the declaration nor the data has caused."""

import re


class TrainingError(Exception):
    """A training failed; the message says why and what to do."""


def in_words(error: BaseException) -> str:
    """An exception's message, on one line and without what only TensorFlow's authors can read."""
    lines = [line for line in str(error).splitlines() if line and not _OF_THE_GRAPH.match(line)]
    line = (lines or [type(error).__name__])[0].strip()
    return re.sub(r"\{\{.*?\}\} | \[Op:.*", "", line)


def without_password(url: str) -> str:
    """A URL for messages."""
    return re.sub(r"//([^:/@]*):.*@", r"//\1:…@", url)


# Of an error in a graph: its title, the stack of the nodes, and their names.
_OF_THE_GRAPH = re.compile(
    r"\s|Graph execution error|Detected at node|<stack traces|Stack trace|Original stack|"
    r"\d+ (root error|successful operation|derived error)|Exception encountered"
)
