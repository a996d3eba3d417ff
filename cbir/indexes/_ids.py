"""From ids to rows: which row has an id, which rows are removed, which may answer.

Ids mostly rise, as a collection gives them out. Then the row of an id is found by bisection in the
ids themselves, which may be mapped from a file and of which only a few pages are touched. Ids in
another order are sorted once, when the first is looked up.
"""

from __future__ import annotations

from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir.errors import DimensionError, DTypeError, ParameterError
from cbir.indexes._growing import Growing

Positions = NDArray[np.int64]


class Chosen(NamedTuple):
    """The rows that may answer a search: all of them, or those of a mask, or a list of positions.

    Attributes
    ----------
    n : how many.
    mask : (rows,) bool, or None.
    positions : (n,) int64, rising, or None.
    """

    n: int
    mask: NDArray[np.bool_] | None = None
    positions: Positions | None = None

    def split(self, rows: int, few: float) -> tuple[NDArray[np.bool_] | None, Positions | None]:
        """(mask, positions), one of them None: positions up to a share `few` of all `rows`."""
        if self.mask is None and self.positions is None:
            return None, None
        if self.n <= few * rows:
            listed = self.positions
            return None, np.flatnonzero(self.mask) if listed is None else listed  # type: ignore[arg-type]
        mask = self.mask
        if mask is None:
            mask = np.zeros(rows, np.bool_)
            mask[self.positions] = True
        return mask, None


