"""A folder of pictures for the tests of `wardrobe classify`."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from wardrobe.training.data import silhouettes


def draw_into(folder: Path, count: int) -> Path:
    """Draws garments as files; the one with number 77 is not a picture."""
    for number, pixels in enumerate(silhouettes.draw(count, seed=4).x):
        Image.fromarray(pixels).save(folder / f"{number:04}.png")
    (folder / "0077.png").write_text("<html>not found</html>")
    return folder
