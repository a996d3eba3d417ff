"""Turn each of Pillow's pixel modes into RGB.

==================  ===============================================================================
mode                rule
==================  ===============================================================================
RGB                 as it is; 16 bits a channel were cut to the high byte by the decoder
1, L                gray in all three channels
P                   by its palette
any transparency    ``(value * alpha + background * (255 - alpha)) / 255``, rounded
CMYK                ``(255 - ink) * (255 - black) / 255``, rounded; JPEGs store it inverted
                    (Adobe), which the decoder undoes, as it does YCCK
YCbCr, HSV          by Pillow's conversion
I;16 (12, 16 bit)   scaled: ``v * 255 / (2**bits - 1)``, rounded; 0 is white where a TIFF says so
I (32 bit)          all values in 0..65535: as 16 bit; else the range found, lowest 0, highest 255
F (float)           all values in 0..1: times 255; in 0..255: as they are; else the range found,
                    as for I. NaN and infinity are refused
==================  ===============================================================================

A value is never clipped: 16-bit scans and depth maps keep their order, which ``convert("RGB")``
destroys (it cuts everything above 255 to white).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, TiffImagePlugin

from cbir.errors import ImageError

_BITS_PER_SAMPLE, _PHOTOMETRIC = 258, 262


def to_rgb(picture: Image.Image, background: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Pixels of a loaded picture as RGB (H, W, 3) uint8, possibly read-only, not yet upright.

    Raises
    ------
    ImageError (the message goes on after the file's name) for NaN pixels and modes without a rule.
    """
    mode = picture.mode
    if mode in ("RGB", "RGBX") and "transparency" not in picture.info:
        return np.asarray(picture if mode == "RGB" else picture.convert("RGB"))
    if mode.startswith("I;16"):
        return _from_16_bit(picture, background)
    if mode == "I":
        return _gray(_scale_integers(np.asarray(picture)))
    if mode == "F":
        return _gray(_scale_floats(np.asarray(picture)))
    if picture.has_transparency_data:
        rgba = np.asarray(picture.convert("RGBA"))
        return over(rgba[..., :3], rgba[..., 3], background)
    if mode in ("1", "L", "P", "CMYK", "YCbCr", "HSV"):
        return np.asarray(picture.convert("RGB"))
    raise ImageError(f"has pixels of the mode {mode}, which can't be turned to RGB; save it as RGB")


def over(
    rgb: NDArray[np.uint8], alpha: NDArray[np.uint8], background: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """Lay `rgb` (H, W, 3) with `alpha` (H, W) over a plain colour."""
    a = alpha[..., None].astype(np.uint32)
    mixed = rgb * a + np.asarray(background, np.uint32) * (255 - a)
    return ((mixed + 127) // 255).astype(np.uint8)


def _gray(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(values[..., None], 3, axis=2)


def _from_16_bit(picture: Image.Image, background: tuple[int, int, int]) -> NDArray[np.uint8]:
    values = np.asarray(picture).astype(np.uint32)  # astype also sets the byte order right
    bits, inverted = 16, False
    if isinstance(picture, TiffImagePlugin.TiffImageFile):
        bits = int(picture.tag_v2.get(_BITS_PER_SAMPLE, (16,))[0])
        inverted = picture.tag_v2.get(_PHOTOMETRIC) == 0  # "white is zero"
    full = (1 << bits) - 1
    values = np.minimum(values, full)
    gray = ((values * 255 + full // 2) // full).astype(np.uint8)
    rgb = _gray(255 - gray if inverted else gray)
    key = picture.info.get("transparency")
    if isinstance(key, int):
        return over(rgb, np.where(values == key, 0, 255).astype(np.uint8), background)
    return rgb


def _scale_integers(values: NDArray[np.int32]) -> NDArray[np.uint8]:
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high <= 65535:
        return ((values.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8)
    return _stretch(values, low, high)


def _scale_floats(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    low, high = float(values.min()), float(values.max())  # NaN and infinity come through min or max
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ImageError("holds NaN or infinity among its float pixels; write it again without")
    if low >= 0 and high <= 1:
        return np.rint(values * np.float64(255)).astype(np.uint8)
    if low >= 0 and high <= 255:
        return np.rint(values).astype(np.uint8)
    return _stretch(values, low, high)


def _stretch(
    values: NDArray[np.int32] | NDArray[np.float32], low: float, high: float
) -> NDArray[np.uint8]:
    """Lowest value to 0, highest to 255; a constant picture to 0."""
    span = (float(high) - float(low)) or 1.0
    return np.rint((values.astype(np.float64) - low) * (255 / span)).clip(0, 255).astype(np.uint8)
