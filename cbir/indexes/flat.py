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

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cbir import _checks, _core
from cbir.errors import FormatError, ParameterError
from cbir.indexes._base import Growing, Index, expect
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
            Literal["l2", "ip", "cosine"], Field(description="how vectors are compared")
        ] = "l2",
    ) -> None:
        super().__init__(d, metric)
        self._x = Growing(np.zeros((0, self.d), np.float32))

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

    def _append(self, rows: NDArray[np.float32]) -> None:
        self._x.append(rows)

    def _keep(self, positions: NDArray[np.int64]) -> None:
        self._x = Growing(self._x.view[positions])

    def _take(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.array(self._x.view[positions])

    def _search(
        self, rows: NDArray[np.float32], k: int, n_threads: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        keys, hits = _core.flat_search(
            self._x.view, self._ids.view, rows, self.metric, k, n_threads
        )
        # 0 - key, not -key: a similarity of 0 must not become -0
        return (keys if self.metric == "l2" else np.float32(0) - keys), hits

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {"x": self._x.view}

    def _adopt(self, arrays: Mapping[str, NDArray[Any]], folder: Path) -> int:
        path = folder / "x.npy"
        x = expect(arrays["x"], np.float32, 2, path)
        try:
            self._x = Growing(self._rows(x, who=str(path), name="x"))
        except ValueError as error:
            raise FormatError(f"{path}: {error}") from error
        return len(x)
