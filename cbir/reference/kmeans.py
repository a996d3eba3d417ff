"""k-means in plain NumPy, in double precision: the twin of csrc/kmeans/."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def squared_distances(x: Array, centroids: Array) -> Array:
    """|x_i - c_j|^2 by direct differences, (n, n_words) float64."""
    x, centroids = np.asarray(x, np.float64), np.asarray(centroids, np.float64)
    rows = [((row - centroids) ** 2).sum(axis=1) for row in x]
    return np.array(rows).reshape(len(x), len(centroids))


def assign(x: Array, centroids: Array) -> tuple[Array, Array]:
    """Nearest word of each point (ties to the lower word) and its squared distance, both (n,)."""
    distances = squared_distances(x, centroids)
    word_ids = distances.argmin(axis=1)
    return word_ids.astype(np.int32), distances[np.arange(len(x)), word_ids]


def origin(centroids: Array) -> Array:
    """Where float32 scores are measured from, (d,): the words' mean where it is far, or 0.

    Far is more than 4 times the root mean square distance of the words from it.
    """
    c = np.asarray(centroids, np.float64)
    mean = c.mean(axis=0)
    spread = ((c - mean) ** 2).sum(axis=1).mean()
    return mean if (mean**2).sum() > 16 * spread else np.zeros_like(mean)


def repair_empty(word_ids: Array, distances: Array, n_words: int) -> Array:
    """Give each empty word the farthest point that is neither alone nor on its centroid."""
    word_ids = word_ids.copy()
    counts = np.bincount(word_ids, minlength=n_words)
    farthest = iter(np.argsort(-distances, kind="stable"))
    for empty in np.flatnonzero(counts == 0):
        for row in farthest:
            if distances[row] > 0 and counts[word_ids[row]] > 1:
                counts[word_ids[row]] -= 1
                word_ids[row] = empty
                break
    return word_ids


def lloyd(x: Array, start: Array, n_iter: int) -> tuple[Array, list[float]]:
    """Lloyd's algorithm: the last centroids, and the inertia of every assignment."""
    x, centroids = np.asarray(x, np.float64), np.array(start, np.float64)
    history: list[float] = []
    before = None
    while True:
        word_ids, distances = assign(x, centroids)
        history.append(float(distances.sum()))
        if len(history) > n_iter or (before is not None and (word_ids == before).all()):
            return centroids, history
        before = word_ids = repair_empty(word_ids, distances, len(centroids))
        for word in np.unique(word_ids):
            centroids[word] = x[word_ids == word].mean(axis=0)


def seed_rows(x: Array, n_words: int, rng: np.random.Generator) -> Array:
    """k-means++: draw each row with probability proportional to D^2, from the rows so far."""
    rows = [int(rng.integers(len(x)))]
    while len(rows) < n_words:
        d2 = squared_distances(x, x[rows]).min(axis=1)
        free = np.setdiff1d(np.arange(len(x)), rows)
        rows.append(int(rng.choice(len(x), p=d2 / d2.sum()) if d2.sum() > 0 else free[0]))
    return np.array(rows)
