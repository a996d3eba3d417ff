"""What every index has in common: ids, arguments, padding, files.

An index keeps its rows in the order they were added and an int64 id for each. The base turns ids
into positions, refuses ids that are there already, pads answers, and writes and reads the folder
(`cbir.store`). A class says how its rows are checked (`_rows`), kept (`_append`, `_keep`, `_take`),
searched (`_search`), and which arrays make it up (`_arrays`, `_adopt`).

Cost of the bookkeeping: `add` and `remove` sort ids, O(n log n) with NumPy; `search` touches none
of it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir import _checks
from cbir.errors import FormatError, ParameterError
from cbir.store import load_arrays, save_arrays
from cbir.types import SearchResult


class Growing:
    """An array that grows at its end; space is doubled, so n appends of one row cost O(n).

    `view` is the part in use. An array handed over at the start (perhaps mapped from a file and
    read-only) is copied by the first append, and never written to.
    """

    def __init__(self, start: NDArray[Any]) -> None:
        self._buffer = start
        self._n = len(start)

    @property
    def view(self) -> NDArray[Any]:
        """The rows in use."""
        return self._buffer[: self._n]

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows at the end."""
        total = self._n + len(rows)
        if total > len(self._buffer):
            grown = np.empty((max(total, 2 * self._n), *self._buffer.shape[1:]), self._buffer.dtype)
            grown[: self._n] = self.view
            self._buffer = grown
        self._buffer[self._n : total] = rows
        self._n = total


