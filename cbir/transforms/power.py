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
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from cbir._checks import as_matrix
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

    def transform(self, x: ArrayLike) -> NDArray[np.float32]:
        """Give the rows of `x`, (n, d) float32, with each component raised.

        Raises
        ------
        DimensionError, DTypeError, ParameterError for NaN, infinity or `alpha` out of range.
        """
        if not (isinstance(self.alpha, (int, float)) and 0 < self.alpha <= 1):
            raise ParameterError(f"Power: alpha={self.alpha!r}, allowed is above 0 and up to 1")
        rows = as_matrix(x, who="Power.transform", name="x")
        return np.copysign(np.power(np.abs(rows), np.float32(self.alpha)), rows)


class SignedSqrt(Transform):
    """Signed square root, sign(x) sqrt(|x|): `Power` at alpha = 1/2, correctly rounded.

    Examples
    --------
    >>> import numpy as np
    >>> SignedSqrt().transform(np.float32([[4, -9, 0]])).tolist()
    [[2.0, -3.0, 0.0]]
    """

    def transform(self, x: ArrayLike) -> NDArray[np.float32]:
        """Give the rows of `x`, (n, d) float32, with the root of each component.

        Raises
        ------
        DimensionError, DTypeError, ParameterError for NaN or infinity.
        """
        rows = as_matrix(x, who="SignedSqrt.transform", name="x")
        return np.copysign(np.sqrt(np.abs(rows)), rows)
