"""How well a network knows pictures as people upload them, through the service's own preparation.

    python -m benchmarks.pictures ARTIFACT [--count N] [--photographs FOLDER]

Renderings: test images of Fashion-MNIST, made into product pictures of 280×280 pixels, each in one
of the ways of `benchmarks/renderings.py`; counted is who gets the same label as the original.

Photographs: `clothing-photos/validation` in $WARDROBE_DATA (CC0), garments on floors, beds and
hangers, in folders by class. Most classes correspond to one of Fashion-MNIST's; `shoes` is any of
its three. Hats, shorts and skirts are unknown to it: there, only an uncertain answer is a good one.

CPU is that of decoding, preparation and network for one picture at a time.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from benchmarks.renderings import WAYS, Pixels
from wardrobe.serving.images.classify import Upload, classify
from wardrobe.serving.inference.artifacts import at
from wardrobe.serving.inference.model import Model, load
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


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("artifact", type=Path, help="a folder NAME/VERSION")
    parser.add_argument("--count", type=int, default=1000, help="test images that are rendered")
    parser.add_argument("--photographs", type=Path, default=None, help="folders CLASS/*.jpg")
    options = parser.parse_args()
    model = load(at(options.artifact))
    print_renderings(model, options.count)
    print()
    folder = options.photographs or (data_folder(None) or Path()) / "clothing-photos/validation"
    if folder.is_dir():
        print_photographs(model, folder)
    else:
        print(f"{folder} is no folder of photographs; name one with --photographs")


def print_renderings(model: Model, count: int) -> None:
    """How many of the first test images keep their label, by the way each is rendered."""
    images = data.load("fashion-mnist").test.x[:count]
    likeliest = model.predict(images.astype(np.float32)).argmax(axis=1)
    answers = [answer(model, file) for file in rendered(images)]
    same = np.array([model.labels[k] == a.label for k, a in zip(likeliest, answers, strict=True)])
    print("| renderings | number | same label | CPU ms |\n|---|---:|---:|---:|")
    for number, name in enumerate(WAYS):
        dealt = slice(number, None, len(WAYS))
        kept = same[dealt]
        print(f"| {name} | {len(kept)} | {kept.mean():.1%} | {cpu(answers[dealt]):.1f} |")
    print(f"| **all** | {len(same):,} | **{same.mean():.1%}** | {cpu(answers):.1f} |")


def rendered(images: Pixels) -> list[bytes]:
    """A file of each of `uint8 [N, 28, 28]`, in the ways in turn; the same ones in every run."""
    dice = np.random.default_rng(SEED)
    ways = cycle(WAYS.values())
    return [way(pixels, dice) for pixels, way in zip(images, ways, strict=False)]


def print_photographs(model: Model, folder: Path) -> None:
    """How many photographs are named rightly, and where the answers were uncertain."""
    print(
        "| photographs | number | right | uncertain if right | uncertain if not | CPU ms |\n"
        "|---|---:|---:|---:|---:|---:|"
    )
    known: list[tuple[Answer, bool]] = []
    for name, labels in KNOWN.items():
        answers = [answer(model, file) for file in files(folder / name)]
        judged = [(each, each.label in labels) for each in answers]
        known += judged
        print(photograph_row(name, judged))
    print(photograph_row("**known classes**", known))
    unknown = [answer(model, file) for name in UNKNOWN for file in files(folder / name)]
    print(photograph_row(", ".join(UNKNOWN), [(each, False) for each in unknown]))


def photograph_row(name: str, judged: list[tuple[Answer, bool]]) -> str:
    """One line of the table, for answers and whether they are right."""
    right = [each for each, is_right in judged if is_right]
    wrong = [each for each, is_right in judged if not is_right]
    share = f"{len(right) / len(judged):.1%}"
    return (
        f"| {name} | {len(judged)} | {share} | {uncertain(right)} | {uncertain(wrong)}"
        f" | {cpu(each for each, _ in judged):.0f} |"
    )


def files(folder: Path) -> list[bytes]:
    return [file.read_bytes() for file in sorted(folder.iterdir())]


def answer(model: Model, file: bytes) -> Answer:
    began = time.process_time()
    (said,) = classify(model, [Upload(None, file)], LIMITS)
    spent = time.process_time() - began
    return Answer(said.get("label", ""), said.get("uncertain", True), 1000 * spent)


def cpu(answers: Iterable[Answer]) -> float:
    return float(np.mean([each.milliseconds for each in answers]))


def uncertain(answers: list[Answer]) -> str:
    return f"{np.mean([each.uncertain for each in answers]):.0%}" if answers else "–"


if __name__ == "__main__":
    main()
