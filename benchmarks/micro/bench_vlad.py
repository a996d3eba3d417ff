"""VLAD sums alone (words given) at every SIMD level, beside the NumPy twin.

python -m pytest benchmarks/micro/bench_vlad.py
"""

import numpy as np
import pytest

from benchmarks.micro import median
from cbir import _core
from cbir.reference import vlad as twin

N_IMAGES, N_DESCRIPTORS, D = 100, 567, 128  # as many as ukbench1000 has per image


@pytest.fixture(scope="module", params=[16, 64, 256], ids="{}words".format)
def case(request):
    rng = np.random.default_rng(0)
    x = rng.random((N_IMAGES * N_DESCRIPTORS, D), np.float32)
    offsets = np.arange(N_IMAGES + 1, dtype=np.int64) * N_DESCRIPTORS
    word_ids = rng.integers(0, request.param, len(x)).astype(np.int32)
    return x, offsets, word_ids, rng.random((request.param, D), np.float32)


@pytest.mark.parametrize("level", _core.simd_levels())
def test_cbir(benchmark, case, level):
    x, offsets, word_ids, centroids = case
    out = np.empty((N_IMAGES, centroids.size), np.float32)
    switches = {"signed_sqrt": True, "intra": True, "l2": True}
    before = _core.simd_level()
    _core.set_simd_level(level)
    try:
        benchmark(
            _core.vlad_encode, x, offsets, word_ids, centroids, **switches, n_threads=1, out=out
        )
    finally:
        _core.set_simd_level(before)
    # bytes that must be read and written once, against the memory's bandwidth
    benchmark.extra_info["GB/s"] = (x.nbytes + out.nbytes) / median(benchmark) / 1e9


def test_numpy_twin(benchmark, case):
    benchmark(twin.encode, *case)
