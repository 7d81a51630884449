"""A file that is not a picture is called what it is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wardrobe.serving.errors import PictureError
from wardrobe.serving.images import foreign
from wardrobe.serving.images.picture_input import PictureInput
from wardrobe.serving.images.prepare import LIMITS, prepared


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"<!DOCTYPE html><html><body>404", "an HTML page"),
        (b"\xef\xbb\xbf\n <HTML lang='en'>", "an HTML page"),
        (b"<?xml version='1.0'?><svg xmlns='x'>", "an SVG drawing"),
        (b"<?xml version='1.0'?><Error><Code>AccessDenied", "an XML document"),
        (b'{"error": "not found"}', "JSON text"),
        (b"data:image/png;base64,iVBORw0KGgo", "a data URL"),
        (b"iVBORw0KGgoAAAANSUhEUg", "a picture's bytes in base64"),
        (b"Not Found\n", "text"),
        (b"%PDF-1.7 ...", "a PDF document"),
        (b"PK\x03\x04" + bytes(20), "a ZIP archive"),
        (b"\0\0\0\x18ftypmp42" + bytes(20), "a video"),
        (b"\0\0\0\x18ftypheic" + bytes(20), "a HEIC photograph"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer of Git LFS"),
        (bytes(100), "nothing but zeros"),
    ],
)
def test_a_file_is_named(data, kind):
    assert str(foreign.name(data)).startswith(kind)


def test_what_cannot_be_told_is_not_guessed():
    assert foreign.name(b"\x93\x07\xff\x00garbage\x80\x81") is None


def test_the_service_says_it():
    with pytest.raises(PictureError, match="this is an HTML page, not a PNG, JPEG") as caught:
        prepared(b"<html>", PictureInput((28, 28)), LIMITS)
    assert caught.value.status == 415


@given(st.binary(max_size=2000))
def test_no_bytes_break_it(data):
    assert foreign.name(data) is None or foreign.name(data)
