import base64
import contextvars
import io
import json
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardrobe.serving import deadline
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
    "options",
    [
        {"model": "plain", "version": "7", "top": "1", "explain": "1"},
        {"model": "plain", "top": "1"},
    ],
)
def test_the_options_may_stand_beside_the_pictures(client, encode, band, options) -> None:
    picture, options = encode(band(4)), {"model": "plain"} | options
    document = {"image": base64.b64encode(picture).decode()}
    numbers = {name: int(each) if each.isdecimal() else each for name, each in options.items()}
    for sent in (
        {"query_string": options, "data": picture},
        {"data": {"version": "", "remark": "of text"} | options | parts(("a.png", picture))},
        {"json": document | options},
        {"json": document | numbers | {"signature_name": None}},
    ):
        (answer,) = client.post("/predict", **sent).json["predictions"]
        assert (answer["model"], answer["version"], len(answer["top"])) == ("plain", 7, 1)
        assert ("input" in answer) == ("explain" in options)


def test_an_option_with_two_values_or_a_wrong_one_is_refused(client, encode, band) -> None:
    document = {"image": base64.b64encode(encode(band(4))).decode()}
    for query, option, message in (
        ("?top=2", {"top": 3}, "top is both '2' and '3'; send it once"),
        ("?top=2&top=3", {}, "top is both '2' and '3'; send it once"),
        ("", {"top": [3]}, "top is '[3]'; it must be a whole number of at least 1"),
        ("", {"explain": 2}, "explain is '2'; it must be 1 or 0"),
        ("", {"top": "9" * 300}, f"top is '{'9' * 80}'… and has 300 characters; 255 are the most"),
    ):
        response = client.post(f"/predict{query}", json=document | option)
        assert (response.status_code, response.json) == (400, {"error": message})
    response = client.post("/predict?top=3&model=plain", json=document | {"top": 3})
    assert response.status_code == 200


def test_an_option_that_is_left_empty_is_as_if_it_were_missing(client, encode, band) -> None:
    filled, empty = (
        client.post(path, data=encode(band(4))).json
        for path in ("/predict", "/predict?top=&model=&version=&explain=")
    )
    assert filled["predictions"] == empty["predictions"]


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
        ("model=a-table", 422, "does not take pictures"),
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
        ({"data": {"image": "iVBORw0KGgo"}}, "this is text, not a picture"),
        ({"data": {"image": (io.BytesIO(b"x"), "a.png")}}, "has 'image', but no file named `file`"),
        (
            {"data": b"--x--", "content_type": "multipart/form-data; boundary=x"},
            "the form is empty",
        ),
    ],
)
def test_without_a_picture_the_error_says_how_to_send_one(
    client, request_: dict[str, Any], message: str
) -> None:
    response = client.post("/predict", **request_)
    assert response.status_code == 400
    assert message in response.json["error"]
    assert "curl -F file=@boot.png" in response.json["error"]


def test_a_form_whose_boundary_the_client_has_hidden(client, encode, band) -> None:
    """As `fetch` does if a page sets the Content-Type itself."""
    response = client.post("/predict", data=b"--x", content_type="multipart/form-data")
    assert response.status_code == 400
    assert "names no boundary; leave this header to the client" in response.json["error"]


@pytest.mark.parametrize(("misspelt", "meant"), [("models=plain", "model"), ("tpo=1", "top")])
def test_a_misspelt_option_is_not_ignored(client, encode, band, misspelt: str, meant: str) -> None:
    response = client.post(f"/predict?{misspelt}", data=encode(band(1)))
    assert response.status_code == 400
    assert f"did you mean '{meant}'?" in response.json["error"]


def test_parameters_of_a_gateway_are_none_of_ours(client, encode, band) -> None:
    assert labels(client.post("/predict?_=17&key=x&utm_source=y", data=encode(band(4))))


