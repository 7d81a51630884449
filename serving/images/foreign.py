"""What a file is that is no picture the service reads: people send, and keep among their pictures,
pages that a download left, archives, videos and drawings under the name of a photograph."""

import re

HEIC = "a HEIC photograph"

_MAGIC = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"8BPS", "a Photoshop file"),
    (b"\0\0\1\0", "an icon"),
    (b"\0\0\0\x0cjP  ", "a JPEG 2000 picture"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\0\0\0\x0cJXL ", "a JPEG XL picture"),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video"),
    (b"RIFF", "an audio or video file"),
    (b"ID3", "a sound"),
    (b"OggS", "an audio or video file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format 3", "a database"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"version https://git-lfs", "a pointer of Git LFS, not the file itself"),
    (b"{\\rtf", "a text document"),
    (b"\0\x05\x16\x07", "macOS' companion of a file, not the file itself"),
)
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), "an AVIF picture"),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"), HEIC),
    b"crx ": "a raw photograph",
}
_MARKUP = (
    (re.compile(rb"<svg[\s>]", re.IGNORECASE), "an SVG drawing"),
    (re.compile(rb"<(!doctype html|html|head|body|script|title)", re.IGNORECASE), "an HTML page"),
    (re.compile(rb"^\s*data:image/", re.IGNORECASE), "a data URL"),
    (re.compile(rb"^\s*(iVBORw0KGgo|/9j/|R0lGOD|UklGR)"), "a picture's bytes in base64"),
    (re.compile(rb"^\s*<"), "an XML document"),
    (re.compile(rb"^\s*[{\[]"), "JSON text"),
)


def name(data: bytes) -> str | None:
    """What a file is that begins with `data`, as `an HTML page`; None if that cannot be told."""
    beginning = data[:1024]
    if beginning[4:8] == b"ftyp":
        return _BRANDS.get(beginning[8:12], "a video")
    for magic, kind in _MAGIC:
        if beginning.startswith(magic):
            return kind
    text = beginning.removeprefix(b"\xef\xbb\xbf")
    for pattern, kind in _MARKUP:
        if pattern.search(text):
            return kind
    if not text.strip(b"\0"):
        return "nothing but zeros"
    return "text" if _is_text(text) else None


def _is_text(beginning: bytes) -> bool:
    try:
        return beginning[:-3].decode("utf-8").isprintable() or b"\n" in beginning
    except UnicodeDecodeError:
        return False
