"""What the networks say, counted whichever protocol asks: a drift of the answers can be seen."""

from collections.abc import Mapping

from serving.network import Array
from serving.saved_model import Model


def count_classes(model: Model, outputs: Mapping[str, Array]) -> None:
    """Count the likeliest class and its probability of each example, if that is the answer."""