class Ids:
    """The id of every row, and which rows are marked as removed. Never changes.

    Parameters
    ----------
    rows : the ids in row order, int64.
    next_id : one more than the largest id ever held.
    gone : (n_removed,) positions of removed rows, rising.
    rising : whether the ids rise strictly, where that is known already.
    """

    def __init__(
        self,
        rows: Growing,
        next_id: int = 0,
        gone: Positions | None = None,
        rising: bool | None = None,
    ) -> None:
        self._rows = rows
        self.next_id = next_id
        self.gone = np.zeros(0, np.int64) if gone is None else gone
        if rising is not None:
            self.__dict__["rising"] = rising

    @property
    def all(self) -> NDArray[np.int64]:
        """The ids of all rows, removed ones too; not a copy."""
        return self._rows.view

    @property
    def n_rows(self) -> int:
        """Number of rows, removed ones too."""
        return len(self._rows.view)

    @property
    def n_live(self) -> int:
        """Number of rows that are not removed."""
        return self.n_rows - len(self.gone)

    @cached_property
    def rising(self) -> bool:
        """Whether ids rise strictly in row order."""
        return bool((self.all[1:] > self.all[:-1]).all())

    @cached_property
    def live_mask(self) -> NDArray[np.bool_] | None:
        """(n_rows,) bool: the rows that are not removed; None where none is."""
        if not len(self.gone):
            return None
        mask = np.ones(self.n_rows, np.bool_)
        mask[self.gone] = False
        return mask

    def live(self) -> Positions:
        """Positions of the rows that are not removed, rising."""
        mask = self.live_mask
        return np.arange(self.n_rows) if mask is None else np.flatnonzero(mask)

    @cached_property
    def _by_id(self) -> tuple[NDArray[np.int64], Positions]:
        """Ids of the live rows, sorted, and their positions; for ids that don't rise."""
        live = self.live()
        ids = self.all[live]
        order = np.argsort(ids, kind="stable")
        return ids[order], live[order]

    @cached_property
    def _first(self) -> int | None:
        """The first id, where the others follow it without gaps."""
        if not self.n_rows or not self.rising:
            return None
        first = int(self.all[0])
        return first if first >= 0 and int(self.all[-1]) - first + 1 == self.n_rows else None

    def positions(self, ids: NDArray[np.int64]) -> Positions:
        """The row of each of `ids` (of any shape), -1 where it is not held."""
        held = self.all if self.rising else self._by_id[0]
        if not len(held):
            return np.full(ids.shape, -1, np.int64)
        if self._first is not None:
            at = ids - self._first
            known = (at >= 0) & (at < len(held))
        else:
            at = np.minimum(np.searchsorted(held, ids), len(held) - 1)
            known = held[at] == ids
        if not self.rising:
            at = self._by_id[1][at]
        elif len(self.gone):
            place = np.minimum(np.searchsorted(self.gone, at), len(self.gone) - 1)
            known &= self.gone[place] != at
        return np.where(known, at, -1)

    # ---- steps, each giving new ids ----

    def added(self, names: NDArray[np.int64]) -> Ids:
        """These ids and `names` after them."""
        rising = (
            self.rising
            and bool((names[1:] > names[:-1]).all())
            and (not self.n_rows or not len(names) or int(names[0]) > int(self.all[-1]))
        )
        next_id = max(self.next_id, int(names.max()) + 1 if len(names) else 0)
        return Ids(self._rows.grown(names), next_id, self.gone, rising)

    def without(self, positions: Positions) -> Ids:
        """The rows at `positions` marked as removed too."""
        if not len(positions):
            return self
        gone = np.union1d(self.gone, positions)
        return Ids(self._rows, self.next_id, gone, self.__dict__.get("rising"))

    def kept(self, positions: Positions) -> Ids:
        """Only the rows at `positions`, which rise; none of them removed."""
        return Ids(Growing(self.all[positions]), self.next_id)

    # ---- which rows may answer ----

    def choose(self, allowed: ArrayLike | None, *, who: str) -> Chosen:
        """Turn a search's `allowed` into rows; removed ones are never among them.

        Parameters
        ----------
        allowed : None; or a bool mask over ids, ids past its end not allowed; or an array of ids,
            those not held (and -1) passed over.
        """
        if allowed is None:
            return self._anyone
        given = as_allowed(allowed, who=who)
        if given.dtype == np.bool_:
            mask = self._rows_of_mask(given)
            if self.live_mask is not None:
                mask = mask & self.live_mask
            return Chosen(int(np.count_nonzero(mask)), mask)
        at = self.positions(given)
        at = at[at >= 0]
        if len(at) < self.n_rows // 16:
            at = np.unique(at)
            return Chosen(len(at), None, at)
        mask = np.zeros(self.n_rows, np.bool_)  # cheaper than sorting so many
        mask[at] = True
        return Chosen(int(np.count_nonzero(mask)), mask)

    @cached_property
    def _anyone(self) -> Chosen:
        return Chosen(self.n_live, self.live_mask)

    def _rows_of_mask(self, allowed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        ids, n = self.all, self.n_rows
        if not n or not len(allowed):
            return np.zeros(n, np.bool_)
        if self._first is not None:
            part = allowed[self._first : self._first + n]
            if len(part) == n:
                return np.ascontiguousarray(part)
            mask = np.zeros(n, np.bool_)
            mask[: len(part)] = part
            return mask
        return np.asarray(allowed[np.clip(ids, 0, len(allowed) - 1)] & (ids < len(allowed)))


def as_allowed(allowed: ArrayLike, *, who: str) -> NDArray[Any]:
    """Give `allowed` as a bool mask or as int64 ids, or say what it is."""
    given = np.asarray(allowed)
    if given.ndim != 1:
        raise DimensionError(
            f"{who}: allowed has shape {given.shape}, expected one axis: a mask over ids, or ids"
        )
    if given.dtype == np.bool_:
        return given
    if not given.size:
        return given.astype(np.int64)
    if not np.issubdtype(given.dtype, np.integer):
        raise DTypeError(f"{who}: allowed is {given.dtype}, expected bool (a mask) or int64 (ids)")
    return given.astype(np.int64, copy=False)


def as_wanted(ids: ArrayLike, *, who: str) -> NDArray[np.int64]:
    """Give ids to look up as int64; any order, repeats and any shape are fine."""
    wanted = np.asarray(ids)
    if not wanted.size:
        return wanted.astype(np.int64)
    if not np.issubdtype(wanted.dtype, np.integer):
        raise DTypeError(f"{who}: ids are {wanted.dtype}, expected int64")
    return wanted.astype(np.int64, copy=False)


def refuse_unknown(who: str, ids: NDArray[np.int64], known: NDArray[np.bool_]) -> None:
    """Raise ParameterError naming the first id that is not known."""
    if not known.all():
        raise ParameterError(f"{who}: id {int(ids[~known][0])} is not in the index")
