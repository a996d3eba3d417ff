"""Power normalisation: y = sign(x) |x|^alpha, component by component.

A few large components (a texture that fills the picture) outvote all others in a distance; a power
below 1 brings them nearer to each other. Perronnin, Sanchez and Mensink, ECCV 2010, section 3.2,
for Fisher vectors; Jegou et al., PAMI 2012, section 4.1, for VLAD, with alpha = 1/2: the signed
square root. An L2 normalisation usually follows.

Cost: one power (or square root) a component.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cbir.errors import ParameterError
from cbir.transforms._base import Transform


class Power(Transform):
    """Power normalisation: sign(x) |x|^alpha of each component.

    Parameters
    ----------
    alpha : above 0 and up to 1; 1 changes nothing.

    Examples
    --------
    >>> import numpy as np
    >>> Power(0.5).transform(np.float32([[4, -9, 0]])).tolist()
    [[2.0, -3.0, 0.0]]
    """

    def __init__(
        self, alpha: Annotated[float, Field(gt=0, le=1, description="exponent")] = 0.5
    ) -> None:
        self.alpha = alpha

    def _rows(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        # An exponent that float32 takes for 0 would turn zero rows into ones.
        if not (isinstance(self.alpha, (int, float)) and 0 < np.float32(self.alpha) <= 1):
            raise ParameterError(f"Power: alpha={self.alpha!r}, allowed is above 0 and up to 1")
        return np.copysign(np.power(np.abs(x), np.float32(self.alpha)), x)


class SignedSqrt(Transform):
    """Signed square root, sign(x) sqrt(|x|): `Power` at alpha = 1/2, correctly rounded.

    Examples
    --------
    >>> import numpy as np
    >>> SignedSqrt().transform(np.float32([[4, -9, 0]])).tolist()
    [[2.0, -3.0, 0.0]]
    """

    def _rows(self, x: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.copysign(np.sqrt(np.abs(x)), x)
