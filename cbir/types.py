"""The values that travel between stages. Each stage knows the type it takes and the type it gives.

``image -> Features -> Batch of several images -> SparseVectors or Vectors -> SearchResult``. An
image is uint8 RGB (H, W, 3), upright; vectors are (n, d) float32, one row per image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cbir.errors import DimensionError, DTypeError, ParameterError

Image = NDArray[np.uint8]
Vectors = NDArray[np.float32]
Region = tuple[float, float, float, float]
"""(x, y, width, height) in pixels of a picture."""

DISTANCES = ("l2", "l1")
"""Metrics whose `D` ascends, best first; all others are similarities and descend."""


@dataclass(frozen=True, eq=False)
class LocalFeatures:
    """Keypoints and their descriptors, of one image.

    Attributes
    ----------
    keypoints : (n, 4) float32: x, y (pixels, the centre of the top-left pixel is (0, 0)), scale
        (pixels), angle (radians).
    descriptors : (n, d) float32 or uint8, one row per keypoint.
    """

    keypoints: NDArray[np.float32]
    descriptors: NDArray[np.float32] | NDArray[np.uint8]

    def __post_init__(self) -> None:
        k, x = self.keypoints, self.descriptors
        if k.ndim != 2 or k.shape[1] != 4 or x.ndim != 2 or len(x) != len(k):
            raise DimensionError(
                f"LocalFeatures: keypoints {k.shape} and descriptors {x.shape} "
                "must be (n, 4) and (n, d)"
            )
        if k.dtype != np.float32 or x.dtype not in (np.float32, np.uint8):
            raise DTypeError(
                f"LocalFeatures: keypoints are {k.dtype}, descriptors {x.dtype}; "
                "expected float32, and float32 or uint8"
            )

    def __len__(self) -> int:
        return len(self.keypoints)


@dataclass(frozen=True, eq=False)
class Bags:
    """Descriptors of many images end to end; bag i is ``descriptors[offsets[i]:offsets[i + 1]]``.

    Attributes
    ----------
    descriptors : (N, d) float32.
    offsets : (n_images + 1,) int64, rising, from 0 to N.
    """

    descriptors: NDArray[np.float32]
    offsets: NDArray[np.int64]

    def __post_init__(self) -> None:
        _check_offsets("Bags", self.offsets, len(self.descriptors))
        if self.descriptors.ndim != 2:
            raise DimensionError(f"Bags: descriptors are {self.descriptors.shape}, expected (N, d)")

    @classmethod
    def of(cls, bags: Iterable[NDArray[np.float32]], d: int = 0) -> Bags:
        """Join per-image arrays (n_i, d); `d` gives the width where there are none."""
        parts: Sequence[NDArray[np.float32]] = list(bags)
        offsets = np.zeros(len(parts) + 1, np.int64)
        np.cumsum([len(p) for p in parts], out=offsets[1:])
        if not parts:
            return cls(np.zeros((0, d), np.float32), offsets)
        return cls(np.ascontiguousarray(np.concatenate(parts), np.float32), offsets)

    @property
    def d(self) -> int:
        """Width of a descriptor."""
        return int(self.descriptors.shape[1])

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> NDArray[np.float32]:
        i = _row("Bags", i, len(self))
        return self.descriptors[self.offsets[i] : self.offsets[i + 1]]

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        return (self[i] for i in range(len(self)))


@dataclass(frozen=True, eq=False)
class Maps(Bags):
    """Activation maps of many images: bag i is a grid of ``grids[i]`` places, row by row.

    Attributes
    ----------
    grids : (n_images, 2) int32, height and width; their product is the size of the bag.
    """

    grids: NDArray[np.int32]

    def __post_init__(self) -> None:
        super().__post_init__()
        g = self.grids
        if g.dtype != np.int32 or g.shape != (len(self), 2):
            raise DimensionError(f"Maps: grids are {g.dtype} {g.shape}, expected int32 (n, 2)")
        if not np.array_equal(g.astype(np.int64).prod(axis=1), np.diff(self.offsets)):
            raise DimensionError("Maps: height times width of a grid is not the size of its bag")


Features = LocalFeatures | NDArray[np.float32]
"""What a feature gives for one image: local features, a vector (d,), or a map (h, w, d)."""

Batch = Bags | NDArray[np.float32]
"""Features of several images: `Bags`, `Maps`, or vectors (n, d)."""


@dataclass(frozen=True, eq=False)
class SparseVectors:
    """Rows of a sparse (n, n_words) matrix in CSR form: the bag-of-words vectors.

    Attributes
    ----------
    word_ids : (nnz,) int32, rising inside a row, each below `n_words`.
    weights : (nnz,) float32.
    offsets : (n + 1,) int64, rising, from 0 to nnz.
    n_words : width of the matrix.
    """

    word_ids: NDArray[np.int32]
    weights: NDArray[np.float32]
    offsets: NDArray[np.int64]
    n_words: int

    def __post_init__(self) -> None:
        _check_offsets("SparseVectors", self.offsets, len(self.word_ids))
        if len(self.weights) != len(self.word_ids):
            raise DimensionError(
                f"SparseVectors: {len(self.word_ids)} word ids but {len(self.weights)} weights"
            )
        if self.word_ids.dtype != np.int32 or self.weights.dtype != np.float32:
            raise DTypeError(
                f"SparseVectors: word_ids are {self.word_ids.dtype}, weights {self.weights.dtype}; "
                "expected int32 and float32"
            )
        if len(self.word_ids):
            low, high = int(self.word_ids.min()), int(self.word_ids.max())
            if low < 0 or high >= self.n_words:
                raise ParameterError(
                    f"SparseVectors: word ids are {low} to {high}, "
                    f"n_words={self.n_words} allows 0 to {self.n_words - 1}"
                )

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, i: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        i = _row("SparseVectors", i, len(self))
        row = slice(self.offsets[i], self.offsets[i + 1])
        return self.word_ids[row], self.weights[row]

    @property
    def nbytes(self) -> int:
        """Bytes of the three arrays."""
        return int(self.word_ids.nbytes + self.weights.nbytes + self.offsets.nbytes)

    def to_dense(self) -> NDArray[np.float32]:
        """The (n, n_words) float32 matrix; for small cases and tests."""
        dense = np.zeros((len(self), self.n_words), np.float32)
        rows = np.repeat(np.arange(len(self)), np.diff(self.offsets))
        dense[rows, self.word_ids] = self.weights
        return dense

    @classmethod
    def from_dense(cls, dense: NDArray[np.float32]) -> SparseVectors:
        """Keep the non-zero entries of an (n, n_words) matrix."""
        rows, columns = np.nonzero(dense)
        counts = np.bincount(rows, minlength=len(dense))
        offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        weights = np.ascontiguousarray(dense[rows, columns], np.float32)
        return cls(columns.astype(np.int32), weights, offsets, int(dense.shape[1]))


class SearchResult(NamedTuple):
    """Answer of an index.

    `D` (nq, k) float32: squared distances ascending, or similarities descending. `I` (nq, k) int64:
    ids, ties to the smaller one; -1 (with `D` inf or -inf) where there are fewer than k.
    """

    D: NDArray[np.float32]
    I: NDArray[np.int64]  # noqa: E741  the field's name for it


class RangeResult(NamedTuple):
    """All rows within a radius: those of query i are ``lims[i]`` to ``lims[i + 1]``, best first.

    `lims` (nq + 1,) int64, `D` (total,) float32 and `I` (total,) int64 as in `SearchResult`.
    """

    lims: NDArray[np.int64]
    D: NDArray[np.float32]
    I: NDArray[np.int64]  # noqa: E741  the field's name for it


def _row(who: str, i: int, n: int) -> int:
    """Number of a row counted from either end."""
    if not -n <= i < n:
        raise IndexError(f"{who}: there is no row {i}, there are {n}")
    return i + n if i < 0 else i


def _check_offsets(who: str, offsets: NDArray[np.int64], total: int) -> None:
    if offsets.dtype != np.int64 or offsets.ndim != 1 or len(offsets) == 0:
        raise DimensionError(
            f"{who}: offsets must be (n + 1,) int64, found {offsets.dtype} {offsets.shape}"
        )
    if offsets[0] != 0 or offsets[-1] != total or np.any(np.diff(offsets) < 0):
        raise DimensionError(
            f"{who}: offsets must rise from 0 to {total}; found {offsets[0]} to {offsets[-1]}"
        )