def variants(text: str) -> list[Any]:
    """Base64 as clients write it."""
    url_safe = text.replace("+", "-").replace("/", "_")
    lines = "\r\n".join(text[start : start + 76] for start in range(0, len(text), 76))
    return [
        text,
        url_safe.rstrip("="),
        f" {lines}\n",
        f"data:image/png;base64,{text}",
        f"DATA:image/png;charset=utf-8;base64,{text.replace('+', '%2B')}",
        {"b64": text},
    ]


def test_pictures_as_json(client, encode, band) -> None:
    text = base64.b64encode(encode(band(7))).decode()
    documents = [{"image": text}, {"images": [text]}, {"instances": [{"b64": text}]}]
    documents += [{"images": [each]} for each in variants(text)]
    for content_type in ("application/json", "application/x-www-form-urlencoded", "", None):
        for document in documents:
            body = json.dumps(document)
            assert labels(client.post("/predict", data=body, content_type=content_type)) == [
                "band 7"
            ]
    many = {"images": [text, "?", text, 3]}
    answers = client.post("/predict", json=many).json["predictions"]
    assert [each.get("status") for each in answers] == [None, 400, None, 400]


@pytest.mark.parametrize(
    "document",
    [{}, [], {"picture": "x"}, {"images": []}, {"images": "x"}, {"image": 1, "images": []}],
)
def test_other_json_is_told_how_to_send_a_picture(client, document: Any) -> None:
    answer = client.post("/predict", json=document)
    assert answer.status_code == 400
    assert '{"image": B64}' in answer.json["error"]


def test_a_file_part_without_a_file_name_is_a_picture(client, encode, band) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n%s\r\n--x--'
    response = client.post(
        "/predict", data=body % encode(band(2)), content_type='multipart/form-data; boundary="x"'
    )
    assert labels(response) == ["band 2"]


def test_64_pictures_may_come_with_fields_of_text(client, encode, band) -> None:
    form = parts(*[("a.png", encode(band(1)))] * 64) | {f"field {n}": "text" for n in range(20)}
    assert labels(client.post("/predict", data=form)) == ["band 1"] * 64
    form = parts(*[("a.png", encode(band(1)))] * 65)
    assert client.post("/predict", data=form).status_code == 413


def test_a_file_in_another_field_is_not_missed_in_silence(client, encode, band) -> None:
    form = parts(("a.png", encode(band(1)))) | {"image": (io.BytesIO(b"x"), "b.png")}
    response = client.post("/predict", data=form)
    assert response.status_code == 400
    assert "'image', which must be named `file`" in response.json["error"]


def test_what_curl_d_sends_is_answered_with_data_binary(client, encode, band) -> None:
    for kind in ("PNG", "JPEG"):
        sent = encode(band(1).repeat(9, axis=0), kind).replace(b"\r", b"").replace(b"\n", b"")
        kind = "application/x-www-form-urlencoded"
        answer = client.post("/predict", data=sent, content_type=kind)
        assert answer.status_code == 400
        assert "--data-binary @boot.png" in answer.json["error"]


def test_the_deadline_is_looked_at_between_pictures(settings: Settings, encode) -> None:
    client: Any = create_app(replace(settings, deadline_seconds=60)).test_client()
    large = np.repeat(np.arange(0, 250, 50, dtype=np.uint8), 800)
    slow = base64.b64encode(encode(np.tile(large, (4000, 1)))).decode()

    def cpu_seconds(count: int, allowed: float, status: int) -> float:
        def post() -> Any:
            deadline.start(time.monotonic(), allowed)
            return client.post("/predict", json={"images": [slow] * count})

        begun = time.process_time()
        assert contextvars.Context().run(post).status_code == status
        return time.process_time() - begun

    cpu_seconds(1, 60, 200)
    of_one = cpu_seconds(1, 60, 200)
    assert cpu_seconds(20, 3 * of_one, 504) < 10 * of_one


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
