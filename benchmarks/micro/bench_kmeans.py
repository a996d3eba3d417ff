"""Nearest centroid at every SIMD level, beside faiss and a matrix product with argmax.

python -m pytest benchmarks/micro/bench_kmeans.py
"""

import numpy as np
import pytest

from benchmarks._peak import fma_peak
from benchmarks.micro import median
from cbir import _core

N, D = 12_000, 128


@pytest.fixture(scope="module", params=[64, 1024, 20_000], ids="{}words".format)
def case(request):
    rng = np.random.default_rng(0)
    n = N if request.param < 10_000 else N // 12
    return rng.random((n, D), np.float32), rng.random((request.param, D), np.float32)


def report(benchmark, case):
    x, centroids = case
    operations = 2 * x.size * len(centroids)
    benchmark.extra_info["Gflop/s"] = operations / median(benchmark) / 1e9


@pytest.mark.parametrize("level", _core.simd_levels())
def test_cbir(benchmark, case, level):
    x, centroids = case
    before = _core.simd_level()
    _core.set_simd_level(level)
    try:
        benchmark.extra_info["peak Gflop/s"] = fma_peak()
        benchmark(_core.KMeansWords(centroids).assign, x, 1)
    finally:
        _core.set_simd_level(before)
    report(benchmark, case)


def test_faiss(benchmark, case):
    faiss = pytest.importorskip("faiss")
    x, centroids = case
    index = faiss.IndexFlatL2(D)
    index.add(centroids)
    faiss.omp_set_num_threads(1)
    benchmark(index.search, x, 1)
    report(benchmark, case)


def test_numpy(benchmark, case):
    limits = pytest.importorskip("threadpoolctl").threadpool_limits
    x, centroids = case
    half = (centroids**2).sum(axis=1) / 2
    with limits(1):
        benchmark(lambda: (x @ centroids.T - half).argmax(axis=1))
    report(benchmark, case)
