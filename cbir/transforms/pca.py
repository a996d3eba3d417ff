"""Principal components: the d directions along which the data varies most, optionally whitened.

::

    C = 1 / (n - 1) sum_i (x_i - m)(x_i - m)^T = V diag(l) V^T,   l_1 >= l_2 >= ...
    y = V_d^T (x - m)                     and, whitened,   y_j <- y_j / sqrt(l_j)

Reducing keeps distances as well as d numbers can and drops what is mostly noise; whitening gives
every kept direction the same weight, so that what many images share (the first directions of VLAD
and of CNN vectors) no longer outvotes the rest: Jegou and Chum, ECCV 2012, sections 3 and 4. An L2
normalisation follows it there, and usually here.

Where we depart from the papers: zero rows (images without descriptors) are left out of `fit` and
stay zero. The sign of a direction is arbitrary: here its largest component is positive. Directions
that the data does not span have no meaning, and whitening would blow their rounding noise up to the
weight of all others: a `d` above the rank is refused.

**Same bytes however rows are cut into batches.** A matrix product by BLAS rounds by the shape of
its operands, so the last bits of a row would depend on its neighbours and on the number of threads.
`transform` therefore cuts both operands into whole numbers so small that all products and sums are
exact in float64 (Ozaki, Ogita, Oishi and Rump, Numerical Algorithms 59, 2012): directions to 24
bits, rows to two slices of b = 29 - log2(D) bits. Only the two exact sums are rounded. The error is
that of 24-bit directions, 2^-24 sqrt(D) |x| at most. The bytes of `fit` are those of the LAPACK
beneath.

Cost: `fit` takes n D min(n, D) multiply-adds and the eigenvectors of the smaller of C, (D, D), and
the products of rows with each other, (n, n), which has the same ones (Turk and Pentland, J. Cogn.
Neurosci. 3, 1991); memory is min(n, D)^2 float64 beside `x`. `transform` takes 2 D d multiply-adds
a row in float64, a millisecond for the 8,192 numbers of VLAD to 128.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from cbir._checks import as_matrix, check_int
from cbir.errors import DimensionError, ParameterError
from cbir.transforms._base import Transform, blocks

_NOISE = 1e-12  # of the largest variance: below it there is only the rounding of float32 input
_BITS = 23  # of a direction, beside its sign


class PCA(Transform):
    """Principal components: the `d` directions of largest variance, whitened on request.

    Parameters
    ----------
    d : numbers kept; at most the rank of what `fit` is given.
    whiten : divide each by its standard deviation.

    Attributes
    ----------
    mean_ : (D,) float32 of the rows of `fit`.
    components_ : (d, D) float32, orthonormal rows, by falling variance.
    variances_ : (d,) float32, variance of the rows of `fit` along each, as far as float32 goes.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.float32([[1, 1], [2, 2], [3, 3], [4, 4.0]])
    >>> pca = PCA(1).fit(x)
    >>> print(pca.transform(x).round(2).ravel())
    [-2.12 -0.71  0.71  2.12]
    """

    learns: ClassVar[bool] = True
    STATE: ClassVar[tuple[str, ...]] = ("components", "mean", "variances")

    mean_: NDArray[np.float32]
    components_: NDArray[np.float32]
    variances_: NDArray[np.float32]

    def __init__(
        self,
        d: Annotated[int, Field(ge=1, le=65_536, description="numbers kept")],
        whiten: Annotated[bool, Field(description="divide each by its standard deviation")] = False,
    ) -> None:
        self.d = d
        self.whiten = whiten
        # Directions as whole numbers, for the exact product; remade at the first use, not stored.
        self._whole: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def fit(self, x: ArrayLike) -> Self:
        """Learn mean and directions.

        Parameters
        ----------
        x : (n, D) float32 or float64 (cast). Not modified. Zero rows don't count.

        Raises
        ------
        DimensionError, DTypeError; ParameterError for NaN or infinity, where the rows span fewer
        than `d` directions, and where whitening needs variances that float32 can't hold.
        """
        who = "PCA.fit"
        d = check_int(self.d, who=who, name="d", low=1)
        x = as_matrix(x, who=who, name="x")
        used = x.any(axis=1)
        x = x if used.all() else x[used]
        n, width = x.shape
        if d > width:
            raise ParameterError(f"{who}: d={d}, but a row of x has only {width} numbers")
        if d > n - 1:
            raise ParameterError(_too_few(d, n, max(n - 1, 0)))
        mean = x.mean(axis=0, dtype=np.float64).astype(np.float32)
        variances, components = _directions(x, mean, d)
        rank = int((variances > _NOISE * max(float(variances[0]), 0.0)).sum())
        if rank < d:
            raise ParameterError(_too_few(d, n, rank))
        limits = np.finfo(np.float32)
        if self.whiten and (variances[0] > limits.max or variances[-1] < limits.tiny):
            raise ParameterError(
                f"{who}: the variances of x run from {variances[0]:.3g} to {variances[-1]:.3g}, "
                "beyond float32; scale its rows to lengths near 1"
            )
        largest = np.abs(components).argmax(axis=1)
        components *= np.sign(components[np.arange(d), largest])[:, None]
        self.mean_ = mean
        self.components_ = np.ascontiguousarray(components, np.float32)
        self.variances_ = variances.clip(limits.tiny, limits.max).astype(np.float32)
        self._whole = None
        return self

    def _widths(self) -> tuple[int | None, int | None]:
        return len(self.mean_), len(self.components_)

    def _rows(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        if self._whole is None:
            self._whole = _as_whole(self.components_)
        y = _product(x.astype(np.float64) - self.mean_, *self._whole)
        if self.whiten:
            y /= np.sqrt(self.variances_.astype(np.float64))
        y[~x.any(axis=1)] = 0.0
        return y

    def _adopt(self, arrays: dict[str, NDArray[Any]]) -> None:
        mean, components, variances = (arrays[name] for name in ("mean", "components", "variances"))
        d, width = self.d, len(mean) if mean.ndim == 1 else -1
        for name, array, shape in (
            ("mean", mean, (width,)),
            ("components", components, (d, width)),
            ("variances", variances, (d,)),
        ):
            if array.dtype != np.float32 or array.shape != shape or not np.isfinite(array).all():
                raise DimensionError(
                    f"{name} is {array.dtype} {array.shape}, expected finite float32 {shape}"
                )
        if not (variances > 0).all():
            raise ParameterError("variances must be above 0")
        super()._adopt(arrays)

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_whole": None}


def _too_few(d: int, n: int, rank: int) -> str:
    return (
        f"PCA.fit: d={d}, but the {n} rows of x that aren't zero span only {rank} directions; "
        f"fit on more rows, or take a smaller d (well below {rank} if it is whitened)"
    )


def _directions(
    x: NDArray[np.float32], mean: NDArray[np.float32], d: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give variances (d,), falling, and unit directions (d, D) of the centred rows, in float64."""
    from scipy.linalg import eigh  # 0.1 s to import, and only a build needs it

    n, width = x.shape
    of_columns = width <= n
    size = width if of_columns else n
    products = np.zeros((size, size))
    if of_columns:
        for rows in blocks(n, width):
            centred = x[rows].astype(np.float64) - mean
            products += centred.T @ centred
    else:
        for columns in blocks(width, n):
            centred = x[:, columns].astype(np.float64) - mean[columns]
            products += centred @ centred.T
    # Symmetric, so the transpose is the same matrix, in the order that LAPACK works on in place.
    values, vectors = eigh(products.T, subset_by_index=[size - d, size - 1], overwrite_a=True)
    values, vectors = values[::-1], np.ascontiguousarray(vectors[:, ::-1].T)
    if not of_columns:
        # X X^T u = l u gives X^T X (X^T u) = l (X^T u), of length sqrt(l)
        lifted = np.zeros((d, width))
        for columns in blocks(width, n):
            lifted[:, columns] = vectors @ (x[:, columns].astype(np.float64) - mean[columns])
        length = np.linalg.norm(lifted, axis=1, keepdims=True)
        vectors = lifted / np.where(length > 0, length, 1.0)
    return values / (n - 1), vectors


