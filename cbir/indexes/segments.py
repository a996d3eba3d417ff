"""Several indexes searched as one: the segments of a collection.

Each segment holds a range of ids, the ranges are disjoint and rise from segment to segment, and all
segments share one trained state. A search asks every segment and merges by (D, id): the score of a
pair depends on nothing but the pair, so the answer has the bits of one index that holds all rows.

Cost: that of searching each segment, and sorting k hits of each; making one looks up the removed
ids and does nothing per row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir.errors import DimensionError, ParameterError
from cbir.indexes._base import Index
from cbir.indexes._ids import as_allowed, as_wanted, refuse_unknown
from cbir.types import RangeResult, SearchResult, SparseVectors


class Segments:
    """A read-only union of indexes; what it answers is what one index of all rows would answer.

    Parameters
    ----------
    segments : one or more indexes of the same class and parameters. Their ids rise row by row, and
        those of a segment are all above those of the one before. Empty ones are fine.
    removed : ids that are not found although a segment holds them; others are passed over.

    Raises
    ------
    ParameterError for segments that don't fit together.

    Examples
    --------
    >>> import numpy as np
    >>> from cbir.indexes import Flat
    >>> a, b = Flat(1), Flat(1)
    >>> a.add(np.array([[0], [1]], np.float32))
    >>> b.add(np.array([[2], [3]], np.float32), ids=[2, 3])
    >>> both = Segments([a, b], removed=[1])
    >>> both.search(np.array([[1]], np.float32), k=3).I.tolist()
    [[0, 2, 3]]
    """

    def __init__(self, segments: Sequence[Index], removed: ArrayLike = ()) -> None:
        if not segments:
            raise ParameterError("Segments: no segment; an empty index will do")
        self._like = segments[0]
        full = [s for s in segments if s._ids.n_rows]
        last = -1
        for segment in full:
            if not self._like._is_like(segment):
                raise ParameterError(
                    f"Segments: {segment!r} differs from {self._like!r} "
                    "in class, parameters or what was learned"
                )
            first = int(segment._ids.all[0])
            if first <= last or not segment._ids.rising:
                raise ParameterError(
                    f"Segments: ids must rise from row to row; {first} follows {last}, "
                    "or a segment's own ids fall"
                )
            last = int(segment._ids.all[-1])
        self._lasts = np.array([int(s._ids.all[-1]) for s in full], np.int64)
        gone = np.unique(as_wanted(removed, who="Segments"))
        self._segments = [
            segment.without(part) if len(part) else segment
            for segment, part in zip(full, self._split(gone[gone >= 0]), strict=True)
        ]

    # ---- what they are together ----

    @property
    def d(self) -> int:
        """Width of a row."""
        return self._like.d

    @property
    def metric(self) -> str:
        """Meaning of `D`."""
        return self._like.metric

    @property
    def ntotal(self) -> int:
        """Number of rows that can be found."""
        return sum(s.ntotal for s in self._segments)

    @property
    def ids(self) -> NDArray[np.int64]:
        """Ids of the rows that can be found, rising, (ntotal,) int64."""
        return np.concatenate([np.zeros(0, np.int64), *(s.ids for s in self._segments)])

    @property
    def nbytes(self) -> int:
        """Bytes of the arrays of all segments, removed rows included."""
        return sum(s.nbytes for s in self._segments)

    def __len__(self) -> int:
        return self.ntotal

    def __repr__(self) -> str:
        return f"Segments({len(self._segments)} of {type(self._like).__name__}, {self.ntotal} rows)"

    # ---- search ----

    def search(
        self,
        xq: Any,
        k: int,
        *,
        allowed: ArrayLike | None = None,
        n_threads: int = 0,
        **knobs: Any,
    ) -> SearchResult:
        """Find the `k` best rows of all segments; arguments and answer as of `Index.search`."""
        answers = [
            segment.search(xq, k, allowed=part, n_threads=n_threads, **knobs)
            for segment, part in self._asked(allowed)
        ]
        if len(answers) == 1:
            return answers[0]
        D = np.concatenate([a.D for a in answers], axis=1)
        I = np.concatenate([a.I for a in answers], axis=1)  # noqa: E741
        best = np.lexsort((I, self._keys(D)), axis=1)[:, :k]
        return SearchResult(
            np.take_along_axis(D, best, axis=1), np.take_along_axis(I, best, axis=1)
        )

    def range_search(
        self,
        xq: Any,
        radius: float,
        *,
        allowed: ArrayLike | None = None,
        n_threads: int = 0,
        **knobs: Any,
    ) -> RangeResult:
        """Find all rows within `radius`; arguments and answer as of `Index.range_search`."""
        answers = [
            segment.range_search(xq, radius, allowed=part, n_threads=n_threads, **knobs)
            for segment, part in self._asked(allowed)
        ]
        if len(answers) == 1:
            return answers[0]
        counts = [np.diff(a.lims) for a in answers]
        query = np.concatenate([np.repeat(np.arange(len(n)), n) for n in counts])
        D = np.concatenate([a.D for a in answers])
        I = np.concatenate([a.I for a in answers])  # noqa: E741
        order = np.lexsort((I, self._keys(D), query))
        lims = np.concatenate([[0], np.cumsum(np.sum(counts, axis=0))]).astype(np.int64)
        return RangeResult(lims, D[order], I[order])

    def score(self, xq: Any, ids: ArrayLike, *, n_threads: int = 0) -> NDArray[np.float32]:
        """Score given rows; arguments and answer as of `Index.score`."""
        who = "Segments.score"
        wanted = as_wanted(ids, who=who)
        home = self._homes(wanted)
        self._refuse(who, wanted, home, (wanted == -1))
        # a segment gets -1 for the rows of others: the worst value, which theirs then replaces
        scores = self._like.empty().score(xq, np.full(wanted.shape, -1), n_threads=n_threads)
        for at, segment in enumerate(self._segments):
            here = home == at
            if not here.any():
                continue
            if wanted.ndim == 1:
                scores[:, here] = segment.score(xq, wanted[here], n_threads=n_threads)
            else:
                part = segment.score(xq, np.where(here, wanted, -1), n_threads=n_threads)
                scores[here] = part[here]
        return scores

    def reconstruct(self, ids: ArrayLike) -> Any:
        """Give the rows with these ids, in that order; repeats are fine.

        ParameterError for an id that is not held.
        """
        who = "Segments.reconstruct"
        wanted = as_wanted(ids, who=who)
        if wanted.ndim != 1:
            raise DimensionError(f"{who}: ids has shape {wanted.shape}, expected (n,)")
        home = self._homes(wanted)
        self._refuse(who, wanted, home, np.zeros(len(wanted), np.bool_))
        order = np.argsort(home, kind="stable")
        parts = [
            segment.reconstruct(wanted[home == at]) for at, segment in enumerate(self._segments)
        ]
        return _in_order([self._like.empty().reconstruct([]), *parts], np.argsort(order))

    # ---- ids to segments ----

    def _keys(self, D: NDArray[np.float32]) -> NDArray[np.float32]:
        return D if self.metric in self._like.ASCENDING else -D

    def _split(self, ids: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Cut sorted ids into those of each segment; ids above all are left out."""
        return np.split(ids, np.searchsorted(ids, self._lasts, side="right"))[: len(self._lasts)]

    def _asked(self, allowed: ArrayLike | None) -> list[tuple[Index, Any]]:
        """Each segment with its part of `allowed`; an empty index where there is no segment."""
        if not self._segments:
            return [(self._like.empty(), allowed)]
        if allowed is None:
            return [(segment, None) for segment in self._segments]
        given = as_allowed(allowed, who="Segments")
        if given.dtype == np.bool_:
            return [(segment, given) for segment in self._segments]
        return list(zip(self._segments, self._split(np.unique(given)), strict=True))

    def _homes(self, ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The segment whose range each id falls into; the number of segments if none does."""
        return np.searchsorted(self._lasts, ids)

    def _refuse(
        self,
        who: str,
        ids: NDArray[np.int64],
        home: NDArray[np.int64],
        fine: NDArray[np.bool_],
    ) -> None:
        known = fine.copy()
        for at, segment in enumerate(self._segments):
            here = home == at
            known[here] |= segment._ids.positions(ids[here]) >= 0
        refuse_unknown(who, ids, known)


def _in_order(parts: list[Any], order: NDArray[np.intp]) -> Any:
    """Rows of all `parts`, end to end, in `order`."""
    if not isinstance(parts[0], SparseVectors):
        return np.concatenate(parts)[order]
    words = np.concatenate([p.word_ids for p in parts])
    weights = np.concatenate([p.weights for p in parts])
    counts = np.concatenate([np.diff(p.offsets) for p in parts])
    starts = np.concatenate([[0], np.cumsum(counts)])[:-1][order]
    counts = counts[order]
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    at = np.repeat(starts - offsets[:-1], counts) + np.arange(offsets[-1])
    return SparseVectors(words[at], weights[at], offsets, parts[0].n_words)
