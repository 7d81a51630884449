import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wardrobe.serving.errors import ModelNotFoundError, ModelUnavailableError
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.inference.repository import Repository


def test_a_network_is_called_with_raw_pixels_and_any_batch_size(good: Path, band) -> None:
    model = Repository([good]).get("bands")
    images = np.stack([band(index) for index in range(10)]).astype(np.float32)
    probabilities = model.predict(images)
    assert probabilities.dtype == np.float32
    assert probabilities.argmax(axis=1).tolist() == list(range(10))
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    assert model.predict(images[:1]).shape == (1, 10)


def test_the_newest_version_answers_unless_another_is_named(good: Path) -> None:
    repository = Repository([good])
    assert repository.get("bands").artifact.version == 2
    assert repository.get("bands", 1).artifact.version == 1


def test_the_default_is_the_first_that_takes_pictures(good: Path) -> None:
    assert Repository([good]).get().artifact.name == "bands"  # not a-table
    assert Repository([good], default="plain").get().artifact.name == "plain"


def test_without_metadata_a_savedmodel_is_served_by_its_signature(good: Path) -> None:
    model = Repository([good]).get("plain")
    assert model.picture == PictureInput((28, 28), "dark")
    assert model.labels == tuple("0123456789")


def test_a_model_that_takes_no_pictures_is_loaded(good: Path) -> None:
    assert Repository([good]).get("a-table").picture is None


def test_unknown_names_and_versions_are_errors_that_list_the_known_ones(good: Path) -> None:
    repository = Repository([good])
    with pytest.raises(ModelNotFoundError, match="no model 'bends'; there are: a-table, bands"):
        repository.get("bends")
    with pytest.raises(ModelNotFoundError, match="'bands' has no version 9; it has 2, 1"):
        repository.get("bands", 9)


def test_the_newest_working_version_answers_in_place_of_broken_ones(flawed: Path) -> None:
    assert Repository([flawed]).get("bands").artifact.version == 1


def test_broken_versions_are_described_with_their_reasons(
    flawed: Path, caplog: pytest.LogCaptureFixture
) -> None:
    repository = Repository([flawed])
    repository.load()
    described = {(each["name"], each["version"]): each for each in repository.describe()}
    assert described["bands", 1] == {
        "name": "bands",
        "version": 1,
        "state": "available",
        "pictures": True,
    }
    assert "empty or half-copied" in described["bands", 2]["reason"]
    for version in (3, 4, 5):
        assert described["bands", version]["state"] == "broken"
        assert "TensorFlow cannot load it" in described["bands", version]["reason"]
        assert f"{flawed / 'bands' / str(version)} is not served" in caplog.text
    with pytest.raises(ModelUnavailableError, match=r"lost/1: saved_model\.pb is missing"):
        repository.get("lost")
    with pytest.raises(ModelUnavailableError, match="bands/3: TensorFlow cannot load it"):
        repository.get("bands", 3)


def test_ready_means_that_a_loaded_model_can_answer(good: Path, flawed: Path) -> None:
    repository = Repository([good])
    assert not repository.ready
    repository.get("plain")
    assert repository.ready
    without_default = Repository([good, flawed], default="lost")
    without_default.load()
    assert not without_default.ready


@pytest.mark.parametrize(
    ("extras", "message"),
    [
        ({"labels": ["one"]}, "labels.json names 1 classes, but the network has 10"),
        ({"input": {"kind": "image", "shape": [32, 32]}}, r"declares pictures of shape \[32, 32\]"),
        ({"labels": "Boot"}, "labels.json must be a list of class names"),
    ],
)
def test_an_artifact_that_contradicts_itself_is_broken(
    good: Path, tmp_path: Path, write_extras, extras: dict[str, Any], message: str
) -> None:
    shutil.copytree(good / "bands/1", tmp_path / "odd/1")
    write_extras(tmp_path / "odd/1", **extras)
    with pytest.raises(ModelUnavailableError, match=message):
        Repository([tmp_path]).get("odd")


def test_a_network_of_nan_is_broken(tmp_path: Path, export, bands) -> None:
    export(tmp_path / "nan/1", bands(sharpness=np.nan), "probabilities")
    with pytest.raises(ModelUnavailableError, match="probabilities are not finite"):
        Repository([tmp_path]).get("nan")


def test_with_nothing_to_serve_the_error_says_how_to_train_something(tmp_path: Path) -> None:
    with pytest.raises(ModelNotFoundError, match="train one with `wardrobe train"):
        Repository([tmp_path]).check()
    with pytest.raises(ModelUnavailableError):
        Repository([tmp_path]).get()


def test_checking_names_does_not_load_tensorflow(flawed: Path) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from wardrobe.serving.inference.repository import Repository;"
        f"repository = Repository([Path({str(flawed)!r})]); repository.check();"
        "print(repository.describe()[-1]['state'], 'tensorflow' in sys.modules)"
    )
    assert printed_by(program) == "not loaded False\n"


def test_jax_is_not_loaded_to_serve_and_can_be_loaded_beside_it(good: Path) -> None:
    program = (
        "import sys; from pathlib import Path;"
        "from wardrobe.serving.inference.repository import Repository;"
        f"Repository([Path({str(good)!r})]).get('bands'); print('jax' in sys.modules);"
        "import jax; print(jax.numpy.ones(2).sum())"
    )
    assert printed_by(program).split() == ["False", "2.0"]


def printed_by(program: str) -> str:
    """In a process of its own, which has imported nothing yet."""
    root = Path(__file__).parents[3]
    return subprocess.check_output([sys.executable, "-c", program], cwd=root, text=True)
