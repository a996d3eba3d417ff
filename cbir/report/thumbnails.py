"""Small upright pictures from whatever a caller has: a path, bytes, an array, a PIL image.

Letterboxed, never stretched. JPEG is decoded at reduced size where the format allows it, so that a
report over large photographs stays quick.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from cbir.errors import DimensionError, DTypeError

Picture = str | Path | bytes | NDArray[np.uint8] | Image.Image

PAPER = (255, 255, 255)
PLACEHOLDER = (214, 218, 224)
PLACEHOLDER_INK = (138, 146, 158)


def thumbnail(picture: Picture, side: int) -> Image.Image:
    """Give `picture` upright, RGB, its longer side at most `side` pixels; a grey tile where
    unreadable.

    Raises
    ------
    DimensionError, DTypeError where an array is no uint8 RGB image: a caller's mistake, not a bad
    file.
    """
    if isinstance(picture, np.ndarray):
        if picture.ndim != 3 or picture.shape[2] != 3 or 0 in picture.shape:
            raise DimensionError(f"thumbnail: image has shape {picture.shape}, expected (H, W, 3)")
        if picture.dtype != np.uint8:
            raise DTypeError(f"thumbnail: image is {picture.dtype}, expected uint8 RGB")
        image = Image.fromarray(np.ascontiguousarray(picture))
    else:
        try:
            image = _open(picture, side)
        # Pillow's decoders raise nearly anything on broken files; each means the same here.
        except Exception:
            return placeholder(side)
    image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image


def _open(picture: str | Path | bytes | Image.Image, side: int) -> Image.Image:
    if isinstance(picture, Image.Image):
        image = picture
    else:
        image = Image.open(io.BytesIO(picture) if isinstance(picture, bytes) else picture)
        image.draft("RGB", (side * 2, side * 2))
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith(("I", "F")):  # 16 and 32 bits: scaled, where convert() would clip
        values = np.asarray(image, np.float64)
        top = 65535.0 if image.mode.startswith("I;16") else max(float(values.max()), 1.0)
        return Image.fromarray((values / top * 255).clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        flat = Image.new("RGB", image.size, PAPER)
        flat.paste(image, mask=image.getchannel("A"))
        return flat
    return image.convert("RGB") if image.mode != "RGB" else image.copy()


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
