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
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Walk the postings of the query's words, add up, sort by (score, id).

    Returns D (nq, k) float64 and I (nq, k) int64; past the last row I is -1 and D -inf (inf for
    l1).
    """
    postings = build(rows)
    lengths = np.array([np.linalg.norm(rows[i][1].astype(float)) for i in range(len(rows))])
    sums = np.array([np.abs(rows[i][1].astype(float)).sum() for i in range(len(rows))])
    sign = 1 if metric == "l1" else -1
    D = np.full((len(queries), k), sign * np.inf)
    I = np.full((len(queries), k), -1, np.int64)  # noqa: E741
    for i in range(len(queries)):
        words, weights = queries[i]
        score = (
            np.abs(weights.astype(float)).sum() + sums if metric == "l1" else np.zeros(len(rows))
        )
        for word, q in zip(words, weights.astype(float), strict=True):
            for row, x in postings[word]:
                if metric == "l1":
                    score[row] += abs(q - x) - abs(q) - abs(x)
                elif metric == "histogram_intersection":
                    score[row] += min(q, x)
                else:
                    score[row] += q * x
        if metric == "cosine":
            both = lengths * np.linalg.norm(weights.astype(float))
            score = np.divide(score, both, out=np.zeros_like(score), where=both > 0)
        best = np.lexsort([ids, sign * score])[:k]
        D[i, : len(best)] = score[best]
        I[i, : len(best)] = ids[best]
    return D, I