class Index(ABC):
    """Base of all indexes: the contract of FAISS with ids that are the caller's.

    Attributes
    ----------
    d, metric, ntotal, ids : width of a row, meaning of `D`, rows held, (ntotal,) int64 in row
        order.
    is_trained, nbytes : whether `add` may be called; bytes of rows, ids and derived arrays.

    Notes
    -----
    `search` may run beside `search`. `add` and `remove` may not run beside anything.
    """

    kind: ClassVar[str]
    takes: ClassVar[Any]
    KNOBS: ClassVar[tuple[str, ...]] = ()
    METRICS: ClassVar[tuple[str, ...]]
    ASCENDING: ClassVar[tuple[str, ...]] = ("l2", "l1")

    def __init__(self, d: int, metric: str) -> None:
        who = type(self).__name__
        self.d = _checks.check_int(d, who=who, name="d", low=1)
        if metric not in self.METRICS:
            raise ParameterError(
                f"{who}: metric={metric!r}, allowed is one of {', '.join(self.METRICS)}"
            )
        self.metric = metric
        self._ids = Growing(np.zeros(0, np.int64))
        self._next_id = 0

    # ---- what a class fills in ----

    @abstractmethod
    def _rows(self, x: Any, *, who: str, name: str) -> Any:
        """Check rows and give them as the class keeps them."""

    @abstractmethod
    def _append(self, rows: Any) -> None:
        """Keep checked rows, after those held."""

    @abstractmethod
    def _keep(self, positions: NDArray[np.int64]) -> None:
        """Drop all rows but these; `positions` rises."""

    @abstractmethod
    def _take(self, positions: NDArray[np.int64]) -> Any:
        """Give the rows at these positions."""

    @abstractmethod
    def _search(
        self, rows: Any, k: int, n_threads: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Answer checked queries; `k` is at least 1 and at most `ntotal`."""

    @abstractmethod
    def _arrays(self) -> dict[str, NDArray[Any]]:
        """Give the arrays a file holds, besides `ids`."""

    @abstractmethod
    def _adopt(self, arrays: Mapping[str, NDArray[Any]], folder: Path) -> int:
        """Take such arrays over; give the number of rows. FormatError if they can't be true."""

    # ---- what everybody calls ----

    @property
    def ntotal(self) -> int:
        """Number of rows held."""
        return len(self._ids.view)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids in row order, (ntotal,) int64, a copy."""
        return self._ids.view.copy()

    @property
    def is_trained(self) -> bool:
        """Whether rows can be added."""
        return True

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays in use."""
        return int(self._ids.view.nbytes + sum(a.nbytes for a in self._arrays().values()))

    def __len__(self) -> int:
        return self.ntotal

    def __repr__(self) -> str:
        return f"{type(self).__name__}(d={self.d}, metric={self.metric!r}, ntotal={self.ntotal})"

    def train(self, xt: Any) -> Self:
        """Check `xt` and learn nothing: this index needs no training."""
        self._rows(xt, who=f"{type(self).__name__}.train", name="xt")
        return self

    def add(self, xb: Any, ids: ArrayLike | None = None) -> None:
        """Add rows.

        Parameters
        ----------
        xb : rows, (nb, d). Copied.
        ids : (nb,) integers of 0 or more, none of them held already; by default one more than the
            largest id ever held, and so on. An id that was removed is not given out again by
            default.

        Raises
        ------
        DimensionError, DTypeError, ParameterError (NaN, infinity, an id that is held or given
        twice).
        """
        who = f"{type(self).__name__}.add"
        rows = self._rows(xb, who=who, name="xb")
        if ids is None:
            names = np.arange(self._next_id, self._next_id + len(rows), dtype=np.int64)
        else:
            names = _checks.as_ids(ids, who=who, n=len(rows))
            there = np.isin(names, self._ids.view)
            if there.any():
                raise ParameterError(
                    f"{who}: id {int(names[there][0])} is in the index already; remove it first"
                )
        if not len(names):
            return
        self._append(rows)
        self._ids.append(names)
        self._next_id = max(self._next_id, int(names.max()) + 1)

    def search(self, xq: Any, k: int, *, n_threads: int = 0) -> SearchResult:
        """Find the `k` best rows for every query.

        Parameters
        ----------
        xq : queries, (nq, d). Not modified.
        k : hits wanted, 1 or more.
        n_threads : 0 means all this process may use. The answer does not depend on it.

        Returns
        -------
        SearchResult of D (nq, k) float32, ascending for l2 (squared) and l1, descending otherwise,
        and I (nq, k) int64. Ties go to the smaller id. Past the last row I = -1 and D = inf (-inf).
        """
        who = f"{type(self).__name__}.search"
        rows = self._rows(xq, who=who, name="xq")
        k = _checks.check_k(k, who=who)
        n_threads = _checks.threads(n_threads, who=who)
        worst = np.inf if self.metric in self.ASCENDING else -np.inf
        shape = (len(rows), k)
        inner = min(k, self.ntotal)
        if not inner or not len(rows):
            return SearchResult(np.full(shape, worst, np.float32), np.full(shape, -1, np.int64))
        found, hits = self._search(rows, inner, n_threads)
        if inner == k:
            return SearchResult(found, hits)
        result = SearchResult(np.full(shape, worst, np.float32), np.full(shape, -1, np.int64))
        result.D[:, :inner], result.I[:, :inner] = found, hits
        return result

    def remove(self, ids: ArrayLike) -> int:
        """Drop the rows with these ids; ids not held are passed over. Gives the number dropped."""
        gone = _checks.as_ids(ids, who=f"{type(self).__name__}.remove")
        stay = ~np.isin(self._ids.view, gone)
        dropped = self.ntotal - int(stay.sum())
        if dropped:
            self._keep(np.flatnonzero(stay))
            self._ids = Growing(self._ids.view[stay])
        return dropped

    def reconstruct(self, ids: ArrayLike) -> Any:
        """Give the rows with these ids, in that order; ParameterError for an unknown id."""
        wanted = _checks.as_ids(ids, who=f"{type(self).__name__}.reconstruct")
        order = np.argsort(self._ids.view, kind="stable")
        held = self._ids.view[order]
        at = np.searchsorted(held, wanted)
        known = at < len(held)
        known[known] = held[at[known]] == wanted[known]
        if not known.all():
            raise ParameterError(
                f"{type(self).__name__}.reconstruct: "
                f"id {int(wanted[~known][0])} is not in the index"
            )
        return self._take(order[at])

    # ---- files and pickle: the same arrays, the same checks ----

    def _params(self) -> dict[str, Any]:
        return {"d": self.d, "metric": self.metric, "next_id": self._next_id}

    def save(self, folder: str | Path) -> None:
        """Write manifest.json and .npy arrays into a folder; one already there is replaced."""
        arrays = {"ids": self._ids.view, **self._arrays()}
        save_arrays(Path(folder), kind=self.kind, params=self._params(), arrays=arrays)

    @classmethod
    def load(cls, folder: str | Path, mmap: bool = False) -> Self:
        """Read what `save` wrote.

        Parameters
        ----------
        folder : where it lies.
        mmap : map the arrays instead of reading them; the first `add` or `remove` copies them.

        Raises
        ------
        FormatError naming the file that is missing, cut, altered or lying.
        """
        params, arrays = load_arrays(Path(folder), kind=cls.kind, mmap=mmap)
        return cls._restore(params, arrays, Path(folder))

    @classmethod
    def _restore(
        cls, params: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], folder: Path
    ) -> Self:
        manifest = folder / "manifest.json"
        try:
            index = cls(params["d"], metric=params["metric"])
            next_id = _checks.check_int(params["next_id"], who="next_id", name="next_id", low=0)
        except (KeyError, TypeError, ParameterError) as error:
            raise FormatError(
                f"{manifest}: params are not those of {cls.__name__}: {error}"
            ) from error
        wanted = {"ids", *index._arrays()}
        if set(arrays) != wanted:
            raise FormatError(
                f"{manifest}: holds arrays {sorted(arrays)}, expected {sorted(wanted)}"
            )
        n = index._adopt(arrays, folder)
        ids = expect(arrays["ids"], np.int64, 1, folder / "ids.npy")
        if len(ids) != n:
            raise FormatError(f"{folder / 'ids.npy'}: holds {len(ids)} ids for {n} rows")
        if n and (int(ids.min()) < 0 or int(ids.max()) >= next_id or len(np.unique(ids)) != n):
            raise FormatError(
                f"{folder / 'ids.npy'}: ids must be distinct and 0 to {next_id - 1} (next_id - 1)"
            )
        index._ids = Growing(ids)
        index._next_id = next_id
        return index

    def __reduce__(self) -> tuple[Any, ...]:
        arrays = {"ids": self._ids.view, **self._arrays()}
        plain = {name: np.array(a) for name, a in arrays.items()}
        return type(self)._unpickle, (self._params(), plain)

    @classmethod
    def _unpickle(cls, params: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        return cls._restore(params, arrays, Path("<pickle>"))


def expect(array: NDArray[Any], dtype: Any, ndim: int, path: Path) -> NDArray[Any]:
    """Give `array` C-contiguous; FormatError if its dtype or number of axes is another."""
    if array.dtype != dtype or array.ndim != ndim:
        raise FormatError(
            f"{path}: is {array.dtype} with {array.ndim} axes, "
            f"expected {np.dtype(dtype)} with {ndim}"
        )
    return np.ascontiguousarray(array)
