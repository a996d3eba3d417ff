"""Inverted file: sparse rows (bags of words) searched through the postings of the query's words.

``ip``: D = q.x; ``cosine``: D = q.x / (|q||x|), 0 for an empty row or query;
``histogram_intersection``: D = sum_w min(q_w, x_w) (Swain and Ballard, IJCV 1991); all descending.
``l1``: D = sum_w |q_w - x_w|, ascending, by

    |q - x|_1 = |q|_1 + |x|_1 + sum over shared words (|q_w - x_w| - |q_w| - |x_w|)

which touches only words both have (Nister and Stewenius, CVPR 2006, eq. 5, there for rows of length
1; here for any).

Scores run in float32, a word at a time, over blocks of 8,192 images that stay in L1
(csrc/inverted_file/). They only choose: every row that may belong to the answer within their error
bound is scored again over its whole row in float64, and that score is sorted, cut and returned.

Words that an eighth of a block's images have are stored as dense rows of weights, and added 16
images at a time.

Cost: one multiply-add and 6 bytes per posting of a query word; memory 14 bytes per posting (8 for
the rows, from which `reconstruct` and exact scores are made, 6 for the postings; a dense word takes
4 per image instead of the 6), 4 * n_words for each 8,192 images. Files hold rows and postings, so
that nothing is built again on loading. `add` makes the postings of the new rows and of the last,
incomplete block.
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
from cbir.indexes._files import expect, expect_names
from cbir.indexes._growing import Growing
from cbir.indexes._ids import Chosen, Positions
from cbir.types import SparseVectors

# Above this a squared length, or an L1 length, could overflow float32.
_LARGEST_SUM = 1e18
# Up to this share of rows allowed, each of those is scored by itself; above, all by their postings.
_FEW = 1 / 256


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
        rows = SparseVectors.from_dense(np.zeros((0, self.d), np.float32))
        return _Held.of(rows, _core.InvertedFile(self.d, self.metric), 1)

    def _extended(self, kept: SparseVectors, n_threads: int) -> _Held:
        held: _Held = self._data
        return held.extended(kept, n_threads)

    def _kept(self, positions: Positions, n_threads: int) -> _Held:
        return _Held.of(self._take(positions), _core.InvertedFile(self.d, self.metric), n_threads)

    def _take(self, positions: Positions) -> SparseVectors:
        held: _Held = self._data
        begins, ends = held.offsets.view[positions], held.offsets.view[positions + 1]
        counts = ends - begins
        inside = (begins >= 0) & (counts >= 0) & (ends <= len(held.words.view))
        if not inside.all():
            raise FormatError("InvertedFile: offsets of rows are not true; the file was altered")
        taken = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        # entry i of row r lies at begins[r] + i
        at = np.repeat(begins - taken[:-1], counts) + np.arange(taken[-1])
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
        mask, at = chosen.split(self._ids.n_rows, _FEW)
        keys, hits = self._data.native.search(
            self._ids.all, rows.word_ids, rows.weights, rows.offsets, k, n_threads, mask, at
        )
        return self._scores(keys), hits

    def _range(
        self,
        rows: SparseVectors,
        radius: float,
        chosen: Chosen,
        n_threads: int,
        knobs: Mapping[str, Any],
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        mask, at = chosen.split(self._ids.n_rows, _FEW)
        largest = radius if self.metric == "l1" else -radius
        lims, keys, hits = self._data.native.range(
            self._ids.all, rows.word_ids, rows.weights, rows.offsets, largest, n_threads, mask, at
        )
        return lims, self._scores(keys), hits

    def _score(
        self, rows: SparseVectors, positions: Positions, n_threads: int
    ) -> NDArray[np.float32]:
        keys = self._data.native.score(
            rows.word_ids, rows.weights, rows.offsets, positions, n_threads
        )
        return self._scores(keys)

    def _scores(self, keys: NDArray[np.float32]) -> NDArray[np.float32]:
        # 0 - key, not -key: a similarity of 0 must not become -0
        return keys if self.metric == "l1" else np.float32(0) - keys

    # ---- files ----

    def _row_arrays(self) -> dict[str, Sequence[NDArray[Any]]]:
        held: _Held = self._data
        return {
            "word_ids": [held.words.view],
            "weights": [held.weights.view],
            "offsets": [held.offsets.view],
            **held.native.arrays(),
        }

    def _adopted(
        self, arrays: Mapping[str, NDArray[Any]], folder: Path, *, whole: bool
    ) -> tuple[_Held, int]:
        names = _DTYPES if "blocks" in arrays else _ROWS
        expect_names(arrays, names, folder)
        read = {
            name: expect(
                arrays[name], _DTYPES[name], 2 if name == "blocks" else 1, folder / f"{name}.npy"
            )
            for name in names
        }
        words, weights, offsets = (read[name] for name in ("word_ids", "weights", "offsets"))
        if whole:
            try:
                rows = SparseVectors(words, weights, offsets, self.d)
                self._rows(rows, who=str(folder / "offsets.npy"), name="row")
            except (ValueError, TypeError) as error:
                raise FormatError(
                    f"{folder / 'offsets.npy'}, word_ids.npy, weights.npy: {error}"
                ) from error
        try:
            if "blocks" in read:
                native = _core.InvertedFile.adopted(self.d, self.metric, *read.values())
            else:  # too few rows for a block: looked at in full
                native = _core.InvertedFile(self.d, self.metric).extended(words, weights, offsets)
        except ValueError as error:
            files = ", ".join(f"{name}.npy" for name in read)
            raise FormatError(f"{folder}: {files} don't fit together: {error}") from error
        held = _Held(Growing(words), Growing(weights), Growing(offsets), native)
        return held, len(offsets) - 1


# Arrays of a file, in the order in which `_core.InvertedFile.adopted` takes them: the rows; sizes
# of each block of 8,192 rows and the largest length of a row in it; postings of its words; l1 sums
# of rows; and its dense words. A few rows have no block, and no more arrays than the first three.
_ROWS = ("word_ids", "weights", "offsets")
_DTYPES: dict[str, Any] = {
    "word_ids": np.int32,
    "weights": np.float32,
    "offsets": np.int64,
    "blocks": np.int64,
    "block_largest": np.float64,
    "list_offsets": np.uint32,
    "list_rows": np.uint16,
    "list_weights": np.float32,
    "row_sums": np.float32,
    "dense_words": np.int32,
    "dense_begins": np.uint32,
    "dense_masks": np.uint64,
    "dense_weights": np.float32,
}


@dataclass(frozen=True)
class _Held:
    """Rows in CSR form, and the same rows with their postings as the native code holds them."""

    words: Growing
    weights: Growing
    offsets: Growing
    native: _core.InvertedFile

    @classmethod
    def of(cls, rows: SparseVectors, before: _core.InvertedFile, n_threads: int) -> _Held:
        """Give these rows; `before` is an empty inverted file."""
        native = before.extended(rows.word_ids, rows.weights, rows.offsets, n_threads)
        return cls(Growing(rows.word_ids), Growing(rows.weights), Growing(rows.offsets), native)

    def extended(self, rows: SparseVectors, n_threads: int) -> _Held:
        """Give these rows and `rows` after them."""
        words, weights = self.words.grown(rows.word_ids), self.weights.grown(rows.weights)
        offsets = self.offsets.grown(rows.offsets[1:] + len(self.words.view))
        native = self.native.extended(words.view, weights.view, offsets.view, n_threads)
        return _Held(words, weights, offsets, native)


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
