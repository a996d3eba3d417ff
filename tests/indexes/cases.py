"""Rows for every index of the registry: what the contract suite feeds them, dense or sparse."""

import numpy as np

from cbir.indexes import INDEXES
from cbir.types import SparseVectors

# (registry name, metric): each pair is one run of the contract suite
PAIRS = [(name, metric) for name, index in INDEXES.items() for metric in index.METRICS]
SPARSE = {"inverted_file"}
D = 24


def random_rows(name, n, seed=0, d=D):
    """`n` rows as the index takes them; sparse ones have about a third of the words."""
    rng = np.random.default_rng(seed)
    x = rng.random((n, d), np.float32)
    if name not in SPARSE:
        return x - np.float32(0.5)
    x[rng.random((n, d)) > 0.35] = 0
    return SparseVectors.from_dense(x)


def dense(rows):
    return rows.to_dense() if isinstance(rows, SparseVectors) else np.asarray(rows)


def pick(rows, positions):
    """Rows at `positions`, of the same kind."""
    chosen = dense(rows)[positions]
    return SparseVectors.from_dense(chosen) if isinstance(rows, SparseVectors) else chosen


def make(name, metric, n=0, seed=0, ids=None):
    index = INDEXES[name](D, metric=metric)
    if n:
        index.add(random_rows(name, n, seed), ids=ids)
    return index


def worst(metric):
    return np.inf if metric in ("l2", "l1") else -np.inf
