"""One ranking out of several channels: exact scores of all that any of them found, added up.

For query q, picture x and channels c with weights w_c::

    s_c(q, x)   similarity: what the index gives, distances negated
    score       sum over c of w_c norm_c(s_c(q, x)),   best first, ties to the smaller id

norm: "none"; "minmax", (s - min) / (max - min); "zscore", (s - mean) / deviation; per query and
channel, over the candidates (Snoek et al., PAMI 2005, compare such rules; combining ranked lists by
sums of scores is Fox and Shaw's CombSUM, TREC-2, 1994). A channel that gives all candidates one
score says nothing and counts 0.

Candidates are the union of the first `depth` hits of each channel, and every channel scores every
candidate exactly (`index.score`): a picture is never punished for being just outside the depth of
one of them.

**The answer for k is a prefix of that for k + 1.** If more hits are wanted than `depth` gives, the
list goes on with the union of the first 2 depth, 4 depth, ... of each: each block is ranked by
itself behind those before it, by the same `min`, `max`, `mean`; so neither order nor scores depend
on k. What stands in a later block has at most the score of the last one before it.

Cost: a search at `depth` in each channel, and an exact score wherever a channel did not find what
another found; what it found itself it has scored already, to the same bits.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.errors import ParameterError
from cbir.rerank import Database
from cbir.types import DISTANCES, SearchResult, SparseVectors, Vectors

Rows = Vectors | SparseVectors


def fuse(
    rows: Mapping[str, Rows],
    k: int,
    database: Database,
    *,
    weights: Mapping[str, float],
    normalisation: str,
    depth: int,
    knobs: Mapping[str, Mapping[str, Any]],
    allowed: Any = None,
    n_threads: int = 0,
) -> SearchResult:
    """Search several channels and rank what they found by the weighted sum of their scores.

    Parameters
    ----------
    rows : channel -> (nq, d) queries.
    k : hits wanted of each query.
    weights : channel -> weight, 1 where missing; a channel of weight 0 is not searched.
    normalisation : "none", "minmax" or "zscore".
    depth : hits of each channel that are candidates.
    knobs : channel -> search knobs of its index.
    allowed : ids that may be found, handed to every index.

    Returns
    -------
    D (nq, k) float32, scores descending; I (nq, k) int64. Past the last I = -1, D = -inf.

    Raises
    ------
    ParameterError if all weights are 0, or for an unknown normalisation; what the indexes raise.
    """
    if normalisation not in _NORMALISE:
        raise ParameterError(
            f"fusion.normalisation={normalisation!r}, allowed are {', '.join(_NORMALISE)}"
        )
    weighed = {name: float(weights.get(name, 1.0)) for name in rows}
    weighed = {name: weight for name, weight in weighed.items() if weight}
    if not weighed:
        raise ParameterError("fusion.weights: all are 0, so there is nothing to search by")
    n_blocks = 1
    while depth << (n_blocks - 1) < k:
        n_blocks += 1
    # No list is longer than its index, and there is nothing to gain from asking for more.
    held = max(1, *(database.index(name).ntotal for name in weighed))
    deepest = min(depth << (n_blocks - 1), held)
    found = {
        name: database.index(name).search(
            rows[name], deepest, allowed=allowed, n_threads=n_threads, **knobs[name]
        )
        for name in weighed
    }
    lists = [one.I for one in found.values()]
    blocks = [_blocks([one[i] for one in lists], depth, n_blocks) for i in range(len(lists[0]))]
    candidates = [np.concatenate(block) for block in blocks]
    scores = {
        name: _scores(database.index(name), rows[name], found[name], candidates, n_threads)
        for name in weighed
    }
    out = SearchResult(
        np.full((len(blocks), k), -np.inf, np.float32), np.full((len(blocks), k), -1, np.int64)
    )
    for i, of_query in enumerate(blocks):
        first, total = len(of_query[0]), np.zeros(sum(map(len, of_query)))
        for name, weight in weighed.items():
            mine = scores[name][i]
            shift, scale = _NORMALISE[normalisation](mine[:first])
            total += weight * ((mine - shift) * scale)
        ids, ranked = _ranked(of_query, total.astype(np.float32))
        m = min(k, len(ids))
        out.D[i, :m], out.I[i, :m] = ranked[:m], ids[:m]
    return out


def _blocks(lists: list[NDArray[np.int64]], depth: int, n_blocks: int) -> list[NDArray[np.int64]]:
    """Candidates of one query: the union of the first `depth`, what 2 depth adds, 4 depth, ..."""
    blocks: list[NDArray[np.int64]] = []
    seen = np.zeros(0, np.int64)
    for j in range(n_blocks):
        union = np.unique(np.concatenate([one[: depth << j] for one in lists]))
        union = union[union >= 0]
        blocks.append(np.setdiff1d(union, seen, assume_unique=True))
        seen = union
    return blocks


def _scores(
    index: Any,
    rows: Rows,
    found: SearchResult,
    candidates: list[NDArray[np.int64]],
    n_threads: int,
) -> list[NDArray[np.float64]]:
    """Similarity of each query to its candidates; only those it didn't find itself are scored."""
    scores, missing = [], []
    for ids, D, I in zip(candidates, *found, strict=True):  # noqa: E741  as in SearchResult
        order = np.argsort(I)
        at = order[np.minimum(np.searchsorted(I, ids, sorter=order), len(I) - 1)]
        scores.append(D[at].astype(np.float64))
        missing.append(I[at] != ids)
    wanted = [ids[lacks] for ids, lacks in zip(candidates, missing, strict=True)]
    padded = np.full((len(wanted), max(map(len, wanted), default=0)), -1, np.int64)
    for row, ids in zip(padded, wanted, strict=True):
        row[: len(ids)] = ids
    late = index.score(rows, padded, n_threads=n_threads)
    for mine, lacks, more in zip(scores, missing, late, strict=True):
        mine[lacks] = more[: int(lacks.sum())]
    return [-mine if index.metric in DISTANCES else mine for mine in scores]


def _ranked(
    blocks: list[NDArray[np.int64]], scores: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Each block by falling score, ties to the smaller id, never above the block before it."""
    start, orders = 0, []
    for ids in blocks:
        mine = scores[start : start + len(ids)]
        orders.append(start + np.lexsort((ids, -mine)))
        start += len(ids)
    order = np.concatenate(orders)
    return np.concatenate(blocks)[order], np.minimum.accumulate(scores[order])


def _minmax(scores: NDArray[np.float64]) -> tuple[float, float]:
    if not len(scores):
        return 0.0, 0.0
    low, high = float(scores.min()), float(scores.max())
    return low, 1.0 / (high - low) if high > low else 0.0


def _zscore(scores: NDArray[np.float64]) -> tuple[float, float]:
    if not len(scores):
        return 0.0, 0.0
    deviation = float(scores.std())
    # Rounding leaves a deviation even where all scores are one and the same.
    constant = deviation <= 1e-12 * float(np.abs(scores).max())
    return float(scores.mean()), 0.0 if constant else 1.0 / deviation


_NORMALISE = {"none": lambda scores: (0.0, 1.0), "minmax": _minmax, "zscore": _zscore}
"""Name -> shift and scale of a channel's scores, from those of the first candidates."""
