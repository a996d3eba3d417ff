"""Precision against recall, and the two average precisions that are read off that curve.

The interpolated precision at recall x is the best precision at any recall of at least x (Manning et
al., Introduction to Information Retrieval, 8.4). It makes curves of different queries comparable:
they are averaged level by level. Levels are compared in integers (level i of N is reached by the
j-th positive of n when ``i * n <= (N - 1) * j``), since 0.1 * 3 is not 0.3 in floating point.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir._checks import check_int
from cbir.evaluation.evaluator import Evaluator
from cbir.evaluation.metrics import check_ranks

if TYPE_CHECKING:
    from cbir.evaluation.protocols import Protocol


def interpolated_precision(
    ranks: ArrayLike, n_relevant: int, n_points: int = 101
) -> NDArray[np.float64]:
    """Interpolated precision of one query at recall 0, 1/(n_points - 1), ..., 1.

    Parameters
    ----------
    ranks : (m,) int, rising, 0-based.
    n_relevant : all positives; levels that the found ones don't reach have precision 0.
    n_points : number of levels, at least 2.

    Returns
    -------
    precision : (n_points,) float64, never rising; NaN where `n_relevant` is 0.
    """
    r = check_ranks(ranks, n_relevant, who="interpolated_precision")
    n_points = check_int(n_points, who="interpolated_precision", name="n_points", low=2)
    if n_relevant == 0:
        return np.full(n_points, np.nan)
    best = np.zeros(n_relevant)
    best[: len(r)] = np.arange(1, len(r) + 1) / (r + 1)
    best = np.maximum.accumulate(best[::-1])[::-1]
    needed = -(
        -np.arange(n_points) * n_relevant // (n_points - 1)
    )  # positives that reach the level
    return np.asarray(best[np.maximum(needed, 1) - 1])


def average_precision_interpolated(ranks: ArrayLike, n_relevant: int) -> float:
    """Step AP with each precision replaced by the best from there on (PASCAL VOC from 2010)."""
    r = check_ranks(ranks, n_relevant, who="average_precision_interpolated")
    if n_relevant == 0:
        return math.nan
    precision = np.arange(1, len(r) + 1) / (r + 1)
    return float(np.sum(np.maximum.accumulate(precision[::-1])) / n_relevant)


def average_precision_11_point(ranks: ArrayLike, n_relevant: int) -> float:
    """Mean interpolated precision at recall 0, .1, ..., 1 (PASCAL VOC until 2009)."""
    return float(np.mean(interpolated_precision(ranks, n_relevant, 11)))


def precision_recall_curve(
    protocol: Protocol, ranked: ArrayLike, *, n_points: int = 101
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean interpolated precision over the queries that have positives, at evenly spaced recalls.

    Parameters
    ----------
    protocol : says what is right.
    ranked : (nq, k) int64 ids, best first.
    n_points : number of recall levels.

    Returns
    -------
    recall, precision : (n_points,) float64 each.
    """
    evaluator = Evaluator(protocol)
    evaluator.add(ranked)
    return mean_curve(evaluator, n_points=n_points)


def mean_curve(
    evaluator: Evaluator, *, n_points: int = 101
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`precision_recall_curve` of rankings that were handed over in blocks."""
    hits = evaluator.hits()
    curves = [interpolated_precision(h.ranks, h.n_relevant, n_points) for h in hits if h.n_relevant]
    return np.linspace(0, 1, n_points), np.mean(curves, axis=0)