def _as_whole(components: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Directions as whole numbers below 2^23 in size, (D, d), and what each column stands for."""
    unit = np.ldexp(1.0, np.frexp(np.abs(components).max(axis=1))[1] - _BITS)
    whole = np.rint(components.astype(np.float64) / unit[:, None])
    return np.ascontiguousarray(whole.T), unit


def _product(
    rows: NDArray[np.float64], whole: NDArray[np.float64], unit: NDArray[np.float64]
) -> NDArray[np.float64]:
    """``rows @ (whole * unit)`` with sums that are exact, and so the same for any batch.

    `rows` is overwritten.
    """
    # Sums of D products stay below 2^(b + 23 + log2 D) = 2^52.
    bits = 52 - _BITS - int(np.ceil(np.log2(max(rows.shape[1], 1))))
    largest = np.abs(rows).max(axis=1, initial=0.0)
    step = np.ldexp(1.0, np.frexp(largest)[1] - bits)[:, None]
    # All factors are powers of two, so only the two roundings to whole numbers change anything.
    rows *= 1.0 / step
    high = np.rint(rows)
    rows -= high
    rows *= 2.0**bits
    low = np.rint(rows, out=rows)
    y: NDArray[np.float64] = low @ whole
    y *= 2.0**-bits
    y += high @ whole
    y *= step * unit
    return y
