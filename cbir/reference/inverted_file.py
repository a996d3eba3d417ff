"""Inverted file in plain NumPy: twin of csrc/inverted_file/ and `cbir.indexes.InvertedFile`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cbir.types import SparseVectors

Postings = list[list[tuple[int, float]]]


def build(rows: SparseVectors) -> Postings:
    """For each word, the (row, weight) of the rows that have it, in row order."""
    postings: Postings = [[] for _ in range(rows.n_words)]
    for row in range(len(rows)):
        for word, weight in zip(*rows[row], strict=True):
            postings[word].append((row, float(weight)))
    return postings


def search(
    rows: SparseVectors,
    ids: NDArray[np.int64],
    queries: SparseVectors,
    k: int,
    metric: str = "cosine",
    allowed: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Walk the postings of the query's words, add up, sort by (score, id).

    Returns D (nq, k) float64 and I (nq, k) int64; past the last row I is -1 and D -inf (inf for
    l1). Only ids in `allowed` may answer.
    """
    sign = 1 if metric == "l1" else -1
    D = np.full((len(queries), k), sign * np.inf)
    I = np.full((len(queries), k), -1, np.int64)  # noqa: E741
    for i, (found, names) in enumerate(ranked(rows, ids, queries, metric, allowed)):
        n = min(k, len(names))
        D[i, :n], I[i, :n] = found[:n], names[:n]
    return D, I


def range_search(
    rows: SparseVectors,
    ids: NDArray[np.int64],
    queries: SparseVectors,
    radius: float,
    metric: str = "cosine",
    allowed: NDArray[np.int64] | None = None,
) -> list[tuple[NDArray[np.float64], NDArray[np.int64]]]:
    """Scores and ids of all rows within `radius` of each query, best first."""
    found = ranked(rows, ids, queries, metric, allowed)
    sign = 1 if metric == "l1" else -1
    near = [sign * D <= sign * radius for D, _ in found]
    return [(D[at], names[at]) for (D, names), at in zip(found, near, strict=True)]


def ranked(rows, ids, queries, metric, allowed=None):
    """For each query the scores and ids of all rows that may answer, best first."""
    postings, answers = build(rows), []
    may = np.isin(ids, ids if allowed is None else allowed)
    for i in range(len(queries)):
        D = scores(rows, postings, queries[i], metric)[may]
        order = np.lexsort([ids[may], D if metric == "l1" else -D])
        answers.append((D[order], ids[may][order]))
    return answers


def scores(rows, postings, query, metric):
    """Score of every row against one query, (n,) float64: only shared words are touched."""
    words, weights = query[0], query[1].astype(float)
    lengths = np.array([np.linalg.norm(rows[i][1].astype(float)) for i in range(len(rows))])
    sums = np.array([np.abs(rows[i][1].astype(float)).sum() for i in range(len(rows))])
    score = np.abs(weights).sum() + sums if metric == "l1" else np.zeros(len(rows))
    for word, q in zip(words, weights, strict=True):
        for row, x in postings[word]:
            if metric == "l1":
                score[row] += abs(q - x) - abs(q) - abs(x)
            elif metric == "histogram_intersection":
                score[row] += min(q, x)
            else:
                score[row] += q * x
    if metric == "cosine":
        both = lengths * np.linalg.norm(weights)
        score = np.divide(score, both, out=np.zeros_like(score), where=both > 0)
    return score
