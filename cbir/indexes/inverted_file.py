"""Inverted file: sparse rows (bags of words) searched through the postings of the query's words.

``ip``: D = q.x; ``cosine``: D = q.x / (|q||x|), 0 for an empty row or query;
``histogram_intersection``: D = sum_w min(q_w, x_w) (Swain and Ballard, IJCV 1991); all descending.
``l1``: D = sum_w |q_w - x_w|, ascending, by

    |q - x|_1 = |q|_1 + |x|_1 + sum over shared words (|q_w - x_w| - |q_w| - |x_w|)

which touches only words both have (Nister and Stewenius, CVPR 2006, eq. 5, there for rows of length
1; here for any).

Scores run in float32, a word at a time, over blocks of 8,192 images that stay in L1
(csrc/inverted_file/); the k best are then scored again over whole rows in float64 and sorted by
that (score, id). A row may therefore stand just outside the k where float32 sums of its ~n shared
words tie with the k-th within n roundings.

Words that an eighth of a block's images have are stored as dense rows and multiplied with up to 32
queries at once, so a batch of queries costs less per query than one.

Cost: one multiply-add and 6 bytes per posting of a query word; memory 14 bytes per posting (8 for
the rows, from which `reconstruct` answers and files are written, 6 for the postings; a dense word
takes 4 per image instead of the 6), 4 * n_words for each 8,192 images.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cbir import _checks, _core
from cbir.errors import DimensionError, DTypeError, FormatError, ParameterError
from cbir.indexes._base import Index
from cbir.indexes._files import expect
from cbir.indexes._growing import Growing
from cbir.indexes._ids import Chosen, Positions
from cbir.types import SparseVectors

# Above this a squared length, or an L1 length, could overflow float32.
_LARGEST_SUM = 1e18


class InvertedFile(Index):
    """Exact search over `SparseVectors`; the twin is `cbir.reference.inverted_file`.

    Parameters
    ----------
    n_words : words in the vocabulary; this is `d`.
    metric : "cosine", "ip", "histogram_intersection" (similarities, descending; the last takes no
        negative weights) or "l1" (distances, ascending).

    Examples
    --------
    >>> import numpy as np
    >>> from cbir.types import SparseVectors
    >>> rows = SparseVectors.from_dense(np.array([[1, 0, 0], [0, 3, 4]], np.float32))
    >>> index = InvertedFile(3, metric="ip")
    >>> index.add(rows)
    >>> D, I = index.search(SparseVectors.from_dense(np.array([[0, 0, 2]], np.float32)), k=2)
    >>> D.tolist(), I.tolist()
    ([[8.0, 0.0]], [[1, 0]])
    """

    kind: ClassVar[str] = "inverted_file"
    takes: ClassVar[Any] = SparseVectors
    METRICS: ClassVar[tuple[str, ...]] = ("cosine", "ip", "histogram_intersection", "l1")

    def __init__(
        self,
        n_words: int,
        metric: Annotated[
            Literal["cosine", "ip", "histogram_intersection", "l1"],
            Field(description="how vectors are compared"),
        ] = "cosine",
    ) -> None:
        _checks.check_int(n_words, who="InvertedFile", name="d", low=1, high=2**31 - 1)
        super().__init__(n_words, metric)

    @property
    def n_words(self) -> int:
        """Words in the vocabulary."""
        return self.d

    def _rows(self, x: Any, *, who: str, name: str) -> SparseVectors:
        if not isinstance(x, SparseVectors):
            raise DTypeError(
                f"{who}: {name} is {type(x).__name__}, expected SparseVectors; "
                "SparseVectors.from_dense makes them from an array"
            )
        if x.n_words != self.d:
            raise DimensionError(f"{who}: {name} has n_words={x.n_words}, expected {self.d}")
        words, weights = np.ascontiguousarray(x.word_ids), np.ascontiguousarray(x.weights)
        if words.ndim != 1 or weights.ndim != 1:
            raise DimensionError(f"{who}: {name} word_ids and weights must have one axis")
        _checks.check_finite(weights, who=who, name=f"{name}.weights")
        check_rows(words, weights, x.offsets, self.d, self.metric, f"{who}: {name}")
        return SparseVectors(words, weights, np.ascontiguousarray(x.offsets), self.d)

    # ---- rows, and their postings ----

    def _no_data(self) -> _Held:
        return _held(
            Growing(np.zeros(0, np.int32)),
            Growing(np.zeros(0, np.float32)),
            Growing(np.zeros(1, np.int64)),
            self.d,
            self.metric,
            1,
        )

    def _extended(self, rows: SparseVectors, n_threads: int) -> _Held:
        held: _Held = self._data
        base = len(held.words.view)
        return _held(
            held.words.grown(rows.word_ids),
            held.weights.grown(rows.weights),
            held.offsets.grown(rows.offsets[1:] + base),
            self.d,
            self.metric,
            n_threads,
        )

    def _kept(self, positions: Positions, n_threads: int) -> _Held:
        return self._of_rows(self._take(positions), n_threads)

    def _of_rows(self, rows: SparseVectors, n_threads: int) -> _Held:
        parts = Growing(rows.word_ids), Growing(rows.weights), Growing(rows.offsets)
        return _held(*parts, self.d, self.metric, n_threads)

    def _take(self, positions: Positions) -> SparseVectors:
        held: _Held = self._data
        offsets = held.offsets.view
        counts = offsets[positions + 1] - offsets[positions]
        taken = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # entry i of row r lies at offsets[r] + i
        at = np.repeat(offsets[positions] - taken[:-1], counts) + np.arange(taken[-1])
        return SparseVectors(held.words.view[at], held.weights.view[at], taken, self.d)

    # ---- search ----

    def _search(
        self,
        rows: SparseVectors,
        k: int,
        chosen: Chosen,
        n_threads: int,
        knobs: Mapping[str, Any],
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        held, ids = self._data, self._ids.all
        _, at = chosen.split(self._ids.n_rows, 1.0)
        if at is not None:
            held, ids = self._of_rows(self._take(at), n_threads), ids[at]
        return self._asked(held, ids, rows, k, n_threads)

    def _asked(
        self, held: _Held, ids: NDArray[np.int64], rows: SparseVectors, k: int, n_threads: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        keys, hits = held.postings.search(
            held.words.view, held.weights.view, held.offsets.view, ids,
            rows.word_ids, rows.weights, rows.offsets, k, n_threads,
        )  # fmt: skip
        # 0 - key, not -key: a similarity of 0 must not become -0
        return (keys if self.metric == "l1" else np.float32(0) - keys), hits

    def _range(
        self,
        rows: SparseVectors,
        radius: float,
        chosen: Chosen,
        n_threads: int,
        knobs: Mapping[str, Any],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        D, I = self._search(rows, chosen.n, chosen, n_threads, knobs)  # noqa: E741
        inside = np.less_equal(D, radius) if self.metric == "l1" else np.greater_equal(D, radius)
        return np.concatenate([[0], np.cumsum(inside.sum(1))]), D[inside], I[inside]

    def _score(
        self, rows: SparseVectors, positions: Positions, n_threads: int
    ) -> NDArray[np.float32]:
        scores = np.full((len(rows), positions.shape[1]), self._worst)
        for i, at in enumerate(np.broadcast_to(positions, scores.shape)):
            real = np.flatnonzero(at >= 0)
            if len(real):
                words, weights = rows[i]
                query = SparseVectors(words, weights, np.array([0, len(words)]), self.d)
                held = self._of_rows(self._take(at[real]), n_threads)
                D, I = self._asked(held, real, query, len(real), n_threads)  # noqa: E741
                scores[i, I[0]] = D[0]
        return scores

    # ---- files ----

    def _row_arrays(self) -> dict[str, Sequence[NDArray[Any]]]:
        held: _Held = self._data
        return {
            "word_ids": [held.words.view],
            "weights": [held.weights.view],
            "offsets": [held.offsets.view],
        }

    def _adopted(
        self, arrays: Mapping[str, NDArray[Any]], folder: Path, *, whole: bool
    ) -> tuple[_Held, int]:
        words = expect(arrays["word_ids"], np.int32, 1, folder / "word_ids.npy")
        weights = expect(arrays["weights"], np.float32, 1, folder / "weights.npy")
        offsets = expect(arrays["offsets"], np.int64, 1, folder / "offsets.npy")
        try:
            rows = SparseVectors(words, weights, offsets, self.d)
            self._rows(rows, who=str(folder / "offsets.npy"), name="row")
        except (ValueError, TypeError) as error:
            raise FormatError(
                f"{folder / 'offsets.npy'}, word_ids.npy, weights.npy: {error}"
            ) from error
        return self._of_rows(rows, 0), len(rows)


@dataclass(frozen=True)
class _Held:
    """Rows in CSR form and their postings."""

    words: Growing
    weights: Growing
    offsets: Growing
    postings: _core.InvertedFile


def _held(
    words: Growing, weights: Growing, offsets: Growing, n_words: int, metric: str, n_threads: int
) -> _Held:
    postings = _core.InvertedFile(n_words, metric)
    postings.rebuild(words.view, weights.view, offsets.view, 0, n_threads)
    return _Held(words, weights, offsets, postings)


def check_rows(
    words: NDArray[np.int32],
    weights: NDArray[np.float32],
    offsets: NDArray[np.int64],
    n_words: int,
    metric: str,
    who: str,
) -> None:
    """Refuse words out of range or out of order, and weights the metric can't take."""
    if not len(words):
        return
    if int(words.min()) < 0 or int(words.max()) >= n_words:
        bad = int(words.min()) if int(words.min()) < 0 else int(words.max())
        raise ParameterError(f"{who} has word {bad}, allowed is 0 to {n_words - 1}")
    falls = words[1:] <= words[:-1]
    starts = offsets[1:-1]
    falls[starts[(starts > 0) & (starts < len(words))] - 1] = False
    if falls.any():
        row = int(np.searchsorted(offsets, np.flatnonzero(falls)[0], side="right")) - 1
        raise ParameterError(f"{who} {row}: word ids must rise inside a row, without repeats")
    if metric == "histogram_intersection" and float(weights.min()) < 0:
        raise ParameterError(f"{who} has a negative weight; histogram_intersection takes none")
    running = np.concatenate([[0], np.cumsum(np.abs(weights), dtype=np.float64)])
    sums = running[offsets[1:]] - running[offsets[:-1]]
    if float(sums.max()) > _LARGEST_SUM:
        raise ParameterError(
            f"{who} {int(sums.argmax())} sums to more than {_LARGEST_SUM:g}; scale the weights down"
        )
