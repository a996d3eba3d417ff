"""Histograms of words (words given), tf-idf and norm, beside NumPy and scikit-learn.

python -m pytest benchmarks/micro/bench_bow.py
"""

import numpy as np
import pytest

from cbir.aggregation import _bow

N_IMAGES, N_DESCRIPTORS = 1000, 567


@pytest.fixture(scope="module", params=[20_000, 1_000_000], ids="{}words".format)
def case(request):
    rng = np.random.default_rng(0)
    word_ids = rng.integers(0, request.param, (N_IMAGES * N_DESCRIPTORS, 1)).astype(np.int32)
    offsets = np.arange(N_IMAGES + 1, dtype=np.int64) * N_DESCRIPTORS
    return word_ids, offsets, request.param, rng.random(request.param, np.float32)


def test_count_cbir(benchmark, case):
    word_ids, offsets, n_words, _ = case
    benchmark(_bow.count, word_ids, None, offsets, n_words)


def test_count_numpy(benchmark, case):
    word_ids, offsets, n_words, _ = case

    def count():
        image = np.repeat(np.arange(N_IMAGES), np.diff(offsets))
        return np.unique(image * n_words + word_ids[:, 0], return_counts=True)

    _, counts = benchmark(count)
    np.testing.assert_array_equal(counts, _bow.count(word_ids, None, offsets, n_words)[1])


def test_weigh_cbir(benchmark, case):
    word_ids, offsets, n_words, idf = case
    benchmark(_bow.weigh, *_bow.count(word_ids, None, offsets, n_words), idf, 2, 1)


def test_weigh_sklearn(benchmark, case):
    text = pytest.importorskip("sklearn.feature_extraction.text")
    sp = pytest.importorskip("scipy.sparse")
    word_ids, offsets, n_words, _ = case
    words, counts, starts = _bow.count(word_ids, None, offsets, n_words)
    matrix = sp.csr_matrix((counts, words, starts), (N_IMAGES, n_words))
    benchmark(text.TfidfTransformer().fit(matrix).transform, matrix)
