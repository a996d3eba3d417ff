"""Exhaustive search over dense rows: exact, the yardstick of every other index.

``l2``: D = sum_t (q_t - x_t)^2, ascending. ``ip``: D = q.x, ``cosine``: D = q.x / (|q||x|),
descending; a row or query of length 0 has cosine 0 with everything.

The kernel (csrc/flat/) never makes the (nq, nb) matrix: a tile of rows x queries lives in registers
and is compared with the k-th best so far; only what may enter is scored again, by differences.
D is therefore free of the cancellation in |q|^2 - 2qx + |x|^2, and the order is that of D itself.

With AVX-512 VNNI and 96 queries or more, the comparison runs on 8-bit codes with a rigorous error
bound (csrc/flat/bytes.h): the same bits in the answer from a quarter of the multiplications.

Cost: nq * nb * d multiply-adds; rows are read once per 1,000 or so queries; 4d + 8 bytes a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cbir import _checks, _core
from cbir.errors import FormatError, ParameterError
from cbir.indexes._base import Index
from cbir.indexes._files import expect, expect_names
from cbir.indexes._growing import Growing
from cbir.indexes._ids import Chosen, Positions
from cbir.types import Vectors

# Squared lengths above this could overflow float32 in a distance: (|q| + |x|)^2 <= 4e36.
_LARGEST_SQUARE = 1e36
# Up to this share of rows allowed, only those are scored; above, the others are scored in vain.
_FEW = 0.25


class Flat(Index):
    """Exhaustive search; the twin is `cbir.reference.flat`.

    Parameters
    ----------
    d : width of a row.
    metric : "l2" (squared distances, ascending), "ip" or "cosine" (similarities, descending).

    Examples
    --------
    >>> import numpy as np
    >>> index = Flat(2)
    >>> index.add(np.array([[0, 0], [3, 4], [1, 0]], np.float32))
    >>> D, I = index.search(np.array([[0, 0]], np.float32), k=2)
    >>> D.tolist(), I.tolist()
    ([[0.0, 1.0]], [[0, 2]])
    """

    kind: ClassVar[str] = "flat"
    takes: ClassVar[Any] = Vectors
    METRICS: ClassVar[tuple[str, ...]] = ("l2", "ip", "cosine")

    def __init__(
        self,
        d: int,
        metric: Annotated[
            Literal["l2", "ip", "cosine"],
            Field(description="how vectors are compared"),
        ] = "l2",
    ) -> None:
        super().__init__(d, metric)

    def _rows(self, x: Any, *, who: str, name: str) -> NDArray[np.float32]:
        rows = _checks.as_matrix(x, who=who, name=name, d=self.d)
        squares = np.einsum("ij,ij->i", rows, rows)
        if squares.size and not squares.max() <= _LARGEST_SQUARE:
            row = int(squares.argmax())
            raise ParameterError(
                f"{who}: {name} row {row} has length above 1e18, where float32 distances overflow; "
                "scale the vectors down"
            )
        return rows

    # ---- rows: one growing (n, d) array ----

    def _no_data(self) -> Growing:
        return Growing(np.zeros((0, self.d), np.float32))

    def _extended(self, kept: NDArray[np.float32], n_threads: int) -> Growing:
        data: Growing = self._data
        return data.grown(kept)

    def _kept(self, positions: Positions, n_threads: int) -> Growing:
        return Growing(self._x[positions])

    def _take(self, positions: Positions) -> NDArray[np.float32]:
        return np.asarray(self._x[positions])

    @property
    def _x(self) -> NDArray[np.float32]:
        data: Growing = self._data
        return data.view

    # ---- search ----

    def _search(
        self,
        rows: NDArray[np.float32],
        k: int,
        chosen: Chosen,
        n_threads: int,
        knobs: Mapping[str, Any],
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        mask, at = chosen.split(len(self._x), _FEW)
        keys, hits = _core.flat_search(
            self._x, self._ids.all, rows, self.metric, k, n_threads, mask, at
        )
        return self._scores(keys), hits

    def _range(
        self,
        rows: NDArray[np.float32],
        radius: float,
        chosen: Chosen,
        n_threads: int,
        knobs: Mapping[str, Any],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        mask, at = chosen.split(len(self._x), _FEW)
        largest = radius if self.metric == "l2" else -radius
        lims, keys, hits = _core.flat_range(
            self._x, self._ids.all, rows, self.metric, largest, n_threads, mask, at
        )
        return lims, self._scores(keys), hits

    def _score(
        self, rows: NDArray[np.float32], positions: Positions, n_threads: int
    ) -> NDArray[np.float32]:
        return self._scores(_core.flat_score(self._x, rows, self.metric, positions, n_threads))

    def _scores(self, keys: NDArray[np.float32]) -> NDArray[np.float32]:
        # 0 - key, not -key: a similarity of 0 must not become -0
        return keys if self.metric == "l2" else np.float32(0) - keys

    # ---- files ----

    def _row_arrays(self) -> dict[str, Sequence[NDArray[Any]]]:
        return {"x": [self._x]}

    def _adopted(
        self, arrays: Mapping[str, NDArray[Any]], folder: Path, *, whole: bool
    ) -> tuple[Growing, int]:
        expect_names(arrays, ["x"], folder)
        path = folder / "x.npy"
        x = expect(arrays["x"], np.float32, 2, path)
        if x.shape[1] != self.d:
            raise FormatError(f"{path}: has d={x.shape[1]}, expected d={self.d}")
        if whole:
            try:
                self._rows(x, who=str(path), name="x")
            except ValueError as error:
                raise FormatError(f"{path}: {error}") from error
        return Growing(x), len(x)
