"""From the bytes of an upload to a picture in memory.

The bytes come from anyone. Their size is checked before time and memory are spent on them, a
decoder that goes on reading is stopped, and whatever is wrong with them is the client's error.
"""

import ctypes
import io
import warnings
from collections.abc import Callable
from contextlib import suppress

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, _imaging

from wardrobe.serving import deadline
from wardrobe.serving.errors import PictureError, TooLateError
from wardrobe.serving.images import foreign
from wardrobe.serving.scheduling import let_others_finish
from wardrobe.serving.settings import Limits

Image.init()  # registers the formats
# What is odd about a stranger's file is no news for the log, and each message would be remembered.
warnings.filterwarnings("ignore", module=r"PIL\.")
# libtiff would write what is odd about it to stderr, up to a line for each row.
for _handler in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
    with suppress(AttributeError):  # Pillow was built without libtiff
        ctypes.CDLL(_imaging.__file__)[_handler](None)
with suppress(ImportError):
    import pillow_heif

    # One thread for each request, and nothing of a file but the picture itself.
    pillow_heif.register_heif_opener(
        decode_threads=1, thumbnails=False, depth_images=False, aux_images=False
    )

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "HEIF", "AVIF")
NAMES = "PNG, JPEG, WebP, GIF, BMP, TIFF, AVIF or HEIC"
LONGEST_SIDE = 384
"""Pixels. Larger pictures are reduced on decoding: this is ample for what becomes 28×28."""
REDUCED_JPEG = 8
"""A JPEG is decoded at an eighth of its width and height, a line of blocks at a time; it may have
this many times the pixels of another picture."""
MOST_SCANS = 32
"""Passes over the pixels of a progressive JPEG: encoders write about ten."""
MOST_PROFILES = 8
"""Colour profiles of a PNG, each of which Pillow unpacks: there is one at most."""
STRIP = 2**20
"""Pixels that are converted at a time."""
QUICK = 2**20
"""Pixels that are decoded in a few milliseconds."""


class _File(io.BytesIO):
    """An upload that a decoder reads.

    Pillow walks over the pieces of a file one by one: of a file of nothing but tiny pieces there
    are millions, so the reads are limited, and the request's deadline holds for them.
    """

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._reads_left = 10_000 + len(data) // 256

    def read(self, size: int | None = -1) -> bytes:
        self._reads_left -= 1
        if self._reads_left < 0:
            raise OSError("the file consists of too many small pieces")
        deadline.remaining()
        return super().read(size)


def decode(data: bytes, limits: Limits, longest: int | None = LONGEST_SIDE) -> Image.Image:
    """The picture in `data`, of an animation the first: upright, 8 bits per channel, mode L, LA,
    RGB or RGBA, its sides less than twice `longest` pixels, or of its own size.

    Raises `PictureError` for anything but a complete picture within the limits, and `TooLateError`
    if the request's deadline passes.
    """
    deadline.remaining()
    if len(data) > limits.bytes:
        raise PictureError(
            f"the picture has more than {limits.bytes} bytes; send a smaller one", 413
        )
    if not data:
        raise PictureError("the file is empty; send a picture", 400)
    image_format = _detect_format(data)
    if image_format == "PNG" and data.count(b"iCCP") > MOST_PROFILES:
        raise PictureError("the PNG picture has many colour profiles; save it again", 400)
    try:
        with Image.open(_File(data), formats=[image_format]) as image:
            _check_size(image, data, limits, is_reduced=longest is not None)
            if image.width * image.height > QUICK:
                let_others_finish()
            if longest and image.draft(image.mode, (longest, longest)):  # JPEG: decodes it smaller
                _check_pixels(image, limits.pixels)
            rows = _rows(image, data)
            deadline.remaining()
            decoded = _reduce(image.size, rows, longest or max(image.size))
            if image.info:  # it may contain the camera's orientation
                decoded.info = image.info
                ImageOps.exif_transpose(decoded, in_place=True)
            return decoded
    except (PictureError, TooLateError):
        raise
    except Image.DecompressionBombError:
        raise _too_many_pixels(limits.pixels) from None
    except Exception as error:  # for damaged data, decoders raise anything at all
        raise PictureError(
            f"the {_name(image_format)} picture is damaged or cut short; save it again and send"
            " that",
            400,
        ) from error


def _name(image_format: str) -> str:
    """What people call it."""
    return {"HEIF": "HEIC", "WEBP": "WebP"}.get(image_format, image_format)


