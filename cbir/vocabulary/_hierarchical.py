"""A start for many words: coarse clusters first, then words within each of them.

The idea is superkmeans' (Kuffo et al., 2025). With n_words words there are about sqrt(n_words)
coarse clusters; each gets as many words as the share of inertia it holds, found by a few turns of
k-means on its own points. A turn within the clusters costs 1 / sqrt(n_words) of a turn over all
words, so the points reach their neighbourhood for almost nothing, and Lloyd's turns over all words
start from there.

Where we depart: words are shared out by inertia instead of by the number of points. Splitting a
cluster of inertia I into k words leaves about I k^(-2/d), and the sum of these is least where k
grows as I^(d / (d + 2)), which for descriptors is I itself; and nothing here depends on the number
of threads.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cbir import _core

COARSE_TURNS = 10
FINE_TURNS = 8
POINTS_PER_COARSE_WORD = 256


def hierarchical_start(
    x: NDArray[np.float32], n_words: int, stream: np.random.SeedSequence, n_threads: int
) -> NDArray[np.float32]:
    """Give the centroids to start from, (n_words, d).

    Parameters
    ----------
    x : (n, d) float32, C-contiguous, n at least `n_words`.
    stream : of random numbers; the same gives the same bytes, whatever `n_threads`.
    """
    sampling, *seeds = stream.spawn(2)
    n_coarse = int(np.sqrt(n_words))
    sample = x
    if len(x) > n_coarse * POINTS_PER_COARSE_WORD:
        wanted = n_coarse * POINTS_PER_COARSE_WORD
        rows = np.random.default_rng(sampling).choice(len(x), wanted, replace=False)
        sample = x[np.sort(rows)]
    coarse = _words(sample, n_coarse, seeds[0], COARSE_TURNS, n_threads)
    word_ids, squared = _core.KMeansWords(coarse).nearest(x, 1, n_threads)
    word_ids = word_ids.ravel()
    inertia = np.bincount(word_ids, squared.ravel(), minlength=n_coarse).astype(np.float64)
    shares = share_out(n_words, inertia, np.bincount(word_ids, minlength=n_coarse))
    order = np.argsort(word_ids, kind="stable")
    ends = np.cumsum(np.bincount(word_ids, minlength=n_coarse))
    parts = []
    for w, (end, seed) in enumerate(zip(ends, seeds[0].spawn(n_coarse), strict=True)):
        if shares[w]:
            begin = ends[w - 1] if w else 0
            points = x[order[begin:end]]
            parts.append(_words(points, int(shares[w]), seed, FINE_TURNS, n_threads))
    return np.ascontiguousarray(np.concatenate(parts))


def share_out(
    total: int, weights: NDArray[np.float64], most: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Whole numbers, none above `most`, `total` in all: 1 each, the rest as `weights` say.

    Where there are not enough for 1 each, the largest weights have one. What rounding down leaves
    goes to the largest first, ties to the lower place.

    >>> share_out(7, np.array([3.0, 1.0, 0.0]), np.array([9, 9, 2])).tolist()
    [4, 2, 1]
    """
    shares: NDArray[np.int64] = np.zeros_like(most)
    if np.count_nonzero(most) <= total:
        shares = np.minimum(most, 1)
    while (left := total - int(shares.sum())) > 0:
        room = most - shares
        open_ = np.where(room > 0, weights, 0.0)
        if not open_.sum() > 0:
            open_ = room.astype(np.float64)
        wanted = left * (open_ / open_.sum())
        more = np.minimum(np.floor(wanted).astype(np.int64), room)
        if not 0 < more.sum() <= left:  # less than 1 each, or rounded up to more than there are
            more = np.zeros_like(most)
            largest = np.argsort(-wanted, kind="stable")
            more[largest[wanted[largest] > 0][:left]] = 1
        shares = shares + more
    return shares


def _words(
    x: NDArray[np.float32], n_words: int, seed: np.random.SeedSequence, turns: int, n_threads: int
) -> NDArray[np.float32]:
    start = _core.kmeans_seed_rows(x, n_words, int(seed.generate_state(1, np.uint64)[0]), n_threads)
    centroids: NDArray[np.float32] = _core.kmeans_lloyd(x, x[start], turns, n_threads)[0]
    return centroids
