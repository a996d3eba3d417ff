"""Scoring by postings under every metric, beside scipy.sparse.

python -m pytest benchmarks/micro/bench_inverted_file.py
"""

import numpy as np
import pytest
import scipy.sparse

from benchmarks.micro import median
from benchmarks.speed_inverted_file import N_WORDS, K, scipy_search, zipf_bags
from cbir.indexes import InvertedFile

N, NQ = 20_000, 10


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(0)
    return zipf_bags(N, rng), zipf_bags(NQ, rng)


@pytest.mark.parametrize("metric", InvertedFile.METRICS)
def test_cbir(benchmark, case, metric):
    x, q = case
    index = InvertedFile(N_WORDS, metric=metric)
    index.add(x)
    benchmark(index.search, q, K, n_threads=1)
    postings = int(np.bincount(x.word_ids, minlength=N_WORDS)[q.word_ids].sum())
    benchmark.extra_info["postings/s"] = postings / median(benchmark)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.5])
def test_allowed(benchmark, case, share):
    """Few rows are scored one by one; many by their postings, and sifted by a mask."""
    x, q = case
    index = InvertedFile(N_WORDS)
    index.add(x)
    mask = np.random.default_rng(1).random(N) < share
    benchmark(index.search, q, K, allowed=mask, n_threads=1)


def test_scipy(benchmark, case):
    x, q = case
    columns = scipy.sparse.csr_matrix((x.weights, x.word_ids, x.offsets), (N, N_WORDS)).tocsc()
    benchmark(lambda: [scipy_search(columns, q, i) for i in range(NQ)])
