import json
from pathlib import Path

import pytest

from wardrobe.serving.errors import ArtifactError
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.inference.artifacts import Artifact, Extras, find, read_extras


def make(folder: Path, *versions: str) -> Path:
    for version in versions:
        (folder / version).mkdir(parents=True)
    return folder


def test_names_come_in_alphabetical_order_newest_version_first(tmp_path: Path) -> None:
    make(tmp_path, "wide/1", "deep/9", "deep/10")
    assert [str(artifact) for artifact in find([tmp_path])] == ["deep/10", "deep/9", "wide/1"]


def test_only_positive_integers_are_versions(tmp_path: Path) -> None:
    make(tmp_path, "net/1", "net/0", "net/01", "net/-2", "net/.3.partial", "net/latest", ".git/1")
    (tmp_path / "net/4").write_text("a file")
    assert [str(artifact) for artifact in find([tmp_path])] == ["net/1"]


def test_folders_are_searched_in_order(tmp_path: Path) -> None:
    mine = make(tmp_path / "mine", "wide/2")
    theirs = make(tmp_path / "theirs", "deep/1", "wide/1")
    found = find([mine, theirs, tmp_path / "missing"])
    assert [str(artifact) for artifact in found] == ["wide/2", "wide/1", "deep/1"]


def test_a_version_in_two_folders_is_taken_from_the_first_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    mine, theirs = make(tmp_path / "mine", "wide/1"), make(tmp_path / "theirs", "wide/1")
    assert [artifact.folder for artifact in find([mine, theirs])] == [mine / "wide/1"]
    find([mine, theirs])  # as the service does again and again
    warning = f"{theirs / 'wide/1'} is hidden by the same version in {mine / 'wide/1'}"
    assert caplog.text.count(warning) == 1


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    make(tmp_path, "net/1/assets.extra")
    return Artifact("net", 1, tmp_path / "net/1")


def write(artifact: Artifact, name: str, content: object) -> None:
    (artifact.folder / "assets.extra" / name).write_text(json.dumps(content))


def test_the_metadata_of_an_artifact_is_optional(artifact: Artifact) -> None:
    assert read_extras(artifact) == Extras()


def test_the_metadata_of_an_artifact_is_read(artifact: Artifact) -> None:
    write(artifact, "labels.json", ["Boot", "Bag"])
    write(artifact, "input.json", {"kind": "image", "shape": [32, 24], "ground": "mixed"})
    write(artifact, "uncertainty.json", {"below": 0.6})
    picture = PictureInput((32, 24), "mixed")
    assert read_extras(artifact) == Extras(("Boot", "Bag"), "image", picture, 0.6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("labels.json", {"Boot": 0}, "labels.json must be a list of class names"),
        ("labels.json", [1, 2], "labels.json must be a list of class names"),
        ("input.json", [28, 28], "input.json must be a JSON object"),
        ("input.json", {"kind": "image", "shape": [28, 28, 4]}, r"must be \[height, width\]"),
        ("input.json", {"kind": "image", "shape": [28, 28], "channels": 3}, "channels is 3"),
        (
            "input.json",
            {"kind": "image", "shape": [28, 28], "prepare": "crop"},
            "prepare is 'crop'",
        ),
        (
            "input.json",
            {"kind": "image", "shape": [28, 28, 3], "prepare": "garment"},
            "for grey pictures, garment",
        ),
        ("input.json", {"kind": "image", "shape": [28, 0]}, r"must be \[height, width\]"),
        ("input.json", {"kind": "image", "shape": [28, 28], "ground": "red"}, "dark, light or"),
        ("input.json", {"kind": "image", "shape": [28, 28], "range": [0, 1]}, "raw pixels"),
        ("uncertainty.json", {"below": "half"}, "a number from 0 to 1"),
        ("uncertainty.json", {"below": 60}, "a number from 0 to 1"),
    ],
)
def test_invalid_metadata_is_rejected(
    artifact: Artifact, name: str, content: object, message: str
) -> None:
    write(artifact, name, content)
    with pytest.raises(ArtifactError, match=message):
        read_extras(artifact)


def test_a_file_that_is_not_json_is_named(artifact: Artifact) -> None:
    (artifact.folder / "assets.extra/labels.json").write_bytes(b"\xff[")
    with pytest.raises(ArtifactError, match=r"labels\.json cannot be read"):
        read_extras(artifact)
