"""Bring a picture down to a longest side.

``scale = min(1, max_side / max(H, W))``; the new sides are ``round(side * scale)``, at least 1.
Each new pixel is the mean of the area it covers (box filter): no aliasing, and exact block means
where the factor is whole.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np

from cbir._checks import check_int
from cbir.errors import DimensionError, DTypeError
from cbir.types import Image


def resize(image: Image, max_side: int) -> Image:
    """Shrink so that the longest side is at most `max_side`; never enlarge.

    Parameters
    ----------
    image : (H, W, 3) uint8.
    max_side : pixels, at least 1.

    Returns
    -------
    image : (h, w, 3) uint8; the same object where nothing had to be done.

    Raises
    ------
    ParameterError, DimensionError, DTypeError.

    Examples
    --------
    >>> import numpy as np
    >>> resize(np.zeros((240, 320, 3), np.uint8), 160).shape
    (120, 160, 3)
    """
    max_side = check_int(max_side, who="resize", name="max_side", low=1)
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise DimensionError(f"resize: image has shape {image.shape}, expected (H, W, 3)")
    if image.dtype != np.uint8:
        raise DTypeError(f"resize: image is {image.dtype}, expected uint8")
    height, width = image.shape[:2]
    longest = max(height, width)
    if longest <= max_side:
        return image
    # Whole numbers, halves up: the longest side comes out as exactly max_side.
    new_height, new_width = (
        max(1, (2 * side * max_side + longest) // (2 * longest)) for side in (height, width)
    )
    small: Any = cv2.resize(
        np.ascontiguousarray(image), (new_width, new_height), interpolation=cv2.INTER_AREA
    )
    return np.asarray(small, np.uint8)
