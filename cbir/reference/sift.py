"""RootSIFT, said plainly (Arandjelovic and Zisserman, CVPR 2012). SIFT itself is OpenCV's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def root_sift(desc: NDArray[np.float32]) -> NDArray[np.float32]:
    """Descriptors (n, 128), not negative -> (n, 128) float32 of length 1; zero rows stay zero."""
    out = np.zeros(desc.shape, np.float32)
    for i, row in enumerate(desc.astype(np.float64)):
        total = row.sum()
        if total > 0:
            out[i] = np.sqrt(row / total)
    return out
