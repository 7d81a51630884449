import io
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardrobe.serving.app import create_app
from wardrobe.serving.settings import Settings


def parts(*files: tuple[str, bytes]) -> dict[str, Any]:
    return {"file": [(io.BytesIO(data), name) for name, data in files]}


def labels(response: Any) -> list[str]:
    assert response.status_code == 200, response.json
    return [each["label"] for each in response.json["predictions"]]


def test_several_pictures_as_a_form(client, encode, band) -> None:
    form = parts(("a.png", encode(band(1))), ("b.jpg", encode(band(8), "JPEG")))
    response = client.post("/predict", data=form)
    assert labels(response) == ["band 1", "band 8"]
    assert [each["file"] for each in response.json["predictions"]] == ["a.png", "b.jpg"]


@pytest.mark.parametrize(
    "content_type", ["image/png", "image/x-anything", "application/x-www-form-urlencoded", None]
)
def test_one_picture_as_the_body_whatever_type_it_claims(
    client, encode, band, content_type: str | None
) -> None:
    response = client.post("/predict", data=encode(band(4)), content_type=content_type)
    assert labels(response) == ["band 4"]
    assert response.json["predictions"][0]["file"] is None


def test_the_query_names_model_version_and_how_many_classes(client, encode, band) -> None:
    picture = encode(band(4))
    (answer,) = client.post("/predict?model=plain&top=1", data=picture).json["predictions"]
    assert (answer["model"], answer["version"], len(answer["top"])) == ("plain", 7, 1)
    (answer,) = client.post("/predict?version=1", data=picture).json["predictions"]
    assert (answer["model"], answer["version"], len(answer["top"])) == ("bands", 1, 3)
    (answer,) = client.post("/predict?explain=1", data=picture).json["predictions"]
    assert answer["input"] == band(4).tolist()


@pytest.mark.parametrize(
    ("query", "status", "message"),
    [
        ("top=0", 400, "top is '0'; it must be a whole number of at least 1"),
        ("top=3.5", 400, "top is '3.5'"),
        ("version=latest", 400, "version is 'latest'"),
        ("version=" + "9" * 5000, 400, "version is '9"),
        ("explain=maybe", 400, "explain is 'maybe'; it must be 1 or 0"),
        ("model=nothing", 404, "there is no model 'nothing'"),
        ("model=../../etc", 404, "there is no model"),
        ("version=99", 404, "has no version 99; it has 2, 1"),
        ("model=a-table", 422, "takes no pictures"),
    ],
)
def test_an_invalid_query(client, encode, band, query: str, status: int, message: str) -> None:
    response = client.post(f"/predict?{query}", data=encode(band(4)))
    assert response.status_code == status
    assert set(response.json) == {"error"}
    assert message in response.json["error"]


def test_a_bad_picture_does_not_spoil_the_others(client, encode, band) -> None:
    form = parts(("a.png", encode(band(1))), ("b.txt", b"text"), ("c.png", b""))
    response = client.post("/predict", data=form)
    assert response.status_code == 200
    good, text, empty = response.json["predictions"]
    assert good["label"] == "band 1"
    assert (text["file"], text["status"]) == ("b.txt", 415)
    assert (empty["file"], empty["status"]) == ("c.png", 400)


def test_when_all_pictures_fail_the_status_is_that_of_the_first(client) -> None:
    response = client.post("/predict", data=parts(("a.png", b"\x89PNG\r\n\x1a\n"), ("b", b"text")))
    assert response.status_code == 400
    assert response.json["error"] == response.json["predictions"][0]["error"]
    assert [each["status"] for each in response.json["predictions"]] == [400, 415]


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"data": b""}, "the request contains no picture"),
        ({"data": {"image": (io.BytesIO(b"x"), "a.png")}}, "has 'image', but no file named `file`"),
        ({"data": b"--x--", "content_type": "multipart/form-data; boundary=x"}, "has no part"),
        ({"data": b"--", "content_type": "multipart/form-data"}, "has no part"),
    ],
)
def test_without_a_picture_the_error_says_how_to_send_one(
    client, request_: dict[str, Any], message: str
) -> None:
    response = client.post("/predict", **request_)
    assert response.status_code == 400
    assert message in response.json["error"]
    assert "curl -F file=@boot.png" in response.json["error"]


def test_limits_of_bytes_pixels_and_parts(settings: Settings, encode, band) -> None:
    limited = replace(
        settings, max_request_bytes=5000, max_picture_bytes=1000, max_pixels=2000, max_pictures=3
    )
    client: Any = create_app(limited).test_client()
    small = encode(band(1))
    for files in (
        [("large.png", small + bytes(1000))],
        [("wide.png", encode(band(1).repeat(3, axis=1)))],
        [("huge.png", small + bytes(5000))],
        [(f"{index}.png", small) for index in range(4)],
    ):
        response = client.post("/predict", data=parts(*files))
        assert response.status_code == 413, files[0][0]
        assert "send" in response.json["error"]
    assert client.post("/predict", data=small + bytes(5000)).status_code == 413
    assert labels(client.post("/predict", data=parts(*[("a.png", small)] * 3))) == ["band 1"] * 3


@given(body=st.binary(max_size=200))
def test_any_body_gets_an_answer_or_a_client_error(client, body: bytes) -> None:
    for content_type in ("image/png", "multipart/form-data; boundary=0"):
        response = client.post("/predict", data=body, content_type=content_type)
        assert 400 <= response.status_code < 500
        assert response.json["error"]
