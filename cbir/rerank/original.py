"""Exact distances on the vectors as they were before an index made them small.

An index over codes (product quantisation, binary codes) ranks by approximate distances; the exact
ones of the first `depth` hits mend most of what that costs (Jegou, Tavenard, Douze and Amsaleg,
ICASSP 2011, where the vectors are refined codes). Over an exact index nothing changes; with several
channels it ranks the best of the fused list by one of them.

By the metric of the channel's index, in float64, rounded once:

    l2                      sum_t (q_t - x_t)^2          l1   sum_t |q_t - x_t|
    ip                      q . x                        cosine  q . x / (|q| |x|), 0 where a
    histogram_intersection  sum_t min(q_t, x_t)                  length is 0

Cost: `depth` vectors are read and compared for each query; nothing of the rest is touched.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cbir._checks import check_int
from cbir.errors import ParameterError
from cbir.rerank._base import Database, Query, Reranker, in_front
from cbir.types import DISTANCES, SearchResult, SparseVectors, Vectors


class Original(Reranker):
    """Exact distances on the stored vectors of the first hits.

    Parameters
    ----------
    depth : hits of each query that are looked at again.
    channel : whose vectors are compared; empty: the only one.

    Examples
    --------
    >>> from cbir.indexes import Flat
    >>> from cbir.pipeline import ArrayDatabase, Query
    >>> rows = np.float32([[0, 0.4], [0, 0.3]])
    >>> rough = Flat(2)  # as an index over codes would: it keeps whole numbers only
    >>> rough.add(np.round(rows))
    >>> query = np.zeros((1, 2), np.float32)
    >>> found = rough.search(query, 2)
    >>> database = ArrayDatabase({"main": rough}, vectors={"main": rows})
    >>> better = Original().rerank(Query({"main": query}), found, database)
    >>> found.I.tolist(), better.I.tolist()
    ([[0, 1]], [[1, 0]])
    """

    def __init__(
        self,
        depth: Annotated[
            int, Field(ge=1, le=1_000_000, description="hits of each query looked at again")
        ] = 100,
        channel: Annotated[
            str, Field(description="channel whose vectors are compared; empty: the only one")
        ] = "",
    ) -> None:
        self.depth = depth
        self.channel = channel

    def ascending(self, metrics: Mapping[str, str]) -> bool:
        """Whether smaller `D` is better: that of the channel's metric.

        Raises
        ------
        ParameterError if there is no such channel, or several and none was named.
        """
        return metrics[self._channel(metrics)] in DISTANCES

    def rerank(
        self, query: Query, result: SearchResult, database: Database, *, n_threads: int = 0
    ) -> SearchResult:
        """Give the hits of `result` again, the first `depth` by exact distance.

        Raises
        ------
        ParameterError for a wrong `depth` or `channel`.
        """
        depth = check_int(self.depth, who="Original", name="depth", low=1)
        channel = self._channel(query.vectors)
        rows, metric = query.vectors[channel], database.index(channel).metric
        out = SearchResult(result.D.copy(), result.I.copy())
        for i in range(len(result.I)):
            ids = result.I[i, :depth]
            ids = ids[ids >= 0]
            if not len(ids):
                continue
            values = exact(rows, i, database.vectors(ids, channel), metric)
            out.D[i], out.I[i] = in_front(
                (result.D[i], result.I[i]), ids, values, ascending=metric in DISTANCES
            )
        return out

    def _channel(self, channels: Mapping[str, object]) -> str:
        names = ", ".join(channels)
        if not self.channel:
            if len(channels) != 1:
                raise ParameterError(
                    f"Original: channel is empty, but there are several ({names}); name one, e.g. "
                    f"rerank.original.channel={next(iter(channels))}"
                )
            return next(iter(channels))
        if self.channel not in channels:
            raise ParameterError(f"Original: channel={self.channel!r}, there is {names}")
        return self.channel


def exact(
    queries: Vectors | SparseVectors, i: int, rows: Vectors | SparseVectors, metric: str
) -> NDArray[np.float32]:
    """Distance or similarity of query number `i` to each row, (m,) float32.

    Raises
    ------
    ParameterError for a metric that is not in the table of this module.
    """
    if isinstance(rows, SparseVectors) and isinstance(queries, SparseVectors):
        return np.array(
            [_of_words(queries[i], row, metric) for row in map(rows.__getitem__, range(len(rows)))],
            np.float32,
        )
    if isinstance(rows, SparseVectors) or isinstance(queries, SparseVectors):
        raise ParameterError("Original: query and rows are not of one kind, sparse or dense")
    x, q = rows.astype(np.float64), queries[i].astype(np.float64)
    if metric == "l2":
        return np.asarray(np.square(x - q).sum(axis=1), np.float32)
    return _similarity((x * q).sum(axis=1), np.square(x).sum(axis=1), np.square(q).sum(), metric)


def _of_words(
    query: tuple[NDArray[np.int32], NDArray[np.float32]],
    row: tuple[NDArray[np.int32], NDArray[np.float32]],
    metric: str,
) -> float:
    _, in_query, in_row = np.intersect1d(query[0], row[0], assume_unique=True, return_indices=True)
    q, x = query[1].astype(np.float64), row[1].astype(np.float64)
    a, b = q[in_query], x[in_row]  # all other terms of a product or a minimum are 0
    if metric == "histogram_intersection":
        return float(np.minimum(a, b).sum())
    if metric == "l1":
        shared = np.abs(a - b) - np.abs(a) - np.abs(b)
        return float(np.abs(q).sum() + np.abs(x).sum() + shared.sum())
    lengths = np.square(x).sum(), np.square(q).sum()
    return float(_similarity((a * b).sum(), *lengths, metric))


def _similarity(product: Any, x_square: Any, q_square: Any, metric: str) -> NDArray[np.float32]:
    if metric == "ip":
        return np.asarray(product, np.float32)
    if metric != "cosine":
        raise ParameterError(f"Original: metric={metric!r} is not known")
    lengths = np.sqrt(x_square * q_square)
    return np.asarray(product / np.where(lengths > 0, lengths, 1.0), np.float32)
