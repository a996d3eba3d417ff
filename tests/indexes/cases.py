"""Rows for every index of the registry: what the contract suite feeds them, dense or sparse."""

import json

import numpy as np

from cbir.indexes import INDEXES
from cbir.store import load_arrays, save_arrays
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


def equal(a, b):
    """Two answers with the same bits."""
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)
        assert x.dtype == y.dtype


def lie(folder, name, change):
    """Save again with one array changed and the checksums right."""
    params, arrays = load_arrays(folder)
    arrays = {key: np.array(value) for key, value in arrays.items()}
    arrays[name] = change(arrays[name])
    kind = json.loads((folder / "manifest.json").read_text())["kind"]
    save_arrays(folder, kind=kind, params=params, arrays=arrays)
