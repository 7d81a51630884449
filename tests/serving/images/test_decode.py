import contextvars
import io
import struct
import time
import zipfile
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from wardrobe.serving import deadline
from wardrobe.serving.errors import PictureError, TooLateError
from wardrobe.serving.images.decode import LONGEST_SIDE, decode
from wardrobe.serving.settings import Limits

LIMITS = Limits(bytes=10**6, pixels=4_000_000)
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "AVIF", "HEIF")
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
        ("TIFF", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK"]),
        ("AVIF", ["L", "RGB", "RGBA"]),
        ("HEIF", ["L", "RGB", "RGBA"]),
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
        (b"no picture at all", 415, "not a PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or HEIC"),
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


@pytest.mark.parametrize("kind", ["PPM", "TGA", "ICO", "PCX"])
def test_other_formats_are_refused_even_if_pillow_reads_them(encode, kind: str) -> None:
    with pytest.raises(PictureError) as caught:
        decode(encode(GREY, kind), LIMITS)
    assert caught.value.status == 415


def test_without_its_library_a_heic_picture_is_named_and_how_to_send_it(
    encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = encode(GREY, "HEIF")
    monkeypatch.delitem(Image.OPEN, "HEIF")
    with pytest.raises(PictureError, match=r"HEIC photograph.*send it as JPEG.*extra `heif`") as it:
        decode(picture, LIMITS)
    assert it.value.status == 415


def test_a_jpeg_that_is_decoded_smaller_may_have_eight_times_the_pixels(encode) -> None:
    sizes = (5000, 6000), (5000, 6500)
    large, larger = (Image.new("L", size) for size in sizes)
    assert max(decode(encode(large, "JPEG"), LIMITS).size) < 2 * LONGEST_SIDE
    for picture in (
        encode(larger, "JPEG"),
        encode(large, "JPEG", progressive=True),
        encode(large, "PNG"),
        encode(Image.new("L", (60_000, 500)), "JPEG"),  # too narrow to be decoded much smaller
    ):
        with pytest.raises(PictureError, match=r"more than .* pixels"):
            decode(picture, LIMITS)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def flat(kind: str, encode) -> bytes:
    """A picture of 25 million equal pixels."""
    size = (5000, 5000)
    if kind == "PNG, 16 bits":
        header = struct.pack(">IIBBBBB", *size, 16, 0, 0, 0, 0)
        pixels = zlib.compress(bytes(size[1] * (2 * size[0] + 1)))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            chunk(*each) for each in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b""))
        )
    if kind == "TIFF":
        return bytes(encode(Image.new("RGB", size), "TIFF", compression="tiff_lzw"))
    if kind == "WEBP":
        return bytes(encode(Image.new("RGB", size), "WEBP", lossless=True, method=0, quality=0))
    mode, kind = kind.split()
    return bytes(encode(Image.new(mode, size), kind))


@pytest.mark.parametrize(
    ("kind", "bytes_a_pixel"),
    [
        ("PNG, 16 bits", 4),
        ("P PNG", 4),
        ("LA PNG", 4),
        ("RGBA PNG", 4),
        ("P GIF", 4),
        ("TIFF", 4),
        ("WEBP", 10),
    ],
)
def test_a_small_file_takes_no_more_memory_than_its_pixels_are_worth(
    encode, growth, kind: str, bytes_a_pixel: int
) -> None:
    code = """from wardrobe.serving.images.decode import decode
from wardrobe.serving.settings import Settings
print(decode(data, Settings().limits).size)"""
    grown, size = growth(code, flat(kind, encode))
    assert size == "(385, 385)"
    assert grown < 20 + bytes_a_pixel * 25


def of_pieces(kind: str, encode) -> bytes:
    """A picture among many tiny pieces, each of which takes its time."""
    small = Image.new("L", (64, 64))
    head, rest = encode(small, "PNG")[:33], encode(small, "PNG")[33:]
    jpeg = encode(small, "JPEG")
    if kind == "text":
        return bytes(head + chunk(b"tEXt", b"a\0b") * 300_000 + rest)
    if kind == "profiles":
        profile = chunk(b"iCCP", b"a\0\0" + zlib.compress(bytes(2**20 - 10), 9))
        return bytes(head + profile * 3000 + rest)
    if kind == "exif":
        return bytes(jpeg[:2] + b"\xff\xe1\0\x0cExif\0\0MM\0*" * 300_000 + jpeg[2:])
    if kind == "comments":
        return bytes(jpeg[:2] + b"\xff\xfe\0\2" * 1_000_000 + jpeg[2:])
    progressive = encode(Image.new("L", (2000, 2000)), "JPEG", progressive=True)
    last_scan = progressive[progressive.rfind(b"\xff\xda") : -2]
    return bytes(progressive[:-2] + last_scan * 1000 + b"\xff\xd9")


@pytest.mark.parametrize("kind", ["text", "profiles", "exif", "comments", "scans"])
def test_a_file_of_many_small_pieces_is_refused_at_once(encode, kind: str) -> None:
    data = of_pieces(kind, encode)
    begun = time.monotonic()
    with pytest.raises(PictureError):
        decode(data, Limits(bytes=20 * 2**20, pixels=4_000_000))
    assert time.monotonic() - begun < 2


def test_the_deadline_is_looked_at_before_a_picture_is_decoded(encode) -> None:
    def late() -> None:
        deadline.start(time.monotonic() - 2, allowed=1)
        with pytest.raises(TooLateError):
            decode(encode(GREY), LIMITS)

    contextvars.Context().run(late)


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


def test_a_broken_tiff_writes_nothing_into_the_log(
    encode, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64), np.uint8)
    data = bytearray(encode(Image.fromarray(noise), "TIFF", compression="tiff_lzw"))
    data[len(data) // 2 :: 100] = bytes(len(data[len(data) // 2 :: 100]))
    with pytest.raises(PictureError):
        decode(bytes(data), LIMITS)
    assert capfd.readouterr().err == ""
