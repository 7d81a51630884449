import io
import struct
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wardrobe.serving.errors import PictureError
from wardrobe.serving.images.decode import LONGEST_SIDE, decode
from wardrobe.serving.settings import Limits

LIMITS = Limits(bytes=10**6, pixels=4_000_000)
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
GREY = np.tile(np.arange(0, 240, 4, dtype=np.uint8), (40, 1))


def grey_levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("L")).astype(int)


@pytest.mark.parametrize(
    ("kind", "modes"),
    [
        ("PNG", ["1", "L", "LA", "P", "RGB", "RGBA"]),
        ("JPEG", ["1", "L", "RGB", "CMYK"]),
        ("WEBP", ["L", "LA", "P", "RGB", "RGBA"]),
        ("GIF", ["1", "L", "LA", "P", "RGB", "RGBA"]),
        ("BMP", ["1", "L", "P", "RGB", "RGBA"]),
    ],
)
def test_every_format_in_every_mode_it_can_hold(encode, kind: str, modes: list[str]) -> None:
    for mode in modes:
        original = Image.fromarray(GREY).convert(mode)
        decoded = decode(encode(original, kind), LIMITS)
        assert decoded.mode in ("L", "LA", "RGB", "RGBA")
        assert decoded.size == original.size
        wanted = grey_levels(original.convert("RGB"))
        assert np.abs(grey_levels(decoded) - wanted).mean() < 6  # palettes, JPEG and WebP lose some


def test_16_bit_grey_is_scaled_to_8(encode) -> None:
    image = Image.fromarray(GREY.astype(np.uint16) * 257)
    assert image.mode == "I;16"
    np.testing.assert_array_equal(np.asarray(decode(encode(image), LIMITS)), GREY)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(encode, orientation: int) -> None:
    picture = np.zeros((40, 60), np.uint8)
    picture[:20, :20] = 255  # top left
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # how a camera held that way writes it
    stored = Image.fromarray(picture)
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(turns[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(encode(stored, "JPEG", exif=exif, quality=95), LIMITS)
    assert decoded.size == (60, 40)
    assert np.abs(grey_levels(decoded) - picture).mean() < 3


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_the_first_frame_of_an_animation_is_the_picture(encode, kind: str) -> None:
    frames = [Image.fromarray(np.full((30, 30), level, np.uint8)) for level in (200, 10, 90)]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    assert abs(grey_levels(decode(data, LIMITS)).mean() - 200) < 3


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_large_pictures_are_reduced(encode, kind: str) -> None:
    picture = np.zeros((1500, 2600), np.uint8)
    picture[:, 1300:] = 200
    decoded = decode(encode(picture, kind), LIMITS)
    assert LONGEST_SIDE <= max(decoded.size) < 2 * LONGEST_SIDE
    levels = grey_levels(decoded)
    half = decoded.width // 2
    assert (levels[:, : half - 2] < 5).all()
    assert (levels[:, half + 2 :] > 195).all()


def bomb(width: int, height: int) -> bytes:
    """A PNG that promises many pixels in a few bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rest = chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rest


@pytest.mark.parametrize(
    ("data", "status", "message"),
    [
        (b"", 400, "empty"),
        (b"no picture at all", 415, "not a PNG, JPEG, WebP, GIF or BMP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 415, "not a PNG"),
        (b"\x89PNG\r\n\x1a\n", 400, "the PNG picture is damaged"),
        (b"\xff\xd8\xff\xe0 and then nothing", 400, "the JPEG picture is damaged"),
        (bytes(LIMITS.bytes + 1), 413, "more than 1000000 bytes"),
        (bomb(2001, 2000), 413, "more than 4000000 pixels"),
        (bomb(60_000, 60_000), 413, "more than 4000000 pixels"),
        (bomb(100, 100), 400, "the PNG picture is damaged"),
    ],
)
def test_an_unusable_picture_is_the_clients_error(data: bytes, status: int, message: str) -> None:
    with pytest.raises(PictureError, match=message) as caught:
        decode(data, LIMITS)
    assert caught.value.status == status


def test_other_formats_are_refused_even_if_pillow_reads_them(encode) -> None:
    with pytest.raises(PictureError) as caught:
        decode(encode(GREY, "TIFF"), LIMITS)
    assert caught.value.status == 415


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("evil.py", "import os")
    return file.getvalue()


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize(
    "other", [zipped(), b"<script>alert(1)</script>", b"%PDF-1.7\n", b"\x7fELF", b"#!/bin/sh\n"]
)
def test_a_picture_that_is_also_something_else_is_only_a_picture(
    encode, kind: str, other: bytes
) -> None:
    picture = encode(GREY, kind)
    np.testing.assert_array_equal(
        np.asarray(decode(picture + other, LIMITS)), np.asarray(decode(picture, LIMITS))
    )
    with pytest.raises(PictureError) as caught:
        decode(other + picture, LIMITS)
    assert caught.value.status == 415


def test_a_picture_with_a_script_in_its_comment_is_only_a_picture(encode) -> None:
    image = Image.fromarray(GREY)
    with_script = encode(image, "GIF", comment=b"*/=1;alert(1)/*")
    assert b"alert(1)" in with_script
    np.testing.assert_array_equal(grey_levels(decode(with_script, LIMITS)), GREY)


@given(
    data=st.binary(max_size=300),
    start=st.sampled_from(
        [
            b"",
            b"\x89PNG\r\n\x1a\n",
            b"GIF89a",
            b"\xff\xd8\xff\xe0",
            b"BM",
            b"RIFF\x40\x00\x00\x00WEBPVP8 ",
        ]
    ),
)
def test_any_bytes_are_a_picture_or_a_picture_error(data: bytes, start: bytes) -> None:
    with suppress(PictureError):
        decode(start + data, LIMITS)


@given(data=st.data())
@pytest.mark.parametrize("kind", FORMATS)
def test_a_damaged_file_is_a_picture_or_a_picture_error(encode, kind: str, data) -> None:
    whole = bytearray(encode(GREY, kind))
    position = st.integers(0, len(whole) - 1)
    for index, value in data.draw(
        st.dictionaries(position, st.integers(0, 255), max_size=8)
    ).items():
        whole[index] = value
    end = data.draw(st.integers(0, len(whole)))
    with suppress(PictureError):
        decode(bytes(whole[:end]), LIMITS)
