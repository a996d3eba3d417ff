"""Exhaustive search at every SIMD level, beside faiss and the NumPy twin.

python -m pytest benchmarks/micro/bench_flat.py
"""

import numpy as np
import pytest

from benchmarks.micro import median
from cbir import _core
from cbir.indexes import Flat
from cbir.reference import flat as twin

NB, D, K = 20_000, 128, 10


@pytest.fixture(scope="module", params=[1, 32, 256], ids="{}queries".format)
def case(request):
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(200, D))
    x = centres[rng.integers(0, 200, NB + request.param)] + 0.5 * rng.normal(
        size=(NB + request.param, D)
    )
    x = x.astype(np.float32)
    return x[:NB], x[NB:]


@pytest.mark.parametrize("level", _core.simd_levels())
def test_cbir(benchmark, case, level):
    x, q = case
    index = Flat(D)
    index.add(x)
    before = _core.simd_level()
    _core.set_simd_level(level)
    try:
        benchmark(index.search, q, K, n_threads=1)
    finally:
        _core.set_simd_level(before)
    seconds = median(benchmark)
    benchmark.extra_info["ns per distance"] = 1e9 * seconds / (len(q) * NB)
    benchmark.extra_info["Gflop/s"] = 2e-9 * len(q) * NB * D / seconds


@pytest.mark.parametrize("share", [0.01, 0.5])
def test_allowed(benchmark, case, share):
    """Few rows are gathered; many are sifted by a mask."""
    x, q = case
    index = Flat(D)
    index.add(x)
    mask = np.random.default_rng(1).random(NB) < share
    benchmark(index.search, q, K, allowed=mask, n_threads=1)
    benchmark.extra_info["ns per allowed distance"] = (
        1e9 * median(benchmark) / (len(q) * mask.sum())
    )


def test_faiss(benchmark, case):
    faiss = pytest.importorskip("faiss")
    x, q = case
    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatL2(D)
    index.add(x)
    benchmark(index.search, q, K)


def test_numpy_twin(benchmark, case):
    x, q = case
    benchmark.pedantic(twin.search, (x, np.arange(NB), q[:32], K), rounds=2)
