from pathlib import Path

import numpy as np
import pytest

from wardrobe.serving.errors import NotAPictureModelError
from wardrobe.serving.images.classify import Upload, classify
from wardrobe.serving.inference.repository import Repository
from wardrobe.serving.settings import Settings

LIMITS = Settings().limits


@pytest.fixture(scope="module")
def repository(good: Path) -> Repository:
    return Repository([good])


def test_the_fields_of_a_prediction(repository: Repository, encode, band) -> None:
    (answer,) = classify(repository.get("bands"), [Upload("b.png", encode(band(3)))], LIMITS, top=2)
    assert list(answer) == [
        "file",
        "label",
        "class_index",
        "probability",
        "uncertain",
        "top",
        "model",
        "version",
        "prepared",
    ]
    assert (answer["file"], answer["label"], answer["class_index"]) == ("b.png", "band 3", 3)
    assert (answer["uncertain"], answer["model"], answer["version"]) == (False, "bands", 2)
    assert [set(each) for each in answer["top"]] == [{"label", "class_index", "probability"}] * 2
    assert answer["top"][0] == {key: answer[key] for key in ("label", "class_index", "probability")}


def test_probabilities_are_the_networks_in_descending_order(
    repository: Repository, encode, band
) -> None:
    model = repository.get("bands")
    (answer,) = classify(model, [Upload(None, encode(band(9)))], LIMITS, top=99)
    probabilities = [each["probability"] for each in answer["top"]]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(probabilities) == 10
    own = model.predict(band(9)[np.newaxis].astype(np.float32))[0]
    for each in answer["top"]:
        assert each["probability"] == pytest.approx(own[each["class_index"]], abs=1e-6)


def test_predictions_are_in_the_order_of_the_pictures_bad_ones_included(
    repository: Repository, encode, band
) -> None:
    files = [encode(band(7)), b"nothing", encode(band(0))]
    uploads = [Upload(str(index), data) for index, data in enumerate(files)]
    first, bad, last = classify(repository.get("bands"), uploads, LIMITS)
    assert (first["file"], first["label"]) == ("0", "band 7")
    assert (bad["file"], bad["status"]) == ("1", 415)
    assert set(bad) == {"file", "status", "error"}
    assert (last["file"], last["label"]) == ("2", "band 0")


def test_the_artifact_sets_the_threshold_of_uncertainty(
    repository: Repository, encode, band
) -> None:
    upload = Upload(None, encode(band(5)))
    sure, unsure = (
        classify(repository.get(name, 1), [upload], LIMITS)[0] for name in ("bands", "unsure")
    )
    assert sure["probability"] == unsure["probability"] < 0.9
    assert (sure["uncertain"], unsure["uncertain"]) == (False, True)


def test_explaining_adds_the_input_and_its_attribution(
    repository: Repository, encode, band
) -> None:
    upload = Upload(None, encode(255 - band(5)))
    (answer,) = classify(repository.get("bands"), [upload], LIMITS, explain=True)
    np.testing.assert_array_equal(answer["input"], band(5))
    np.testing.assert_allclose(answer["evidence"], band(5) / 255, atol=5e-5)
    (answer,) = classify(repository.get("plain"), [upload], LIMITS, explain=True)
    assert "input" in answer
    assert answer["evidence"] is None  # it has no signature `explain`


def test_a_network_trained_on_light_backgrounds_gets_one(
    repository: Repository, encode, band
) -> None:
    (answer,) = classify(
        repository.get("light"), [Upload(None, encode(band(5)))], LIMITS, explain=True
    )
    np.testing.assert_array_equal(answer["input"], 255 - band(5))


def test_a_model_that_takes_no_pictures_is_rejected(repository: Repository) -> None:
    with pytest.raises(NotAPictureModelError, match="a-table/1 does not take pictures"):
        classify(repository.get("a-table"), [], LIMITS)
