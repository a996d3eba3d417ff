"""A protocol and rankings make numbers: `evaluate` for an array, `Evaluator` for rankings that come
in blocks.

Only the ranks of the positives are kept of a ranking (a few numbers per query), so 10,200 full
rankings of 10,200 images, 832 MB of ids, are scored in blocks of any size without ever being in
memory together. Cost per query: a sort (to refuse ids that come twice) and a few passes over its
ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir._checks import check_int
from cbir.errors import DimensionError, ParameterError
from cbir.evaluation import metrics
from cbir.evaluation.protocols import Protocol
from cbir.evaluation.ranking import as_ranking, blocks_of, hit_positions

KS = (1, 4, 10)
AT_K = {
    "precision": metrics.precision_at_k,
    "recall": metrics.recall_at_k,
    "success": metrics.success_at_k,
}


@dataclass(frozen=True, eq=False)
class Hits:
    """What is left of one ranking: all that the metrics need.

    Attributes
    ----------
    ranks : (m,) int64, rising, 0-based, after junk has left.
    n_relevant : all positives.
    grades, all_grades : (m,) and (n_relevant,) float64, or None where all are 1.
    own_rank : rank of the query itself; -1 where it isn't a positive or was not returned.
    """

    ranks: NDArray[np.int64]
    n_relevant: int
    grades: NDArray[np.float64] | None
    all_grades: NDArray[np.float64] | None
    own_rank: int


class Evaluator:
    """Scores rankings that arrive in blocks, in the order of the protocol's queries.

    Examples
    --------
    >>> from cbir.evaluation import ukbench
    >>> e = Evaluator(ukbench(range(4), ["mug"] * 4))
    >>> e.add([[0, 1, 2, 3], [1, 0, 2, 3]])
    >>> e.add([[2, 0, 1, 3], [3, 0, 1, 2]])
    >>> e.metrics()["ns_score"]
    4.0
    """

    def __init__(self, protocol: Protocol, *, ks: Sequence[int] = KS) -> None:
        self.protocol = protocol
        self.ks = tuple(check_int(k, who="Evaluator", name="ks", low=1) for k in ks)
        self._hits: list[Hits] = []

    def add(self, ranked: ArrayLike) -> None:
        """Score the next rows.

        Parameters
        ----------
        ranked : (rows, k) int64 ids, best first, padded with -1. Not modified.

        Raises
        ------
        DimensionError on a wrong shape or more rows than queries, DTypeError on other than
        integers, ParameterError on an id that comes twice in a row or is below -1.
        """
        array = np.asarray(ranked)
        if array.ndim == 2 and len(self._hits) + len(array) > len(self.protocol):
            raise DimensionError(
                f"evaluate: {len(self._hits) + len(array)} rankings for "
                f"{len(self.protocol)} queries"
            )
        if array.ndim != 2:
            as_ranking(array, who="evaluate")
        for rows in blocks_of(len(array), 256):  # the sorted copy that finds doubles stays small
            for row in as_ranking(array[rows.start : rows.stop], who="evaluate"):
                self._hits.append(self._score(len(self._hits), row))

    def _score(self, i: int, row: NDArray[np.int64]) -> Hits:
        p = self.protocol
        relevant, own = p.relevant[i], int(p.query_ids[i])
        candidates = None if p.candidates is None else p.candidates[i]
        ranks, ids = hit_positions(row, relevant, p.dropped(i), candidates)
        at_self = ranks[ids == own] if own >= 0 else ranks[:0]
        own_rank = int(at_self[0]) if len(at_self) else -1
        if p.grades is None:
            return Hits(ranks, len(relevant), None, None, own_rank)
        order = np.argsort(relevant)
        grades = p.grades[i][order[np.searchsorted(relevant, ids, sorter=order)]]
        return Hits(ranks, len(relevant), grades, p.grades[i], own_rank)

    def hits(self) -> list[Hits]:
        """What is kept of each query. Raises DimensionError where rankings are still missing."""
        if len(self._hits) != len(self.protocol):
            raise DimensionError(
                f"evaluate: {len(self._hits)} rankings for {len(self.protocol)} queries; "
                "one row each"
            )
        return self._hits

    def per_query(self) -> dict[str, NDArray[np.float64]]:
        """Every metric of every query: name -> (nq,) float64, NaN where a query has no positives.

        Beside the names of `evaluate` there are ``n_relevant`` and ``n_found`` (in the whole
        ranking).
        """
        hits = self.hits()
        table: dict[str, list[float]] = {}

        def put(name: str, value: float) -> None:
            table.setdefault(name, []).append(value)

        ukbench = self.protocol.is_ukbench
        for h in hits:
            r, n = h.ranks, h.n_relevant
            if ukbench:
                put("ns_score", metrics.ns_score(r, n))
                put("accuracy", metrics.accuracy(r, n))
                put(
                    "ns_score_self_excluded",
                    metrics.ns_score_self_excluded(_without(r, h.own_rank)),
                )
            put("map", metrics.average_precision(r, n))
            put("map_trapezoid", metrics.average_precision_trapezoid(r, n))
            for name, metric in AT_K.items():
                for k in self.ks:
                    put(f"{name}@{k}", metric(r, n, k))
            put("r_precision", metrics.r_precision(r, n))
            put("ndcg@10", metrics.ndcg_at_k(r, n, 10, grades=h.grades, all_grades=h.all_grades))
            put("revisitop_mP@10", metrics.revisitop_mp_at_k(r, n, 10))
            put("n_relevant", n)
            put("n_found", len(r))
        return {name: np.array(values, np.float64) for name, values in table.items()}

    def metrics(self) -> dict[str, float]:
        """Mean of each metric over the queries that have positives; see `evaluate`."""
        table = self.per_query()
        scored = self.protocol.n_relevant > 0
        if not scored.any():
            raise ParameterError(
                f"evaluate: none of the {len(scored)} queries has a positive: nothing to average"
            )
        del table["n_relevant"], table["n_found"]
        means = {name: float(values[scored].mean()) for name, values in table.items()}
        means["n_queries"] = int(scored.sum())
        means["n_queries_skipped"] = int((~scored).sum())
        return means


def evaluate(protocol: Protocol, ranked: ArrayLike, *, ks: Sequence[int] = KS) -> dict[str, float]:
    """Score a ranking of every query.

    Parameters
    ----------
    protocol : says what is right; ``protocol.depth`` says how many results exact numbers need.
    ranked : (nq, k) int64 ids, best first, padded with -1; row i answers query i.
    ks : depths of precision@k, recall@k and success@k.

    Returns
    -------
    metrics : ``map`` (step rule), ``map_trapezoid``, ``precision@k``, ``recall@k``, ``success@k``
        for each k, ``r_precision``, ``ndcg@10``, ``revisitop_mP@10``; under UKBench first
        ``ns_score`` (of 4), ``accuracy`` (that / 4) and ``ns_score_self_excluded`` (of 3). Means
        over the ``n_queries`` queries that have positives; ``n_queries_skipped`` have none.

    Raises
    ------
    DimensionError, DTypeError, ParameterError as `Evaluator.add`; ParameterError where no query has
    a positive.
    """
    evaluator = Evaluator(protocol, ks=ks)
    evaluator.add(ranked)
    return evaluator.metrics()


def per_query(
    protocol: Protocol, ranked: ArrayLike, *, ks: Sequence[int] = KS
) -> dict[str, NDArray[np.float64]]:
    """Score each query by itself: as `evaluate`, but name -> (nq,), NaN without positives."""
    evaluator = Evaluator(protocol, ks=ks)
    evaluator.add(ranked)
    return evaluator.per_query()


def _without(ranks: NDArray[np.int64], own_rank: int) -> NDArray[np.int64]:
    """Ranks of the others once the query has left: those behind it move up by one."""
    if own_rank < 0:
        return ranks  # the query wasn't returned, so only others are here
    others = ranks[ranks != own_rank]
    return np.asarray(others - (others > own_rank), np.int64)
