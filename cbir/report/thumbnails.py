"""Small pictures from uint8 RGB arrays, as `cbir.images.decode` gives them. Letterboxed, never
stretched.

What could not be decoded is None here, and drawn as a grey tile that says so: a report about a
thousand images mustn't die of one.
"""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from cbir.errors import DimensionError, DTypeError

Picture = NDArray[np.uint8] | None

PLACEHOLDER = (214, 218, 224)
PLACEHOLDER_INK = (138, 146, 158)


def thumbnail(picture: Picture, side: int) -> Image.Image:
    """Give `picture` with its longer side at most `side` pixels; a grey tile for None.

    Raises
    ------
    DimensionError, DTypeError where the array is no uint8 RGB image.
    """
    if picture is None:
        return placeholder(side)
    a = np.asarray(picture)
    if a.ndim != 3 or a.shape[2] != 3 or 0 in a.shape:
        raise DimensionError(f"thumbnail: image has shape {a.shape}, expected (H, W, 3)")
    if a.dtype != np.uint8:
        raise DTypeError(f"thumbnail: image is {a.dtype}, expected uint8 RGB")
    image = Image.fromarray(np.ascontiguousarray(a))
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image


def placeholder(side: int) -> Image.Image:
    """A grey square with a crossed-out frame, for a picture that can't be read."""
    big = Image.new("RGB", (side * 2, side * 2), PLACEHOLDER)
    draw = ImageDraw.Draw(big)
    low, high, width = side * 0.7, side * 1.3, max(2, side // 40)
    draw.rectangle((low, low, high, high), outline=PLACEHOLDER_INK, width=width)
    draw.line((low, high, high, low), fill=PLACEHOLDER_INK, width=width)
    return big.resize((side, side), Image.Resampling.LANCZOS)


def data_uri(picture: Picture, side: int, quality: int = 82) -> tuple[str, int, int]:
    """The thumbnail as a JPEG ``data:`` URI, with its width and height in pixels."""
    image = thumbnail(picture, side)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality, optimize=True)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return f"data:image/jpeg;base64,{text}", image.width, image.height


def printable(text: str) -> str:
    """One line that can be drawn and encoded: control characters and lone surrogates become a
    dot.
    """
    return "".join(c if c.isprintable() else "·" for c in text)
