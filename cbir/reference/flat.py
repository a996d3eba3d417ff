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
    allowed: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Score every row for every query in float64 and sort by (score, id).

    Returns D (nq, k) float64, squared distances ascending or similarities descending, and I (nq, k)
    int64; past the last row inf (-inf) and -1. Only ids in `allowed` may answer.
    """
    sign = 1 if metric == "l2" else -1
    D = np.full((len(xq), k), sign * np.inf)
    I = np.full((len(xq), k), -1, np.int64)  # noqa: E741
    for i, (found, names) in enumerate(ranked(xb, ids, xq, metric, allowed)):
        n = min(k, len(names))
        D[i, :n], I[i, :n] = found[:n], names[:n]
    return D, I


def range_search(
    xb: NDArray[np.float32],
    ids: NDArray[np.int64],
    xq: NDArray[np.float32],
    radius: float,
    metric: str = "l2",
    allowed: NDArray[np.int64] | None = None,
) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Scores and ids of all rows within `radius` of each query, best first."""
    found = ranked(xb, ids, xq, metric, allowed)
    sign = 1 if metric == "l2" else -1
    near = [sign * D <= sign * radius for D, _ in found]
    return [(D[at], names[at]) for (D, names), at in zip(found, near, strict=True)]


def ranked(xb, ids, xq, metric, allowed=None):
    """For each query the scores and ids of all rows that may answer, best first."""
    if allowed is not None:
        may = np.isin(ids, allowed)
        xb, ids = xb[may], ids[may]
    answers = []
    for q in xq.astype(np.float64):
        D = scores(xb.astype(np.float64), q, metric)
        order = np.lexsort([ids, D if metric == "l2" else -D])
        answers.append((D[order], ids[order]))
    return answers


def scores(x: NDArray[np.float64], q: NDArray[np.float64], metric: str) -> NDArray[np.float64]:
    """Score of each row of x (nb, d) against one query (d,)."""
    if metric == "l2":
        return np.asarray(((x - q) ** 2).sum(1))
    dot = np.asarray(x @ q)
    if metric == "ip":
        return dot
    lengths = np.linalg.norm(x, axis=1) * np.linalg.norm(q)
    return np.asarray(np.divide(dot, lengths, out=np.zeros_like(dot), where=lengths > 0))
