"""Recall of approximate search: how much of the exact answer came back. Not the recall of a
retrieval metric.

"Recall" of an index is three measures in papers, told apart here by two numbers: `k`, how many true
neighbours are asked for, and `r`, how many returned ones may hold them::

    1-recall@R             knn_recall(I, gt, k=1, r=R)
    k-recall@k             knn_recall(I, gt, k=k, r=k)       ("recall@10" of ann-benchmarks)
    recall@10 of top-100   knn_recall(I, gt, k=10, r=100)

By id, a tie at the k-th place makes an exact index look wrong (exact search on SIFT1M scores
.9914). By distance it doesn't: a returned item counts when it is no farther than the k-th true
neighbour, plus 1e-3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from cbir._checks import check_int
from cbir.errors import DimensionError


def knn_recall(I: ArrayLike, gt: ArrayLike, *, k: int, r: int | None = None) -> float:  # noqa: E741
    """Share of the first `k` true neighbours found in the first `r` returned ones.

    Averaged over queries.

    Parameters
    ----------
    I : (nq, >= r) int64 returned ids; -1 never counts.
    gt : (nq, >= k) int64 true neighbours, nearest first.
    k, r : see the module; r = k where not given.

    Raises
    ------
    DimensionError where an array is too narrow or the numbers of queries differ.
    """
    k = check_int(k, who="knn_recall", name="k", low=1)
    r = k if r is None else check_int(r, who="knn_recall", name="r", low=1)
    found, true = _pair(I, gt, r, k, who="knn_recall", names=("I", "gt"))
    hit = (found[:, :, None] == true[:, None, :]) & (found >= 0)[:, :, None]
    return float(hit.any(axis=1).mean())


def knn_recall_by_distance(
    D: ArrayLike,
    D_true: ArrayLike,
    *,
    k: int,
    eps: float = 1e-3,
) -> float:
    """k-recall@k by distance: the share of returned ones within the k-th true distance + `eps`.

    Parameters
    ----------
    D : (nq, >= k) distances of the returned items, recomputed, not as the index claims them; inf:
        no item.
    D_true : (nq, >= k) distances of the true neighbours, rising.
    k, eps : how many, and the slack (the 1e-3 of ann-benchmarks, meant for Euclidean distances).
    """
    k = check_int(k, who="knn_recall_by_distance", name="k", low=1)
    found, true = _pair(D, D_true, k, k, who="knn_recall_by_distance", names=("D", "D_true"))
    ok = np.isfinite(found) & (found <= true[:, k - 1 : k] + eps)
    return float(ok.mean())


def _pair(
    a: ArrayLike, b: ArrayLike, width_a: int, width_b: int, *, who: str, names: tuple[str, str]
) -> tuple[np.ndarray, np.ndarray]:
    x, y = np.asarray(a), np.asarray(b)
    for name, array, width in ((names[0], x, width_a), (names[1], y, width_b)):
        if array.ndim != 2 or array.shape[1] < width:
            raise DimensionError(
                f"{who}: {name} has shape {array.shape}, expected (nq, {width} or more)"
            )
    if len(x) != len(y) or len(x) == 0:
        raise DimensionError(f"{who}: {names[0]} has {len(x)} queries, {names[1]} {len(y)}")
    return x[:, :width_a], y[:, :width_b]
