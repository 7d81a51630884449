"""Whether pictures show bright things on a dark ground or the other way round."""

import numpy as np
from numpy.typing import NDArray

from wardrobe.training.data.dataset import Ground

# Garments may touch the border, so single pictures mislead; nine of ten agreeing do not.
AGREEMENT = 0.9


def measure_ground(images: NDArray[np.uint8]) -> Ground:
    """What the border pixels of most images are, for images uint8 [N, H, W], 0–255."""
    border = np.ones(images.shape[1:], dtype=bool)
    border[1:-1, 1:-1] = False
    dark = float(np.mean(np.median(images[:, border], axis=1) < 128))
    if dark >= AGREEMENT:
        return "dark"
    return "light" if dark <= 1 - AGREEMENT else "mixed"
