"""What every index has in common: ids, arguments, marks, padding.

An index keeps its rows in the order they were added and an int64 id for each (`_ids.py`). The base
turns ids into positions, refuses what can't be, pads answers; `_files.py` writes and reads the
folder. A class says how its rows are checked (`_rows`), coded (`_encode`, `_decode`, where they are
not kept as they came), held (`_no_data`, `_extended`, `_kept`, `_take`), searched (`_search`,
`_range`, `_score`) and which arrays make it up (`_row_arrays`, `_adopted`; `_trained_arrays` and
`_adopt_trained` where there is something to train).

A class keeps all it holds in one object that never changes: a step makes a new one, and the base
puts it in place together with the new ids by one assignment. So `add` either happens or leaves no
trace, whatever is raised inside, Ctrl-C included.

Cost of the bookkeeping: nothing per row in `search` without `allowed`; ids that rise are looked up
by bisection, others are sorted once.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir import _checks
from cbir.errors import DimensionError, NotTrainedError, ParameterError
from cbir.indexes._files import Stored
from cbir.indexes._growing import Growing
from cbir.indexes._ids import Chosen, Ids, Positions, as_wanted, refuse_unknown
from cbir.types import RangeResult, SearchResult


class Index(Stored):
    """Base of all indexes: the contract of FAISS with ids that are the caller's.

    Attributes
    ----------
    takes : what rows are: `cbir.types.Vectors` or `SparseVectors`.
    METRICS, KNOBS : metrics there are; names of the knobs, keywords of `search` and of the
        constructor, which sets the value that `search` uses when it is given none.
    needs_training : whether `train` must be called before `add` and `search`.
    d, metric, ntotal, n_removed, ids : width of a row, meaning of `D`, rows that can be found,
        rows marked as removed, (ntotal,) int64 in row order.
    is_trained, nbytes : whether `add` may be called; bytes of rows, ids and derived arrays.

    Notes
    -----
    `search`, `range_search`, `score` and `reconstruct` may run beside each other; `train`, `add`,
    `remove` and `compact` may not run beside anything.
    """

    takes: ClassVar[Any]
    METRICS: ClassVar[tuple[str, ...]]
    KNOBS: ClassVar[tuple[str, ...]] = ()
    ASCENDING: ClassVar[tuple[str, ...]] = ("l2", "l1")
    needs_training: ClassVar[bool] = False

    def __init__(self, d: int, metric: str) -> None:
        who = type(self).__name__
        self.d = _checks.check_int(d, who=who, name="d", low=1)
        if metric not in self.METRICS:
            raise ParameterError(
                f"{who}: metric={metric!r}, allowed is one of {', '.join(self.METRICS)}"
            )
        self.metric = metric
        self._held: tuple[Ids, Any] = (Ids(Growing(np.zeros(0, np.int64))), self._no_data())

    # ---- what a class fills in ----

    @abstractmethod
    def _rows(self, x: Any, *, who: str, name: str) -> Any:
        """Check rows and give them as the class keeps them."""

    @abstractmethod
    def _no_data(self) -> Any:
        """Give what the class holds of no row; called by the constructor."""

    def _encode(self, rows: Any, n_threads: int) -> Any:
        """Give checked rows in the form in which they are kept, such as codes."""
        return rows

    def _decode(self, kept: Any) -> Any:
        """Give kept rows as `reconstruct` promises them."""
        return kept

    @abstractmethod
    def _extended(self, kept: Any, n_threads: int) -> Any:
        """Give what the class holds with encoded rows after those of `self._data`."""

    @abstractmethod
    def _kept(self, positions: Positions, n_threads: int) -> Any:
        """Give what the class holds of these rows only; `positions` rises."""

    @abstractmethod
    def _take(self, positions: Positions) -> Any:
        """Give the rows at these positions as they are kept, in any order and with repeats."""

    @abstractmethod
    def _search(
        self, rows: Any, k: int, chosen: Chosen, n_threads: int, knobs: Mapping[str, Any]
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Answer checked queries, (nq, k) each; 1 <= k <= chosen.n."""

    @abstractmethod
    def _range(
        self, rows: Any, radius: float, chosen: Chosen, n_threads: int, knobs: Mapping[str, Any]
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Answer checked queries: lims, D and I of all rows within `radius`."""

    @abstractmethod
    def _score(self, rows: Any, positions: Positions, n_threads: int) -> NDArray[np.float32]:
        """Score rows (nq or 1, m) by position for each query; -1 gives the worst value."""

    def _train(self, rows: Any, n_threads: int) -> None:
        """Learn from checked rows."""

    def _knob(self, name: str, value: Any, who: str) -> Any:
        """Check the value of one knob of `KNOBS`."""
        return value

    # ---- what everybody calls ----

    @property
    def _ids(self) -> Ids:
        return self._held[0]

    @property
    def _data(self) -> Any:
        return self._held[1]

    @property
    def ntotal(self) -> int:
        """Number of rows that can be found: removed ones don't count."""
        return self._ids.n_live

    @property
    def n_removed(self) -> int:
        """Number of rows that are marked as removed and still take their space."""
        return len(self._ids.gone)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids in row order, (ntotal,) int64, a copy."""
        return self._ids.all[self._ids.live()] if self.n_removed else self._ids.all.copy()

    @property
    def is_trained(self) -> bool:
        """Whether rows can be added."""
        return not self.needs_training

    def __len__(self) -> int:
        return self.ntotal

    def __repr__(self) -> str:
        return f"{type(self).__name__}(d={self.d}, metric={self.metric!r}, ntotal={self.ntotal})"

    def train(self, xt: Any, *, n_threads: int = 0) -> Self:
        """Learn from `xt` (nt, d) what the index needs before rows come; many need nothing.

        Raises
        ------
        DimensionError, DTypeError, ParameterError (NaN, infinity; or rows are held already, which
        belong to what was learned before).
        """
        who = f"{type(self).__name__}.train"
        rows = self._rows(xt, who=who, name="xt")
        n_threads = _checks.threads(n_threads, who=who)
        if self.needs_training:
            if self._ids.n_rows:
                raise ParameterError(f"{who}: the index holds rows; train a new one")
            self._train(rows, n_threads)
        return self

    def empty(self) -> Self:
        """An index of the same parameters and the same trained state (shared), without rows."""
        new = self._sharing()
        new._held = (Ids(Growing(np.zeros(0, np.int64))), self._no_data())
        return new

    def add(self, xb: Any, ids: ArrayLike | None = None, *, n_threads: int = 0) -> None:
        """Add rows; either all of them or, if anything is raised, none.

        Parameters
        ----------
        xb : rows, (nb, d). Copied.
        ids : (nb,) integers of 0 or more, none of them held already; by default one more than the
            largest id ever held, and so on. An id that was removed is not given out again by
            default.
        n_threads : 0 means all this process may use. What is held does not depend on it.

        Raises
        ------
        DimensionError, DTypeError, NotTrainedError, ParameterError (NaN, infinity, an id that is
        held or given twice).
        """
        who = f"{type(self).__name__}.add"
        self._ready(who)
        rows = self._rows(xb, who=who, name="xb")
        n_threads = _checks.threads(n_threads, who=who)
        if ids is None:
            first = self._ids.next_id
            names = np.arange(first, first + len(rows), dtype=np.int64)
        else:
            names = _checks.as_ids(ids, who=who, n=len(rows))
        self._append(self._encode(rows, n_threads), names, n_threads, who)

    def absorb(self, other: Index, ids: ArrayLike, *, n_threads: int = 0) -> None:
        """Add the rows that `other` holds under `ids`, as it keeps them, under the same ids.

        Parameters
        ----------
        other : an index of the same class and the same parameters.
        ids : (n,) distinct ids of `other`; none of them held here.
        """
        who = f"{type(self).__name__}.absorb"
        self._ready(who)
        if not self._is_like(other):
            raise ParameterError(
                f"{who}: {other!r} differs from {self!r} in class, parameters or what was learned"
            )
        names = _checks.as_ids(ids, who=who)
        at = other._ids.positions(names)
        refuse_unknown(who, names, at >= 0)
        self._append(other._take(at), names, _checks.threads(n_threads, who=who), who)

    def _is_like(self, other: Index) -> bool:
        if type(other) is not type(self) or other.d != self.d:
            return False
        if other._options() != self._options():
            return False
        mine, theirs = self._trained_arrays(), other._trained_arrays()
        return all(a is theirs[name] or np.array_equal(a, theirs[name]) for name, a in mine.items())

    def _append(self, kept: Any, names: NDArray[np.int64], n_threads: int, who: str) -> None:
        there = self._ids.positions(names) >= 0
        if there.any():
            raise ParameterError(
                f"{who}: id {int(names[there][0])} is in the index already; remove it first"
            )
        if len(names):
            self._held = (self._ids.added(names), self._extended(kept, n_threads))

    def search(
        self,
        xq: Any,
        k: int,
        *,
        allowed: ArrayLike | None = None,
        n_threads: int = 0,
        **knobs: Any,
    ) -> SearchResult:
        """Find the `k` best rows for every query.

        Parameters
        ----------
        xq : queries, (nq, d). Not modified.
        k : hits wanted, 1 or more.
        allowed : only rows with these ids may answer: a bool mask over ids (an id past its end is
            not allowed), or an array of ids (those not held, and -1, are passed over). All others
            are as if they weren't there.
        n_threads : 0 means all this process may use. The answer does not depend on it.
        **knobs : those of `KNOBS`, in place of the values set at construction.

        Returns
        -------
        SearchResult of D (nq, k) float32, ascending for l2 (squared) and l1, descending otherwise,
        and I (nq, k) int64. Ties go to the smaller id, and the answer for k begins the answer for
        k + 1. Past the last row I = -1 and D = inf (-inf).
        """
        who = f"{type(self).__name__}.search"
        rows, n_threads, values = self._question(xq, n_threads, knobs, who)
        k = _checks.check_k(k, who=who)
        chosen = self._ids.choose(allowed, who=who)
        shape, inner = (len(rows), k), min(k, chosen.n)
        if not inner or not len(rows):
            return SearchResult(np.full(shape, self._worst), np.full(shape, -1, np.int64))
        found, hits = self._search(rows, inner, chosen, n_threads, values)
        if inner == k:
            return SearchResult(found, hits)
        result = SearchResult(np.full(shape, self._worst), np.full(shape, -1, np.int64))
        result.D[:, :inner], result.I[:, :inner] = found, hits
        return result

    def range_search(
        self,
        xq: Any,
        radius: float,
        *,
        allowed: ArrayLike | None = None,
        n_threads: int = 0,
        **knobs: Any,
    ) -> RangeResult:
        """Find all rows within `radius` of every query, best first, ties to the smaller id.

        Parameters
        ----------
        radius : rounded to float32 as D is. A row is within it if its D is at most `radius` for l2
            (squared) and l1, at least `radius` for similarities.
        xq, allowed, n_threads, knobs : as in `search`.

        Returns
        -------
        RangeResult: the hits of query i are ``lims[i]`` to ``lims[i + 1]`` of D and I.
        """
        who = f"{type(self).__name__}.range_search"
        rows, n_threads, values = self._question(xq, n_threads, knobs, who)
        bound = check_radius(radius, who=who)
        chosen = self._ids.choose(allowed, who=who)
        if not chosen.n or not len(rows):
            none = np.zeros(0, np.float32), np.zeros(0, np.int64)
            return RangeResult(np.zeros(len(rows) + 1, np.int64), *none)
        return RangeResult(*self._range(rows, bound, chosen, n_threads, values))

    def score(self, xq: Any, ids: ArrayLike, *, n_threads: int = 0) -> NDArray[np.float32]:
        """Score given rows exactly: the bits that `search` gives for the same pair.

        Parameters
        ----------
        xq : queries, (nq, d).
        ids : (m,) ids scored for every query, or (nq, m) for each its own; repeats are fine. -1
            gives the worst value, inf (-inf for similarities).

        Returns
        -------
        (nq, m) float32. ParameterError for an id that is not held.
        """
        who = f"{type(self).__name__}.score"
        rows, n_threads, _ = self._question(xq, n_threads, {}, who)
        wanted = as_wanted(ids, who=who)
        if wanted.ndim not in (1, 2) or (wanted.ndim == 2 and len(wanted) != len(rows)):
            raise DimensionError(
                f"{who}: ids has shape {wanted.shape}, expected (m,) or ({len(rows)}, m)"
            )
        at = self._ids.positions(wanted)
        refuse_unknown(who, wanted, (at >= 0) | (wanted == -1))
        at = np.ascontiguousarray(np.atleast_2d(at))
        if not len(rows) or not at.size:
            return np.zeros((len(rows), at.shape[1]), np.float32)
        return self._score(rows, at, n_threads)

    def remove(self, ids: ArrayLike) -> int:
        """Mark the rows with these ids as removed; ids not held are passed over.

        They are found no more and their ids are free; `compact` frees their space. Gives the
        number of rows marked.
        """
        at = self._ids.positions(_checks.as_ids(ids, who=f"{type(self).__name__}.remove"))
        at = at[at >= 0]
        self._held = (self._ids.without(at), self._data)
        return len(at)

    def without(self, ids: ArrayLike) -> Self:
        """Give this index with the rows of `ids` marked as removed; this one is not changed.

        Both share the rows. No work per row: marking n of them looks up n ids.
        """
        view = self._sharing()
        view.remove(ids)
        return view

    def compact(self, *, n_threads: int = 0) -> int:
        """Drop the rows that are marked as removed. Gives their number."""
        n_threads = _checks.threads(n_threads, who=f"{type(self).__name__}.compact")
        dropped = self.n_removed
        if dropped:
            stay = self._ids.live()
            self._held = (self._ids.kept(stay), self._kept(stay, n_threads))
        return dropped

    def reconstruct(self, ids: ArrayLike) -> Any:
        """Give the rows with these ids, in that order; repeats are fine.

        ParameterError for an id that is not held.
        """
        who = f"{type(self).__name__}.reconstruct"
        wanted = as_wanted(ids, who=who)
        if wanted.ndim != 1:
            raise DimensionError(f"{who}: ids has shape {wanted.shape}, expected (n,)")
        at = self._ids.positions(wanted)
        refuse_unknown(who, wanted, at >= 0)
        return self._decode(self._take(at))

    def _sharing(self) -> Self:
        new = type(self).__new__(type(self))  # copy.copy would go through pickle's arrays
        new.__dict__.update(self.__dict__)
        return new

    # ---- arguments ----

    @property
    def _worst(self) -> np.float32:
        return np.float32(np.inf if self.metric in self.ASCENDING else -np.inf)

    def _ready(self, who: str) -> None:
        if not self.is_trained:
            raise NotTrainedError(f"{who}: the index is not trained; call train(xt) first")

    def _question(
        self, xq: Any, n_threads: int, knobs: Mapping[str, Any], who: str
    ) -> tuple[Any, int, dict[str, Any]]:
        self._ready(who)
        unknown = [name for name in knobs if name not in self.KNOBS]
        if unknown:
            there = f"knobs are {', '.join(self.KNOBS)}" if self.KNOBS else "it has no knobs"
            raise ParameterError(f"{who}: {unknown[0]} is not a knob of this index; {there}")
        rows = self._rows(xq, who=who, name="xq")
        values = {
            name: self._knob(name, knobs.get(name, getattr(self, name)), who) for name in self.KNOBS
        }
        return rows, _checks.threads(n_threads, who=who), values


def check_radius(radius: Any, *, who: str) -> float:
    """Give `radius` rounded to float32; ParameterError if it is no number."""
    if isinstance(radius, bool) or not isinstance(radius, (int, float, np.integer, np.floating)):
        raise ParameterError(f"{who}: radius={radius!r}, expected a number")
    with np.errstate(over="ignore"):
        bound = float(np.float32(radius))
    if np.isnan(bound):
        raise ParameterError(f"{who}: radius=nan, expected a number")
    return bound
