from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.sansio.multipart import Data, Epilogue, Field, File, MultipartEncoder, Preamble

from wardrobe.serving.errors import RequestError
from wardrobe.serving.http.multipart import Part, parts

BOUNDARY = "----boundary-7MA4YWxk"
LETTERS = st.characters(codec="utf-8", exclude_categories=["C"], exclude_characters='"\\')
names = st.text(LETTERS, min_size=1)


def encoded(sent: list[Part]) -> bytes:
    """The form as another library writes it."""
    encoder = MultipartEncoder(BOUNDARY.encode())
    body = encoder.send_event(Preamble(data=b""))
    for name, filename, data in sent:
        event = (
            Field(name=str(name), headers=Headers())
            if filename is None
            else File(name=str(name), filename=filename, headers=Headers())
        )
        body += encoder.send_event(event) + encoder.send_event(Data(data=data, more_data=False))
    return body + encoder.send_event(Epilogue(data=b""))


@given(st.lists(st.builds(Part, names, st.none() | names, st.binary(min_size=1)), max_size=5))
def test_every_part_is_found_as_it_was_sent(sent: list[Part]) -> None:
    assert parts(encoded(sent), BOUNDARY, most=5) == sent


def test_text_before_the_first_part_and_after_the_last_is_ignored() -> None:
    sent = [Part("file", "a.png", b"\r\n--\r\n")]
    body = b"This is a form.\r\n" + encoded(sent).lstrip(b"\r\n") + b"\r\nThat was it."
    assert parts(body, BOUNDARY, most=1) == sent


def test_a_file_name_may_be_in_any_language() -> None:
    body = (
        b"--x\r\ncontent-type: image/png\r\nCONTENT-DISPOSITION: form-data; name=file;"
        b" filename*=UTF-8''%E9%9E%8B.png\r\n\r\nx\r\n--x--"
    )
    assert parts(body, "x", most=1) == [Part("file", "鞋.png", b"x")]


def test_too_many_parts_are_rejected() -> None:
    sent = [Part("file", "a.png", b"x")] * 1000
    assert len(parts(encoded(sent), BOUNDARY, most=1000)) == 1000
    with pytest.raises(RequestEntityTooLarge):
        parts(encoded(sent), BOUNDARY, most=999)


@given(st.data())
def test_a_form_that_is_cut_short_is_an_error(data: st.DataObject) -> None:
    body = encoded([Part("file", "a.png", b"x" * 50), Part("file", "b.png", b"y" * 50)])
    end = data.draw(st.integers(0, len(body) - len("--\r\n") - 1))
    with pytest.raises(RequestError, match="cut short or broken"):
        parts(body[:end], BOUNDARY, most=2)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_the_clients_error(body: bytes) -> None:
    for form in (body, b"--x\r\n" + body, b"--x\r\n" + body + b"\r\n--x--"):
        with suppress(RequestError, RequestEntityTooLarge):
            assert all(isinstance(each.data, bytes) for each in parts(form, "x", most=64))


FILE = Part("file", "boot.png", b"\x89PNG\r\n")


@pytest.mark.parametrize(
    "form",
    [
        b'--x\r\nContent-Disposition: form-data;\r\n name="file";\r\n\tfilename="boot.png"'
        b"\r\n\r\n\x89PNG\r\n\r\n--x--\r\n",
        b"--x\r\nContent-Type: image/png\r\nContent-Disposition: form-data; name=file;"
        b" filename=boot.png; filename*=utf-8''boot.png\r\n\r\n\x89PNG\r\n\r\n--x--\r\n",
        b'preamble\r\n--x  \r\nContent-Disposition: form-data; name="file"; filename="boot.png"\r\n'
        b"Content-Type: image/png; charset=utf-8\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        b"\x89PNG\r\n\r\n--x--  \r\nepilogue\r\n--x\r\n",
        b'--x\nContent-Disposition: form-data; name="file"; filename="boot.png"\n\n'
        b"\x89PNG\r\n\n--x--\n",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="boot.png"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\niVBO\r\nRw0K\r\n--x--",
        b'--x\r\nContent-Disposition: form-data; name="file"; filename="boot.png"\r\n'
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n=89PNG\r\n\r\n--x--",
    ],
    ids=["folded", "dotnet", "java", "bare line ends", "base64", "quoted-printable"],
)
def test_forms_of_other_clients(form: bytes) -> None:
    assert parts(form, "x", most=1) == [FILE]


def test_a_boundary_that_begins_another_one_ends_nothing() -> None:
    inner = b"a\r\n--xy\r\nb"
    body = b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + inner + b"\r\n--x--"
    assert parts(body, "x", most=1) == [Part("file", None, inner)]
