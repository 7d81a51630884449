"""One loaded network that answers batches of pictures: what each process or actor holds."""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Sequence
from pathlib import Path

from wardrobe.serving.images.classify import Upload, classify
from wardrobe.serving.inference import artifacts
from wardrobe.serving.inference.model import load
from wardrobe.serving.offline.answers import Answer
from wardrobe.serving.offline.inputs import Unreadable
from wardrobe.serving.settings import Settings

BATCH = 64
"""Pictures of one call of the network."""


class Classifier:
    """Answers pictures as `POST /predict` does."""

    def __init__(self, artifact: Path, for_photographs: Path | None = None) -> None:
        """From the folder NAME/VERSION of an artifact, and of the one that answers photographs in
        its place.

        Raises `ArtifactError` if one cannot be loaded.
        """
        self._model = load(artifacts.at(artifact))
        self._companion = load(artifacts.at(for_photographs)) if for_photographs else None
        self._limits = Settings.from_environment().limits

    def answer(self, pictures: Sequence[Upload | Unreadable]) -> list[Answer]:
        """An answer for each picture, in order; `error` and `status` for one that is unreadable."""
        readable = [picture for picture in pictures if isinstance(picture, Upload)]
        answers = iter(
            classify(self._model, readable, self._limits, for_photographs=lambda: self._companion)
        )
        return [
            next(answers) if isinstance(picture, Upload) else picture.answer for picture in pictures
        ]


def packed(*folders: Path) -> bytes:
    """Artifacts as one value, for machines that do not share their file system."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for number, folder in enumerate(folders):
            archive.add(folder, f"{number}/{folder.parent.name}/{folder.name}")
    return content.getvalue()


def unpacked(content: bytes) -> Classifier:
    """The classifier of a packed artifact, and perhaps the one for photographs."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")
        return Classifier(*sorted(Path(folder).glob("*/*/*")))
