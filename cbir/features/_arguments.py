"""Check what every feature is handed: a picture and, perhaps, a region of it."""

from __future__ import annotations

from typing import Any

import numpy as np

from cbir._checks import check_int
from cbir.errors import DimensionError, DTypeError, ParameterError
from cbir.types import Image


def check_image(image: Any, *, who: str) -> Image:
    """Give `image` as C-contiguous uint8 (H, W, 3); copies only strided pictures.

    Raises
    ------
    DimensionError, DTypeError.
    """
    if not isinstance(image, np.ndarray):
        raise DTypeError(
            f"{who}: image is a {type(image).__name__}, expected what cbir.images.decode gives"
        )
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DimensionError(
            f"{who}: image has shape {image.shape}, expected (H, W, 3) with at least one pixel"
        )
    if image.dtype != np.uint8:
        raise DTypeError(f"{who}: image is {image.dtype}, expected uint8 RGB")
    return np.ascontiguousarray(image)


def check_region(region: Any, image: Image, *, who: str) -> tuple[int, int, int, int]:
    """Give the part of ``(x, y, w, h)`` that lies inside `image`.

    A region drawn by hand may stick out; it is cut to the picture. One without a pixel in it is
    refused.

    Raises
    ------
    ParameterError.
    """
    height, width = image.shape[:2]
    values = tuple(region) if np.iterable(region) else ()
    if len(values) != 4:
        raise ParameterError(f"{who}: region={region!r}, expected (x, y, w, h) in pixels")
    x, y, w, h = (
        check_int(v, who=who, name="region", low=-(2**31), high=2**31 - 1) for v in values
    )
    left, right = max(x, 0), min(x + w, width)
    top, bottom = max(y, 0), min(y + h, height)
    if w < 1 or h < 1 or left >= right or top >= bottom:
        raise ParameterError(
            f"{who}: region={(x, y, w, h)} holds no pixel of the {width} x {height} image"
        )
    return left, top, right - left, bottom - top
