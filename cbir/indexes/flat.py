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
from cbir.indexes._files import expect
from cbir.indexes._growing import Growing
from cbir.indexes._ids import Chosen, Positions
from cbir.types import Vectors

# Squared lengths above this could overflow float32 in a distance: (|q| + |x|)^2 <= 4e36.
_LARGEST_SQUARE = 1e36


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

    def _extended(self, rows: NDArray[np.float32], n_threads: int) -> Growing:
        data: Growing = self._data
        return data.grown(rows)

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
        x, ids = self._x, self._ids.all
        _, at = chosen.split(len(x), 1.0)
        if at is not None:
            x, ids = x[at], ids[at]
        keys, hits = _core.flat_search(x, ids, rows, self.metric, k, n_threads)
        return self._scores(keys), hits

    def _range(
        self,
        rows: NDArray[np.float32],
        radius: float,
        chosen: Chosen,
        n_threads: int,
        knobs: Mapping[str, Any],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        D, I = self._search(rows, chosen.n, chosen, n_threads, knobs)  # noqa: E741
        inside = np.less_equal(D, radius) if self.metric == "l2" else np.greater_equal(D, radius)
        return np.concatenate([[0], np.cumsum(inside.sum(1))]), D[inside], I[inside]

    def _score(
        self, rows: NDArray[np.float32], positions: Positions, n_threads: int
    ) -> NDArray[np.float32]:
        scores = np.full((len(rows), positions.shape[1]), self._worst)
        for i, at in enumerate(np.broadcast_to(positions, scores.shape)):
            real = np.flatnonzero(at >= 0)
            if len(real):
                keys, hits = _core.flat_search(
                    self._x[at[real]], real, rows[i : i + 1], self.metric, len(real), n_threads
                )
                scores[i, hits[0]] = self._scores(keys[0])
        return scores

    def _scores(self, keys: NDArray[np.float32]) -> NDArray[np.float32]:
        # 0 - key, not -key: a similarity of 0 must not become -0
        return keys if self.metric == "l2" else np.float32(0) - keys

    # ---- files ----

    def _row_arrays(self) -> dict[str, Sequence[NDArray[Any]]]:
        return {"x": [self._x]}

    def _adopted(
        self, arrays: Mapping[str, NDArray[Any]], folder: Path, *, whole: bool
    ) -> tuple[Growing, int]:
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
