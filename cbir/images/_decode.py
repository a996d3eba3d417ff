"""Decode one picture to upright uint8 RGB.

The rules, in the order in which they are applied:

1. The content decides the format, never the extension. Only the formats of `FORMATS` are tried:
   Pillow knows dozens more, some of which start other programs (EPS) or are seldom looked after.
2. The size in the header is held against `max_pixels` before a pixel is decoded (decompression
   bombs).
3. The first frame is taken (GIF, WebP, APNG, TIFF pages, MPO). For an APNG that is the default
   image.
4. The mode becomes RGB by the rules of `_modes.py`. ICC profiles are left alone: numbers are taken
   as sRGB. A profile-aware conversion would tie descriptors to the version of the colour engine.
5. EXIF orientation 1-8 is undone (TIFF: the tag of the page itself). An unreadable EXIF block
   counts as none; so does an orientation outside 1-8. The pixels matter more than their wrapping.
6. The longest side is brought down to `max_side` by area averaging (`_resize.py`).

JPEG draft mode (decoding at 1/2, 1/4, 1/8 in the DCT domain) is not used: it would be quicker on
large files, and its pixels differ from those of the rule above. A damaged JPEG whose data is
complete decodes to whatever libjpeg makes of it, as in every viewer; missing data is an error.

Cost: one decode and at most three passes over the pixels; memory about 3 to 7 bytes a pixel at full
size.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, BinaryIO

import numpy as np

# Importing the plug-ins registers them. Image.open would otherwise import every plug-in it has at
# the first WebP or TIFF, which takes 0.1 s and is not made for several threads.
from PIL import (  # noqa: F401
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    MpoImagePlugin,
    PngImagePlugin,
    PpmImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)
from pydantic import Field

from cbir import types
from cbir._checks import check_int
from cbir.errors import ImageError, ParameterError
from cbir.images._modes import to_rgb
from cbir.images._resize import resize

FORMATS = ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "DIB", "PPM", "GIF")
"""What is decoded, by Pillow's names. JPEG includes MPO (more pictures behind the first)."""

EXTENSIONS = (
    ".apng", ".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".mpo", ".pbm", ".pgm",
    ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp",
)  # fmt: skip
"""Extensions by which `walk` finds pictures; lower case, compared without regard to case."""

MAX_PIXELS = 178_956_970
"""Default pixel limit: where Pillow itself refuses (512 MiB of RGB). A higher one has no effect."""

Byte = Annotated[int, Field(ge=0, le=255)]

_ORIENTATION_TAG = 0x0112

# What undoes each EXIF orientation, on an array (H, W, 3). 5 to 8 swap height and width.
_UPRIGHT: dict[int, Callable[[types.Image], types.Image]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}

# Beginnings of files people do have in photo folders, to say more than "not an image".
_KNOWN_OTHERS = (
    (4, b"ftypheic", "a HEIC photograph"),
    (4, b"ftypheix", "a HEIC photograph"),
    (4, b"ftypmif1", "a HEIF photograph"),
    (4, b"ftypavif", "an AVIF picture"),
    (4, b"ftyp", "a video"),
    (0, b"%PDF", "a PDF document"),
    (0, b"%!PS", "a PostScript file"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"PK\x03\x04", "a zip archive"),
    (0, b"<svg", "an SVG drawing"),
    (0, b"<?xml", "an XML file (SVG?)"),
    (0, b"<!DOCTYPE", "a web page"),
    (0, b"<html", "a web page"),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
)


def decode(
    source: str | Path | bytes,
    *,
    max_side: Annotated[
        int,
        Field(ge=0, le=65_536, description="longest side in pixels, larger ones shrink; 0: as is"),
    ] = 0,
    max_pixels: Annotated[
        int, Field(ge=1, le=2**31 - 1, description="pictures with more pixels are refused")
    ] = MAX_PIXELS,
    background: Annotated[
        tuple[Byte, Byte, Byte], Field(description="RGB that shows through transparent pixels")
    ] = (255, 255, 255),
) -> types.Image:
    """Decode a picture to upright RGB.

    Parameters
    ----------
    source : path of a file, or the bytes of one.
    max_side : bring the longest side down to this many pixels; 0 keeps the size. Never enlarges.
    max_pixels : refuse pictures with more pixels than this, before decoding them.
    background : (red, green, blue), 0-255, what shows through transparent pixels.

    Returns
    -------
    image : (H, W, 3) uint8, C-contiguous, writable, RGB.

    Raises
    ------
    ImageError whatever is wrong with the file: missing, a folder, not to be read, empty, cut, no
    picture, too many pixels. ParameterError for the other arguments.

    Examples
    --------
    >>> from cbir.images import decode
    >>> decode(b"P6 2 1 255 " + bytes([255, 0, 0, 0, 0, 255])).tolist()
    [[[255, 0, 0], [0, 0, 255]]]
    """
    max_side = check_int(max_side, who="decode", name="max_side", low=0)
    check_int(max_pixels, who="decode", name="max_pixels", low=1)
    over = _check_background(background)

    with _open(source) as (file, name):
        head = file.read(64)
        if not head:
            raise ImageError(f"{name} is empty (0 bytes); copy it again or delete it")
        file.seek(0)
        # Pillow's decoders raise nearly every built-in exception on damaged input (struct.error,
        # SyntaxError, MemoryError, ...), so here, and only here, all of them mean: a bad file.
        try:
            picture = Image.open(file, formats=FORMATS)
        except UnidentifiedImageError as error:
            raise ImageError(f"{name} {_what_it_is(head)}") from error
        except Image.DecompressionBombError as error:
            raise ImageError(f"{name} is too large: {error}; make it smaller") from error
        except Exception as error:
            raise ImageError(_damaged(name, error)) from error
        with picture:
            _check_size(picture, name, max_pixels)
            try:
                picture.load()
                image = _upright(to_rgb(picture, over), _orientation(picture))
            except ImageError as error:
                raise ImageError(f"{name} {error}") from error
            except Exception as error:
                raise ImageError(_damaged(name, error)) from error
    image = np.ascontiguousarray(image)
    if max_side:
        image = resize(image, max_side)
    # Pillow hands over read-only memory; what we give out may be drawn on.
    return image if image.flags.writeable else image.copy()


