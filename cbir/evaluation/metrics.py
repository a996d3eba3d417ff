"""The metrics, one query at a time.

Each takes `ranks`, the 0-based positions of the positives that were found (rising), and
`n_relevant`, how many positives there are, found or not. With r_j the j-th rank (j = 0, 1, ...) and
n = n_relevant::

    average_precision            sum_j (j+1)/(r_j+1) / n                  TREC: the step rule
    average_precision_trapezoid  sum_j (j/r_j + (j+1)/(r_j+1))/2 / n      Oxford, Holidays
    average_precision_at_k       the step rule over r_j < k, its denominator named
    precision_at_k               #(r_j < k) / k
    recall_at_k                  #(r_j < k) / n          the share of the positives that was found
    success_at_k                 1 if any r_j < k        was anything found at all ("hit rate")
    r_precision                  #(r_j < n) / n
    ndcg_at_k                    DCG@k / ideal DCG@k, graded
    ns_score, accuracy           #(r_j < 4), and that / 4        UKBench
    revisitop_mp_at_k            precision at min(k, rank of the last positive)

The two AP rules differ a lot on the same ranking (one positive in second place: .5 and .25), so
there are two names and no default. "Top-1 precision" is ``precision_at_k(..., 1)``: it isn't an
average precision. "Recall" is the share found, "success" whether anything was found: some texts
call both recall@k.

A query without positives has no score: every metric is NaN there, so that a mean that forgets to
leave it out shows it. Cost: linear in the number of positives found.

Papers: Buckley and Voorhees, SIGIR 2000 (AP, R-precision); Philbin et al., CVPR 2007 (trapezoid);
Jarvelin and Kekalainen, TOIS 2002 (nDCG); Nister and Stewenius, CVPR 2006 (N-S); Radenovic et al.,
CVPR 2018 (revisitop).
"""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir._checks import check_int
from cbir.errors import DimensionError, ParameterError

NAN = math.nan


def average_precision(ranks: ArrayLike, n_relevant: int) -> float:
    """Standard (step) average precision, by the step rule of TREC: sum_j (j+1)/(r_j+1) / n.

    scikit-learn counts the same, but merges ties.

    Parameters
    ----------
    ranks : (m,) int, rising, 0-based, after junk has left; see `cbir.evaluation.positive_ranks`.
    n_relevant : all positives, m of which were found.

    Returns
    -------
    ap : in [0, 1]; NaN where `n_relevant` is 0. Raises ParameterError on impossible ranks.

    Examples
    --------
    >>> average_precision([1], 1)
    0.5
    """
    r = check_ranks(ranks, n_relevant, who="average_precision")
    if n_relevant == 0:
        return NAN
    return float(np.sum(np.arange(1, len(r) + 1) / (r + 1)) / n_relevant)


def average_precision_trapezoid(ranks: ArrayLike, n_relevant: int) -> float:
    """Average precision by the trapezoid rule of Oxford, Holidays and revisitop.

    Each positive adds the mean of the precision just before and just after it; before rank 0 that
    is 1.

    Examples
    --------
    >>> average_precision_trapezoid([1], 1)
    0.25
    """
    r = check_ranks(ranks, n_relevant, who="average_precision_trapezoid")
    if n_relevant == 0:
        return NAN
    j = np.arange(len(r))
    before = np.where(r == 0, 1.0, j / np.maximum(r, 1))
    return float(np.sum((before + (j + 1) / (r + 1)) / 2) / n_relevant)


def average_precision_at_k(
    ranks: ArrayLike, n_relevant: int, k: int, *, denominator: Literal["relevant", "min"]
) -> float:
    """Step AP of the first `k` places. "AP@k" is two measures; `denominator` says which.

    ``"relevant"`` divides by `n_relevant` (TREC: a perfect ranking stays below 1 where n_relevant >
    k); ``"min"`` by min(k, n_relevant) (a perfect ranking has 1).
    """
    r = check_ranks(ranks, n_relevant, who="average_precision_at_k")
    k = check_int(k, who="average_precision_at_k", name="k", low=1)
    if denominator not in ("relevant", "min"):
        raise ParameterError(
            f"average_precision_at_k: denominator={denominator!r}, allowed are 'relevant' and 'min'"
        )
    if n_relevant == 0:
        return NAN
    r = r[r < k]
    divisor = n_relevant if denominator == "relevant" else min(k, n_relevant)
    return float(np.sum(np.arange(1, len(r) + 1) / (r + 1)) / divisor)


def precision_at_k(ranks: ArrayLike, n_relevant: int, k: int) -> float:
    """Share of the first `k` places that hold a positive; an empty place is a miss."""
    found = _found(ranks, n_relevant, k, who="precision_at_k")
    return found / k if n_relevant else NAN


def recall_at_k(ranks: ArrayLike, n_relevant: int, k: int) -> float:
    """Share of all positives that stand in the first `k` places."""
    found = _found(ranks, n_relevant, k, who="recall_at_k")
    return found / n_relevant if n_relevant else NAN


def success_at_k(ranks: ArrayLike, n_relevant: int, k: int) -> float:
    """1 if at least one positive stands in the first `k` places, else 0."""
    found = _found(ranks, n_relevant, k, who="success_at_k")
    return float(found > 0) if n_relevant else NAN


def r_precision(ranks: ArrayLike, n_relevant: int) -> float:
    """Precision at k = n_relevant, where precision and recall are equal."""
    if n_relevant == 0:
        return NAN
    return _found(ranks, n_relevant, n_relevant, who="r_precision") / n_relevant


