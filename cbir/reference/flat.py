"""Exhaustive search in plain NumPy: the twin of csrc/flat/ and of `cbir.indexes.Flat`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def search(
    xb: NDArray[np.float32],
    ids: NDArray[np.int64],
    xq: NDArray[np.float32],
    k: int,
    metric: str = "l2",
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Score every row for every query in float64 and sort by (score, id).

    Returns D (nq, k) float64, squared distances ascending or similarities descending, and I (nq, k)
    int64; past the last row inf (-inf) and -1.
    """
    sign = 1 if metric == "l2" else -1
    D = np.full((len(xq), k), sign * np.inf)
    I = np.full((len(xq), k), -1, np.int64)  # noqa: E741
    for i, q in enumerate(xq.astype(np.float64)):
        key = sign * scores(xb.astype(np.float64), q, metric)
        best = np.lexsort([ids, key])[:k]
        D[i, : len(best)] = sign * key[best]
        I[i, : len(best)] = ids[best]
    return D, I


def scores(x: NDArray[np.float64], q: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    """Score of each row of x (nb, d) against one query (d,)."""
    if metric == "l2":
        return np.asarray(((x - q) ** 2).sum(1))
    dot = np.asarray(x @ q)
    if metric == "ip":
        return dot
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(q)
    return np.asarray(np.divide(dot, lengths, out=np.zeros_like(dot), where=lengths > 0))