def is_picture(beginning: bytes) -> bool:
    """Whether a file that begins so, with 16 bytes or more, has one of the accepted formats."""
    return _format(beginning) is not None


def _format(beginning: bytes) -> str | None:
    for name in FORMATS:
        _, accepts = Image.OPEN.get(name, (None, None))
        if accepts and accepts(beginning[:16]) is True:
            return name
    return None


def _detect_format(data: bytes) -> str:
    """The accepted format that `data` begins with."""
    if found := _format(data):
        return found
    kind = foreign.name(data)
    if kind == foreign.HEIC:
        raise PictureError(
            f"this is {kind}, which this service is not set up to read; send it as JPEG (on an"
            " iPhone: Settings, Camera, Formats, Most Compatible), or install the service with the"
            " extra `heif`",
            415,
        )
    raise PictureError(
        f"this is {f'{kind}, ' if kind else ''}not a {NAMES} picture; save it as one of these", 415
    )


def _check_size(image: Image.Image, data: bytes, limits: Limits, is_reduced: bool) -> None:
    """Check what the header says, before memory is allocated for the pixels."""
    most = limits.pixels
    if image.format == "WEBP" and getattr(image, "is_animated", False):
        most //= 4  # Pillow holds two frames, and the first one twice
    elif image.format in ("JPEG", "MPO"):
        if "progressive" not in image.info:  # a progressive one is held in memory as a whole
            most *= REDUCED_JPEG if is_reduced else 1
        elif data.count(b"\xff\xda") > MOST_SCANS:
            raise PictureError(
                f"the JPEG picture has more than {MOST_SCANS} scans; save it again", 413
            )
    _check_pixels(image, most)


def _check_pixels(image: Image.Image, most: int) -> None:
    if image.width * image.height > most:
        raise _too_many_pixels(most)


def _too_many_pixels(most: int) -> PictureError:
    return PictureError(f"the picture has more than {most} pixels; send a smaller one", 413)


def _rows(image: Image.Image, data: bytes) -> Callable[[int, int], Image.Image]:
    """Decode the picture; returns a function from a first row and the one after the last to the
    picture between them, in 8 bits."""
    if image.format != "WEBP" or getattr(image, "is_animated", False):
        image.load()
        return lambda top, end: _to_8_bits(image.crop((0, top, image.width, end)))
    # Pillow would decode it as an animation, in four times the memory.
    flags = cv2.IMREAD_UNCHANGED | cv2.IMREAD_IGNORE_ORIENTATION
    pixels = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    if pixels is None or pixels.shape[:2] != (image.height, image.width):
        raise OSError("OpenCV cannot decode it")
    return lambda top, end: _from_blue_first(pixels[top:end])


def _from_blue_first(pixels: npt.NDArray[np.uint8]) -> Image.Image:
    """OpenCV's `[H, W, 3 or 4]` as a picture."""
    order = cv2.COLOR_BGR2RGB if pixels.shape[2] == 3 else cv2.COLOR_BGRA2RGBA
    return Image.fromarray(cv2.cvtColor(pixels, order))


def _reduce(
    size: tuple[int, int], rows: Callable[[int, int], Image.Image], longest: int
) -> Image.Image:
    """Average whole blocks of pixels of a large picture, so that what follows is cheap.

    It is converted in strips: a second copy of all pixels would be larger than the first.
    """
    width, height = size
    factor = max(1, max(size) // longest)
    if factor == 1 and width * height <= STRIP:
        return rows(0, height)
    block = min(factor, width), min(factor, height)
    step = block[1] * max(1, STRIP // (width * block[1]))
    strips = [rows(top, min(top + step, height)).reduce(block) for top in range(0, height, step)]
    small = Image.new(strips[0].mode, (strips[0].width, sum(strip.height for strip in strips)))
    for index, strip in enumerate(strips):
        small.paste(strip, (0, index * strips[0].height))
    return small


def _to_8_bits(image: Image.Image) -> Image.Image:
    """Convert palettes, single bits, 16 bits, CMYK and the like to L, LA, RGB or RGBA."""
    if image.mode in ("I", "F") or image.mode.startswith("I;16"):
        samples = np.asarray(image, dtype=np.float64) / 257  # 65535 is 255
        return Image.fromarray(samples.round().clip(0, 255).astype(np.uint8))
    is_grey = image.mode in ("1", "L", "LA")
    if image.has_transparency_data:
        return image.convert("LA" if is_grey else "RGBA")
    return image.convert("L" if is_grey else "RGB")
