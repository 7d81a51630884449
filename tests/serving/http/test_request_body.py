"""All protocols read bodies in one way: plain, compressed or chunked, within one limit."""

import gzip
import io
import json
import time
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from gunicorn.http.errors import InvalidChunkSize

from wardrobe.serving.app import create_app
from wardrobe.serving.http import request_body
from wardrobe.serving.settings import Settings

BOUNDARY = {"Content-Type": "multipart/form-data; boundary=x"}
PART = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.png"\r\n\r\n%s\r\n--x--'
MEBIBYTE = 2**20


class ReadOnly:
    """An input stream as WSGI promises it, without `readinto`, with a few bytes at a time."""

    def __init__(self, data: bytes) -> None:
        self._stream = io.BytesIO(data)

    def read(self, size: int) -> bytes:
        return self._stream.read(min(size, 100))


class Broken:
    """An input stream that fails."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def read(self, size: int) -> bytes:
        raise self._error


@pytest.fixture(scope="module")
def limited(settings: Settings) -> Any:
    """A client of a service that takes 1 MiB in a request."""
    return create_app(replace(settings, max_request_bytes=MEBIBYTE)).test_client()


def chunked(stream: Any) -> dict[str, Any]:
    """What a WSGI server adds to the environment of a request without a length."""
    return {"wsgi.input": stream, "wsgi.input_terminated": True}


@pytest.fixture(params=["raw", "form"])
def upload(request: pytest.FixtureRequest, encode, band) -> tuple[bytes, dict[str, str]]:
    """A picture of band 4 as the body, or as a part of a form."""
    picture = encode(band(4))
    return (picture, {}) if request.param == "raw" else (PART % picture, BOUNDARY)


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("x-gzip", gzip.compress), ("deflate", zlib.compress)],
)
def test_pictures_may_be_compressed(client, upload, encoding: str, compress) -> None:
    body, headers = upload
    response = client.post(
        "/predict", data=compress(body), headers=headers | {"Content-Encoding": encoding}
    )
    assert response.status_code == 200, response.json
    assert response.json["predictions"][0]["label"] == "band 4"


@pytest.mark.parametrize("stream", [io.BytesIO, ReadOnly])
@pytest.mark.parametrize("is_chunked", [False, True])
def test_every_wsgi_servers_stream_is_read(
    client, upload, stream: Callable[[bytes], Any], is_chunked: bool
) -> None:
    body, headers = upload
    environment = chunked(stream(body)) | {"CONTENT_TYPE": headers.get("Content-Type", "")}
    if not is_chunked:
        environment["CONTENT_LENGTH"] = str(len(body))
    response = client.post("/predict", environ_overrides=environment)
    assert response.status_code == 200, response.json
    assert response.json["predictions"][0]["label"] == "band 4"


@pytest.mark.parametrize("path", ["/predict", "/v1/models/bands:predict", "/v2/models/bands/infer"])
def test_what_is_too_large_is_rejected(limited, path: str) -> None:
    large = bytes(MEBIBYTE + 1)
    responses = [
        limited.post(path, data=large),
        limited.post(path, environ_overrides=chunked(io.BytesIO(large))),
        limited.post(path, data=gzip.compress(large), headers={"Content-Encoding": "gzip"}),
        limited.post(path, data=zlib.compress(large), headers={"Content-Encoding": "deflate"}),
    ]
    assert [response.status_code for response in responses] == [413] * 4
    assert all("send" in response.json["error"] for response in responses)


def test_the_largest_body_is_taken(limited) -> None:
    largest = bytes(MEBIBYTE)
    for response in (
        limited.post("/predict", data=largest),
        limited.post("/predict", environ_overrides=chunked(io.BytesIO(largest))),
        limited.post("/predict", data=gzip.compress(largest), headers={"Content-Encoding": "gzip"}),
    ):
        assert response.status_code == 415  # it was read: it is not a picture


def test_unpacking_and_chunks_allocate_little_more_than_is_allowed(limited) -> None:
    bomb = gzip.compress(bytes(200 * MEBIBYTE))
    endless = type("Endless", (), {"read": lambda self, size: bytes(size)})()
    for sent in (
        {"data": bomb, "headers": {"Content-Encoding": "gzip"}},
        {"environ_overrides": chunked(endless)},
    ):
        tracemalloc.start()
        assert limited.post("/predict", **sent).status_code == 413
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 5 * MEBIBYTE


@pytest.mark.parametrize("path", ["/predict", "/v1/models/bands:predict", "/v2/models/bands/infer"])
def test_the_clients_faults_are_not_the_servers(client, path: str) -> None:
    def status(data: bytes, **headers: str) -> Any:
        return client.post(path, data=data, headers=headers).status_code

    def failing(error: Exception) -> Any:
        return client.post(path, environ_overrides=chunked(Broken(error))).status_code

    encoding = "Content-Encoding"
    assert status(b"not gzip", **{encoding: "gzip"}) == 400
    assert status(gzip.compress(bytes(1000))[:-5], **{encoding: "gzip"}) == 400
    assert status(gzip.compress(b"{}") + b"more", **{encoding: "gzip"}) == 400
    assert status(b"{}", **{encoding: "br"}) == 415
    assert failing(InvalidChunkSize(b"zz")) == 400
    assert failing(ConnectionResetError()) == 408
    cut_short = {"wsgi.input": io.BytesIO(b"{"), "CONTENT_LENGTH": "2"}
    assert client.post(path, environ_overrides=cut_short).status_code == 408


@pytest.mark.parametrize("offset", [0, 1, 77])
def test_an_array_in_the_body_is_aligned(client, offset: int) -> None:
    with client.application.test_request_context("/", method="POST", data=bytes(5000)):
        array = np.frombuffer(request_body.read(aligned=offset)[offset:], np.uint8)
    assert array.ctypes.data % request_body.ALIGNMENT == 0


def test_a_request_without_length_has_no_body(client) -> None:
    with client.application.test_request_context("/", environ_overrides={"CONTENT_LENGTH": ""}):
        assert len(request_body.read()) == 0


def test_json_is_still_json_when_read_in_pieces(client, band) -> None:
    body = json.dumps({"instances": [band(3).tolist()]}).encode()
    response = client.post("/v1/models/bands:predict", environ_overrides=chunked(ReadOnly(body)))
    assert np.argmax(response.json["predictions"][0]) == 3


def test_gzip_of_several_members_is_one_body(client, encode, band) -> None:
    picture = encode(band(4))
    body = gzip.compress(picture[:50]) + gzip.compress(b"") + gzip.compress(picture[50:])
    answer = client.post("/predict", data=body, headers={"Content-Encoding": "gzip"})
    assert answer.json["predictions"][0]["label"] == "band 4"


def test_deflate_may_come_without_zlibs_header(client, encode, band) -> None:
    body = zlib.compress(encode(band(4)), wbits=-zlib.MAX_WBITS)
    answer = client.post("/predict", data=body, headers={"Content-Encoding": "deflate"})
    assert answer.json["predictions"][0]["label"] == "band 4"


def test_a_body_of_countless_members_is_refused_at_once(client) -> None:
    begun = time.monotonic()
    body = gzip.compress(b"") * 500_000
    answer = client.post("/predict", data=body, headers={"Content-Encoding": "gzip"})
    assert answer.status_code == 413
    assert time.monotonic() - begun < 2


@pytest.mark.parametrize("unit", [b"[],", b"{},", b'"",', b"0,", b"1.5,"])
def test_json_that_would_become_many_times_its_size_is_refused_before(growth, unit: bytes) -> None:
    code = """import gzip, time
