"""The pictures that a network takes: what any other picture is made into."""

from dataclasses import dataclass
from typing import Literal

Polarity = Literal["dark", "light", "mixed"]
"""The background of a network's pictures, `ground` in input.json; "mixed" takes either, so that
none is inverted."""

Preparation = Literal["none", "resize", "pad", "garment"]
"""How a picture becomes one of the network's shape, see `prepare`."""


@dataclass(frozen=True)
class PictureInput:
    """The pictures that a network takes: 0–255, `shape` (height, width) in pixels, `channels` 1
    (grey, without an axis of its own) or 3 (RGB), and how they are prepared."""

    shape: tuple[int, int]
    polarity: Polarity = "dark"
    channels: int = 1
    prepare: Preparation = "garment"

    @property
    def example_shape(self) -> tuple[int, ...]:
        """The shape of one example of the network: `(height, width)` or `(height, width, 3)`."""
        return self.shape if self.channels == 1 else (*self.shape, self.channels)
