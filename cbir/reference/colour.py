"""Colour histogram, said plainly: one loop over the pixels, colours by their formulas.

Read `cbir/features/colour.py` for the rules; this is what its tables and `np.bincount` must equal.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def rgb_to_hsv(r: int, g: int, b: int) -> tuple[int, int, int]:
    """HSV of one 8-bit colour as OpenCV stores it: hue in degrees / 2, 0..179; S and V in 0..255.

    ``V = max``, ``S = 255 (max - min) / max``, ``H = 30 (g - b) / (max - min)`` where red is
    largest, 60 more for green, 120 more for blue; in 12-bit fixed point, which decides how halves
    are rounded.
    """
    v, low = max(r, g, b), min(r, g, b)
    spread = v - low
    s = (spread * round(255 * 4096 / v) + 2048) >> 12 if v else 0
    if v == r:
        sixth = g - b
    elif v == g:
        sixth = b - r + 2 * spread
    else:
        sixth = r - g + 4 * spread
    h = (sixth * round(30 * 4096 / spread) + 2048) >> 12 if spread else 0
    return h + 180 if h < 0 else h, s, v


def colour_histogram(
    image: NDArray[np.uint8],
    space: str = "hsv",
    bins: tuple[int, int, int] = (20, 10, 20),
    joint: bool = True,
    grid: int = 1,
    hellinger: bool = True,
) -> NDArray[np.float32]:
    """Histogram (d,) float32 of an image (H, W, 3) uint8; `space` is "rgb" or "hsv"."""
    height, width = image.shape[:2]
    n0, n1, n2 = bins
    # Row y lies in the cell i for which H * i // grid <= y < H * (i + 1) // grid.
    cell_of_row = np.repeat(range(grid), np.diff([height * i // grid for i in range(grid + 1)]))
    cell_of_column = np.repeat(range(grid), np.diff([width * i // grid for i in range(grid + 1)]))
    joint_counts = np.zeros((grid, grid, n0, n1, n2))
    for y in range(height):
        for x in range(width):
            r, g, b = (int(v) for v in image[y, x])
            if space == "hsv":
                h, s, v = rgb_to_hsv(r, g, b)
                # Bin 0 reaches half a bin to either side of red (0 degrees = 360 degrees).
                i = int(np.floor((2 * h + 180 / n0) / (360 / n0) + 1e-9)) % n0
                j, k = s * n1 // 256, v * n2 // 256
            else:
                i, j, k = r * n0 // 256, g * n1 // 256, b * n2 // 256
            joint_counts[cell_of_row[y], cell_of_column[x], i, j, k] += 1
    if joint:
        counts = joint_counts.ravel()
    else:
        channels = [joint_counts.sum(axis=axes) for axes in ((3, 4), (2, 4), (2, 3))]
        counts = np.concatenate(channels, axis=-1).ravel()
    mass = counts / counts.sum()
    return np.asarray(np.sqrt(mass) if hellinger else mass, np.float32)