from wardrobe.serving.http import json
from wardrobe.serving.errors import TooLargeError
document = gzip.decompress(data)
begun = time.monotonic()
try:
    json.loads(document)
except TooLargeError as error:
    print(error)
print(time.monotonic() - begun < 2)"""
    body = b'{"instances": [' + unit * (63 * MEBIBYTE // len(unit)) + b"0]}"
    grown, printed = growth(code, gzip.compress(body, 1))
    assert "send fewer examples at a time" in printed
    assert printed.endswith("True")
    assert grown < 200  # the document itself, and what unpacked it


@pytest.mark.parametrize(
    "document", [b"[" * 500_000, b"9" * 500_000, b"-0." + b"1" * 500_000, b'{"a":' * 100_000]
)
@pytest.mark.parametrize("path", ["/predict", "/v1/models/bands:predict", "/v2/models/bands/infer"])
def test_deep_lists_and_long_numbers_are_the_clients_error(
    client, path: str, document: bytes
) -> None:
    for body in (document, b'{"images": ' + document, b'{"instances": [NaN,' + document + b"]}"):
        begun = time.monotonic()
        answer = client.post(path, data=body, content_type="application/json")
        assert 400 <= answer.status_code < 500
        assert len(answer.data) < 1000
        assert time.monotonic() - begun < 2
