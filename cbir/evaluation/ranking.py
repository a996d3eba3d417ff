"""From scores to a ranking, and from a ranking to the ranks of the positives.

The order is by (score, id): equal scores go to the smaller id. `np.argsort` as it comes isn't
stable, and whatever the order of the rows was decides then; two honest tools gave AP .367 and .5 on
the same all-tied list.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir._checks import as_ids, check_int
from cbir.errors import DimensionError, DTypeError, ParameterError

Ids = NDArray[np.int64]


def rank_by_score(
    scores: ArrayLike, ids: ArrayLike, *, descending: bool, k: int | None = None
) -> Ids:
    """Order ids by (score, id).

    Parameters
    ----------
    scores : (nq, n) or (n,) numbers without NaN.
    ids : (n,) int64, distinct: the id of each column.
    descending : True for similarities, False for distances. Ties go to the smaller id in both.
    k : keep the first k; all where not given.

    Returns
    -------
    ranked : (nq, min(k, n)) int64, or 1-D as `scores` was.

    Raises
    ------
    DimensionError where `ids` does not fit, ParameterError on NaN.

    Examples
    --------
    >>> rank_by_score([.5, .9, .5], [7, 3, 2], descending=True).tolist()
    [3, 2, 7]
    """
    s = np.asarray(scores)
    if s.ndim not in (1, 2):
        raise DimensionError(f"rank_by_score: scores has shape {s.shape}, expected (nq, n) or (n,)")
    if s.dtype.kind not in "fiu":
        raise DTypeError(f"rank_by_score: scores are {s.dtype}, expected numbers")
    i = as_ids(ids, who="rank_by_score", n=s.shape[-1])
    if s.dtype.kind == "f" and np.isnan(s).any():
        raise ParameterError("rank_by_score: scores holds NaN, which has no place in an order")
    n = s.shape[-1]
    k = n if k is None else min(n, check_int(k, who="rank_by_score", name="k", low=1))
    columns = np.argsort(i)  # smaller ids first, and a stable sort keeps them so
    s = s[..., columns]
    if (
        descending
    ):  # a stable sort of the mirror image, mirrored: no negation, so unsigned scores work too
        order = (n - 1 - np.argsort(s[..., ::-1], axis=-1, kind="stable"))[..., ::-1]
    else:
        order = np.argsort(s, axis=-1, kind="stable")
    return np.ascontiguousarray(i[columns][order[..., :k]])


def positive_ranks(
    ranked: ArrayLike,
    relevant: ArrayLike,
    *,
    junk: ArrayLike = (),
    candidates: ArrayLike | None = None,
) -> Ids:
    """0-based ranks of the positives, counted after junk has left.

    Parameters
    ----------
    ranked : (k,) int64 ids, best first; -1 means "no hit" and is left out.
    relevant : ids of the positives.
    junk : ids that are neither right nor wrong; to drop the query itself, put its id here.
    candidates : where given, any id that is not among these leaves the ranking too.

    Returns
    -------
    ranks : (m,) int64, rising; m is at most ``len(relevant)``. Raises ParameterError where an id
        comes twice.

    Examples
    --------
    >>> positive_ranks([9, 5, -1, 7, 3], relevant=[5, 3], junk=[9]).tolist()
    [0, 2]
    """
    row = as_ranking(np.asarray(ranked)[None], who="positive_ranks")[0]
    inside = None if candidates is None else np.asarray(candidates, np.int64)
    relevant_ids, junk_ids = np.asarray(relevant, np.int64), np.asarray(junk, np.int64)
    return hit_positions(row, relevant_ids, junk_ids, inside)[0]


def as_ranking(ranked: ArrayLike, *, who: str) -> Ids:
    """Give (nq, k) int64 ids; refuses other shapes, types, ids below -1, doubles."""
    a = np.asarray(ranked)
    if a.ndim != 2:
        raise DimensionError(f"{who}: ranked has shape {a.shape}, expected (nq, k) ids")
    if a.size == 0:
        return np.zeros(a.shape, np.int64)
    if a.dtype.kind not in "iu":
        raise DTypeError(
            f"{who}: ranked is {a.dtype}, expected int64 ids (did you pass D instead of I?)"
        )
    a = a.astype(np.int64, copy=False)
    in_order = np.sort(a, axis=1)
    if in_order[:, 0].min() < -1:
        raise ParameterError(
            f"{who}: ranked holds {in_order[:, 0].min()}; ids are 0 or more, or -1"
        )
    twice = (in_order[:, 1:] == in_order[:, :-1]) & (in_order[:, 1:] >= 0)
    if twice.any():
        q, j = np.argwhere(twice)[0]
        raise ParameterError(f"{who}: id {in_order[q, j]} comes twice in the ranking of query {q}")
    return a


def hit_positions(row: Ids, relevant: Ids, junk: Ids, candidates: Ids | None) -> tuple[Ids, Ids]:
    """Ranks of the positives in one checked ranking, and their ids."""
    dropped = row < 0
    if len(junk):
        dropped |= np.isin(row, junk)
    if candidates is not None:
        dropped |= ~np.isin(row, candidates)
    positions = np.flatnonzero(np.isin(row, relevant) & ~dropped)
    ranks = positions - np.searchsorted(np.flatnonzero(dropped), positions)
    return ranks, row[positions]


def blocks_of(n: int, size: int) -> Sequence[range]:
    """Cut 0..n into ranges of at most `size`."""
    return [range(start, min(start + size, n)) for start in range(0, n, size)]
