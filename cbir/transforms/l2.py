"""Length 1: y = x / |x|. A zero row stays zero.

The length is summed in float64, where no float32 row overflows. Cost: two passes over the rows.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cbir.transforms._base import Transform


class L2(Transform):
    """Unit length: each row divided by its Euclidean length.

    Examples
    --------
    >>> import numpy as np
    >>> L2().transform(np.float32([[3, 4], [0, 0]])).tolist()
    [[0.6000000238418579, 0.800000011920929], [0.0, 0.0]]
    """

    def _rows(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        length = np.sqrt(np.square(x, dtype=np.float64).sum(axis=1, keepdims=True))
        return np.asarray(x / np.where(length > 0, length, 1.0))
