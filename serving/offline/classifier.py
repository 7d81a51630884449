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


class Classifier:
    """Answers pictures as `POST /predict` does."""

    def __init__(self, artifact: Path) -> None:
        """Raises `ArtifactError` if the artifact, a folder NAME/VERSION, cannot be loaded."""
        self._model = load(artifacts.at(artifact))
        self._limits = Settings.from_environment().limits

    def answer(self, pictures: Sequence[Upload | Unreadable]) -> list[Answer]:
        """An answer for each picture, in order; `error` and `status` for one that is unreadable."""
        readable = [picture for picture in pictures if isinstance(picture, Upload)]
        answers = iter(classify(self._model, readable, self._limits))
        return [
            next(answers) if isinstance(picture, Upload) else picture.answer for picture in pictures
        ]


def packed(artifact: Path) -> bytes:
    """An artifact as one value, for machines that do not share its file system."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.add(artifact, f"{artifact.parent.name}/{artifact.name}")
    return content.getvalue()


def unpacked(content: bytes) -> Classifier:
    """The classifier of a packed artifact."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            archive.extractall(folder, filter="data")
        (artifact,) = Path(folder).glob("*/*")
        return Classifier(artifact)
