"""An array that grows at its end, without changing what others hold of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class _Space:
    """Room for rows, of which the first `n_used` belong to somebody."""

    __slots__ = ("n_used", "rows")

    def __init__(self, rows: NDArray[Any], n_used: int) -> None:
        self.rows = rows
        self.n_used = n_used


class Growing:
    """Rows end to end. `grown` gives a new `Growing`; the old one keeps saying what it said.

    Space is doubled, so n appends of one row cost O(n). Both share the space: rows are written past
    the end of the old one, where nobody looks, so an `add` that is cut off leaves no trace. Where
    somebody else has grown from the same rows already, they are copied. An array handed over at
    the start (perhaps mapped from a file) is never written to.

    Examples
    --------
    >>> before = Growing(np.array([1, 2]))
    >>> after, other = before.grown(np.array([3])), before.grown(np.array([4]))
    >>> before.view, after.view, other.view
    (array([1, 2]), array([1, 2, 3]), array([1, 2, 4]))
    """

    __slots__ = ("_n", "_space")

    def __init__(self, start: NDArray[Any]) -> None:
        self._space = _Space(start, len(start))
        self._n = len(start)

    @property
    def view(self) -> NDArray[Any]:
        """The rows."""
        return self._space.rows[: self._n]

    def grown(self, rows: NDArray[Any]) -> Growing:
        """These rows and `rows` after them; `rows` are copied."""
        if not len(rows):
            return self
        total, space = self._n + len(rows), self._space
        # A start has no room behind it, so nothing is ever written into it.
        if space.n_used != self._n or total > len(space.rows):
            shape = (max(total, 2 * self._n), *space.rows.shape[1:])
            space = _Space(np.empty(shape, space.rows.dtype), self._n)
            space.rows[: self._n] = self.view
        space.n_used = total  # before writing: an append that is cut off spoils nobody else's
        space.rows[self._n : total] = rows
        after = Growing.__new__(Growing)
        after._space, after._n = space, total
        return after