def shown(path: str | os.PathLike[str]) -> str:
    r"""A path as it may stand in a message or a log: one line, and only what UTF-8 can say.

    >>> shown("a\nb.jpg")
    "'a\\nb.jpg'"
    """
    text = os.fspath(path)
    return text if text.isprintable() else ascii(text)


@contextmanager
def _open(source: str | Path | bytes) -> Iterator[tuple[BinaryIO, str]]:
    """The source as an open file, and its name for messages."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield io.BytesIO(source), "the image"
        return
    if not isinstance(source, (str, os.PathLike)):
        raise ParameterError(
            f"decode: source is a {type(source).__name__}, expected a path or the bytes of a file"
        )
    name = shown(source)
    try:
        mode = os.stat(source).st_mode  # noqa: PTH116  source may be no valid Path (NUL)
        if stat.S_ISDIR(mode):
            raise ImageError(
                f"{name} is a folder, expected an image file; cbir.images.walk lists a folder"
            )
        if not stat.S_ISREG(mode):
            # A pipe or a device could block for ever.
            raise ImageError(
                f"{name} is no regular file (a pipe, socket or device); copy it to a file"
            )
        file = open(source, "rb")  # noqa: SIM115, PTH123  closed below
    except FileNotFoundError as error:
        raise ImageError(f"{name} does not exist{_broken_link(source)}; check the path") from error
    except PermissionError as error:
        raise ImageError(f"{name} may not be read (permission denied); chmod +r it") from error
    except (OSError, ValueError) as error:  # ValueError: a NUL or a lone surrogate in the name
        raise ImageError(f"{name} can't be opened ({error}); check the path") from error
    with file:
        try:
            file.peek(1)
        except OSError as error:
            raise ImageError(f"{name} can't be read ({error}); check the disk") from error
        yield file, name


def _broken_link(source: str | os.PathLike[str]) -> str:
    return " (a symbolic link to nothing)" if Path(source).is_symlink() else ""


def _check_background(background: tuple[int, ...]) -> tuple[int, int, int]:
    values = tuple(background)
    if len(values) != 3:
        raise ParameterError(
            f"decode: background={background!r}, expected (red, green, blue), each 0 to 255"
        )
    r, g, b = (check_int(v, who="decode", name="background", low=0, high=255) for v in values)
    return r, g, b


def _check_size(picture: Image.Image, name: str, max_pixels: int) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise ImageError(f"{name} is {width} x {height}, it has no pixels; delete it")
    if width * height > max_pixels:
        raise ImageError(
            f"{name} has {width} x {height} = {width * height:,} pixels, "
            f"the limit is {max_pixels:,}; make it smaller or raise max_pixels"
        )


def _orientation(picture: Image.Image) -> int:
    """EXIF orientation, 1 where there is none; call after load(), which undoes TIFF's own tag."""
    try:
        value = picture.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # damaged EXIF raises as many kinds as damaged pixels; rule 5
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def _upright(image: types.Image, orientation: int) -> types.Image:
    undo = _UPRIGHT.get(orientation)
    return undo(image) if undo else image


def _what_it_is(head: bytes) -> str:
    """End of the message about a file none of our decoders knows."""
    cure = "convert it to JPEG or PNG, or delete it"
    start = head.lstrip()
    for offset, magic, what in _KNOWN_OTHERS:
        if (start if offset == 0 else head)[offset:].startswith(magic):
            return f"is {what}, not an image cbir reads; {cure}"
    if not any(head):
        return f"is no image (it begins with {len(head)} zero bytes); copy it again or delete it"
    readable = ", ".join(f for f in FORMATS if f != "DIB")
    return f"is no image, or damaged at its start ({head[:12]!r}; read are {readable}); {cure}"


def _damaged(name: str, error: Exception) -> str:
    if isinstance(error, MemoryError):
        return f"{name} needs more memory than there is; make it smaller"
    if isinstance(error, Image.DecompressionBombWarning):
        return f"{name} is too large: {error}; make it smaller"
    reason = str(error) or type(error).__name__
    cut = "truncated" in reason.lower() or isinstance(error, EOFError)
    return f"{name} is {'truncated' if cut else 'damaged'} ({reason}); copy it again or delete it"
