"""An array that grows at its end, without changing what others hold of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Growing:
    """Rows end to end. `grown` gives a new `Growing`; the old one keeps saying what it said.

    Space is doubled, so n appends of one row cost O(n). Both share the space: rows are written past
    the end of the old one, where nobody looks, so an `add` that is cut off leaves no trace. Only
    the newest of a family writes there; an older one that is grown takes a copy. An array handed
    over at the start (perhaps mapped from a file) is never written to.

    Examples
    --------
    >>> before = Growing(np.array([1, 2]))
    >>> after = before.grown(np.array([3]))
    >>> before.view, after.view
    (array([1, 2]), array([1, 2, 3]))
    """

    __slots__ = ("_buffer", "_n", "_used")

    def __init__(self, start: NDArray[Any]) -> None:
        self._buffer = start
        self._n = len(start)
        # rows of the buffer that a member of the family has; the start has no room of its own
        self._used = [-1]

    @property
    def view(self) -> NDArray[Any]:
        """The rows."""
        return self._buffer[: self._n]

    def grown(self, rows: NDArray[Any]) -> Growing:
        """These rows and `rows` after them; `rows` are copied."""
        if not len(rows):
            return self
        total = self._n + len(rows)
        after = Growing(self._buffer)
        if self._used[0] == self._n and total <= len(self._buffer):
            after._used = self._used
        else:
            shape = (max(total, 2 * self._n), *self._buffer.shape[1:])
            after._buffer = np.empty(shape, self._buffer.dtype)
            after._buffer[: self._n] = self.view
        after._used[0] = total
        after._buffer[self._n : total] = rows
        after._n = total
        return after