def ns_score(ranks: ArrayLike, n_relevant: int = 4) -> float:
    """UKBench score: how many of an object's 4 images stand in the first 4, query included.

    In [0, 4]; 1 is what finding only oneself gives. Nister and Stewenius, CVPR 2006. Raises
    ParameterError where the group isn't one of 4.
    """
    if n_relevant != 4:
        raise ParameterError(
            f"ns_score: the query has {n_relevant} positives; UKBench has 4, itself included"
        )
    return float(_found(ranks, 4, 4, who="ns_score"))


def ns_score_self_excluded(ranks: ArrayLike, n_relevant: int = 3) -> float:
    """How many of the 3 other images stand in the first 3 once the query has left; in [0, 3]."""
    if n_relevant != 3:
        raise ParameterError(
            f"ns_score_self_excluded: the query has {n_relevant} positives; expected 3"
        )
    return float(_found(ranks, 3, 3, who="ns_score_self_excluded"))


def accuracy(ranks: ArrayLike, n_relevant: int = 4) -> float:
    """``ns_score / 4``: what some texts on UKBench call accuracy; only oneself gives .25."""
    return ns_score(ranks, n_relevant) / 4.0


def revisitop_mp_at_k(ranks: ArrayLike, n_relevant: int, k: int) -> float:
    """Precision as revisited Oxford and Paris count it, over min(k, place of the last positive).

    It can be 1 with fewer than `k` positives, so it is not `precision_at_k`. 0 where nothing was
    found.
    """
    found = _found(ranks, n_relevant, k, who="revisitop_mp_at_k")
    if n_relevant == 0:
        return NAN
    r = np.asarray(ranks)
    if len(r) == 0:
        return 0.0
    return found / min(int(r[-1]) + 1, k)


def ndcg_at_k(
    ranks: ArrayLike,
    n_relevant: int,
    k: int,
    *,
    grades: ArrayLike | None = None,
    all_grades: ArrayLike | None = None,
    gain: Literal["linear", "exponential"] = "linear",
) -> float:
    """Normalised discounted cumulative gain of the first `k` places.

    DCG = sum g_j / log2(r_j + 2) over r_j < k; the ideal one puts the highest grades first and
    knows all of them, found or not. With ``gain="exponential"`` a grade g counts 2^g - 1.

    Parameters
    ----------
    ranks : (m,) int, rising, 0-based.
    n_relevant : all positives.
    k : depth.
    grades : (m,) the grade of each found positive, above 0; 1 each where not given.
    all_grades : (n_relevant,) the grades of all positives, in any order; needed where `grades` is
        given.
    gain : ``"linear"`` (TREC, the default there too) or ``"exponential"`` (Burges et al., ICML
        2005).
    """
    r = check_ranks(ranks, n_relevant, who="ndcg_at_k")
    k = check_int(k, who="ndcg_at_k", name="k", low=1)
    if (grades is None) != (all_grades is None):
        raise ParameterError(
            "ndcg_at_k: grades and all_grades belong together: give both or neither"
        )
    if gain not in ("linear", "exponential"):
        raise ParameterError(f"ndcg_at_k: gain={gain!r}, allowed are 'linear' and 'exponential'")
    if n_relevant == 0:
        return NAN
    g = np.ones(len(r)) if grades is None else np.asarray(grades, np.float64)
    ideal = np.ones(n_relevant) if all_grades is None else np.asarray(all_grades, np.float64)
    if len(g) != len(r) or len(ideal) != n_relevant:
        raise DimensionError(
            f"ndcg_at_k: {len(g)} grades for {len(r)} ranks, {len(ideal)} of all for "
            f"{n_relevant} positives"
        )
    if (g <= 0).any() or (ideal <= 0).any():
        raise ParameterError("ndcg_at_k: a grade is not above 0; leave out what isn't relevant")
    if gain == "exponential":
        g, ideal = np.exp2(g) - 1, np.exp2(ideal) - 1
    ideal = np.sort(ideal)[::-1][:k]
    best = np.sum(ideal / np.log2(np.arange(len(ideal)) + 2))
    top = r < k
    return float(np.sum(g[top] / np.log2(r[top] + 2)) / best)


def check_ranks(ranks: ArrayLike, n_relevant: int, *, who: str) -> NDArray[np.int64]:
    """Give `ranks` as int64, or raise ParameterError: not rising, below 0, too many."""
    r = np.asarray(ranks)
    if r.ndim != 1:
        raise DimensionError(f"{who}: ranks has shape {r.shape}, expected (m,)")
    if len(r) == 0:
        r = r.astype(np.int64)
    if r.dtype.kind not in "iu":
        raise ParameterError(f"{who}: ranks are {r.dtype}, expected integers, 0-based")
    if len(r) > n_relevant:
        raise ParameterError(f"{who}: {len(r)} ranks, but only {n_relevant} positives")
    if len(r) and (r[0] < 0 or (r[1:] <= r[:-1]).any()):
        raise ParameterError(f"{who}: ranks must rise from 0 or more, found {r[:8].tolist()}")
    return r.astype(np.int64, copy=False)


def _found(ranks: ArrayLike, n_relevant: int, k: int, *, who: str) -> int:
    """How many positives stand in the first `k` places."""
    k = check_int(k, who=who, name="k", low=1)
    return int(np.searchsorted(check_ranks(ranks, n_relevant, who=who), k))
