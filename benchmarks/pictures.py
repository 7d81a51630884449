"""How well the networks know pictures as people upload them, through the service's own preparation.

    python -m benchmarks.pictures [ARTIFACT] [--count N] [--photographs FOLDER]

Without ARTIFACT, the networks that ship with wardrobe answer, each the pictures that the service
leaves to it; an ARTIFACT answers alone.

Renderings: test images of Fashion-MNIST, made into product pictures of 280×280 pixels, each in one
of the ways of `benchmarks/renderings.py`; counted is who gets the same label as the original.

Photographs: `clothing-photos/validation` in $WARDROBE_DATA (CC0), garments on floors, beds and
hangers, in folders by class. Most classes correspond to one of Fashion-MNIST's; `shoes` is any of
its three. Hats, shorts and skirts are none of them: there, an uncertain answer is the good one.

CPU is that of decoding, preparation and network for one picture at a time.
"""

from __future__ import annotations

import argparse
import io
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.renderings import DYED, WAYS, Pixels, Ways
from wardrobe.api import PRETRAINED
from wardrobe.serving.images.classify import Upload, classify
from wardrobe.serving.inference.artifacts import at
from wardrobe.serving.inference.model import Model, load
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.settings import Settings
from wardrobe.training import data
from wardrobe.training.data.dataset import data_folder

LIMITS = Settings().limits
SEED = 7

KNOWN = {
    "t-shirt": {"T-shirt/top"},
    "pants": {"Trouser"},
    "longsleeve": {"Pullover"},
    "dress": {"Dress"},
    "outwear": {"Coat"},
    "shirt": {"Shirt"},
    "shoes": {"Sandal", "Sneaker", "Ankle boot"},
}
UNKNOWN = ("hat", "shorts", "skirt")


@dataclass(frozen=True)
class Answer:
    """What the service says of one picture, no label if it refuses it, and the CPU time of that."""

    label: str
    uncertain: bool
    milliseconds: float


Ask = Callable[[bytes], Answer]


def main() -> None:
    """Prints all tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path, nargs="?", help="a folder NAME/VERSION")
    parser.add_argument("--count", type=int, default=1000, help="test images that are rendered")
    parser.add_argument("--photographs", type=Path, default=None, help="folders CLASS/*.jpg")
    options = parser.parse_args()
    model, companion = networks(options.artifact)

    def ask(file: bytes) -> Answer:
        began = time.process_time()
        (said,) = classify(model, [Upload(None, file)], LIMITS, for_photographs=lambda: companion)
        spent = time.process_time() - began
        return Answer(said.get("label", ""), said.get("uncertain", True), 1000 * spent)

    print(f"{model.artifact}; photographs: {(companion or model).artifact}\n")
    print_renderings(model, ask, options.count)
    print()
    folder = options.photographs or (data_folder(None) or Path()) / "clothing-photos/validation"
    if folder.is_dir():
        print_photographs(ask, folder)
    else:
        print(f"{folder} is no folder of photographs; name one with --photographs")


def networks(artifact: Path | None) -> tuple[Model, Model | None]:
    """The network that answers, and the one that does so about photographs."""
    if artifact is not None:
        return load(at(artifact)), None
    shipped = Repository([PRETRAINED])
    default = shipped.get()
    return default, shipped.for_photographs(default)


def print_renderings(model: Model, ask: Ask, count: int) -> None:
    """How many of the first test images keep their label, by the way each is rendered."""
    images = data.load("fashion-mnist").test.x[:count]
    likeliest = model.predict(images.astype(np.float32)).argmax(axis=1)
    print("| renderings | number | same label | CPU ms |\n|---|---:|---:|---:|")
    tables: tuple[Ways, ...] = ({"28×28, as it is": as_it_is}, WAYS, DYED)
    for ways in tables:
        answers = [ask(file) for file in rendered(images, ways)]
        kept = [model.labels[k] == a.label for k, a in zip(likeliest, answers, strict=True)]
        for number, name in enumerate(ways):
            dealt = slice(number, None, len(ways))
            print(rendering_row(name, kept[dealt], answers[dealt]))
        if len(ways) > 1:
            print(rendering_row("**all dyed**" if ways is DYED else "**all**", kept, answers))


def rendering_row(name: str, kept: list[bool], answers: list[Answer]) -> str:
    return f"| {name} | {len(kept):,} | {np.mean(kept):.1%} | {cpu(answers):.1f} |"


def as_it_is(pixels: Pixels, dice: np.random.Generator) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def rendered(images: Pixels, ways: Ways = WAYS) -> list[bytes]:
    """A file of each of `uint8 [N, 28, 28]`, in the ways in turn; the same ones in every run."""
    dice = np.random.default_rng(SEED)
    in_turn = cycle(ways.values())
    return [way(pixels, dice) for pixels, way in zip(images, in_turn, strict=False)]


def print_photographs(ask: Ask, folder: Path) -> None:
    """How many photographs are named rightly, how many answers are certain, and how many of these
    are right."""
    print(
        "| photographs | number | right | certain | right if certain | CPU ms |\n"
        "|---|---:|---:|---:|---:|---:|"
    )
    known: list[tuple[Answer, bool]] = []
    for name, labels in KNOWN.items():
        answers = [ask(file) for file in files(folder / name)]
        judged = [(each, each.label in labels) for each in answers]
        known += judged
        print(photograph_row(name, judged))
    print(photograph_row("**known classes**", known))
    unknown = [ask(file) for name in UNKNOWN for file in files(folder / name)]
    print(photograph_row(", ".join(UNKNOWN), [(each, False) for each in unknown]))
    told = np.mean([each.uncertain for each in unknown])
    print(f"\nOf {', '.join(UNKNOWN)}, {told:.0%} are told as other or uncertain.")


def photograph_row(name: str, judged: list[tuple[Answer, bool]]) -> str:
    """One line of the table, for answers and whether they are right."""
    certain = [is_right for each, is_right in judged if not each.uncertain]
    right = np.mean([is_right for _, is_right in judged])
    right_if_certain = f"{np.mean(certain):.1%}" if certain else "–"
    return (
        f"| {name} | {len(judged)} | {right:.1%} | {len(certain) / len(judged):.0%}"
        f" | {right_if_certain} | {cpu(each for each, _ in judged):.0f} |"
    )


def files(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.iterdir())]


def cpu(answers: Iterable[Answer]) -> float:
    return float(np.mean([each.milliseconds for each in answers]))


if __name__ == "__main__":
    main()
