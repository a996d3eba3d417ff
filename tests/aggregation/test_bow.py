"""BagOfWords against hand-computed answers, its twin, scipy.sparse and scikit-learn."""

import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.aggregation import AGGREGATIONS, BagOfWords, _bow
from cbir.errors import (
    DimensionError,
    DTypeError,
    FormatError,
    NotTrainedError,
    ParameterError,
)
from cbir.reference import bow as twin
from cbir.types import Bags, SparseVectors
from tests.aggregation._nearest import Nearest, clustered

SIZES = [(), (0,), (0, 0, 3), (1,), (5, 0, 700, 1), (17,) * 31]


def hand():
    """Three words on a line at 0, 10, 20; images {0, 0, 1}, {1}, {} and {1, 0}."""
    words = Nearest(np.float32([[0], [10], [20]]))
    images = [[[1], [-1], [9]], [[10]], np.zeros((0, 1)), [[12], [2]]]
    return words, Bags.of([np.float32(i) for i in images])


def test_hand_computed():
    words, bags = hand()
    bow = BagOfWords(words, tf="raw", norm="none").fit(bags)
    # word 0 is in images 0 and 3, word 1 in 0, 1, 3, word 2 nowhere: ln(4/2), ln(4/3), 0
    np.testing.assert_allclose(bow.idf_, [np.log(2), np.log(4 / 3), 0], rtol=1e-6)
    v = bow.transform(bags)
    assert v.offsets.tolist() == [0, 2, 3, 3, 5]
    assert v.word_ids.tolist() == [0, 1, 1, 0, 1]
    expected = [2 * np.log(2), np.log(4 / 3), np.log(4 / 3), np.log(2), np.log(4 / 3)]
    np.testing.assert_allclose(v.weights, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("tf", "norm", "expected"),
    [
        ("raw", "none", [2, 1]),
        ("log", "none", [np.log(3), np.log(2)]),
        ("sqrt", "none", [np.sqrt(2), 1]),
        ("raw", "l1", [2 / 3, 1 / 3]),
        ("raw", "l2", [2 / np.sqrt(5), 1 / np.sqrt(5)]),
        ("sqrt", "l2", [np.sqrt(2 / 3), np.sqrt(1 / 3)]),
    ],
)
def test_hand_computed_weights(tf, norm, expected):
    words, bags = hand()
    v = BagOfWords(words, tf=tf, idf=False, norm=norm).transform(bags)  # no fit: nothing to learn
    np.testing.assert_allclose(v[0][1], expected, rtol=1e-6)
    assert len(v[2][0]) == 0


def test_soft_assignment_by_hand():
    words = Nearest(np.float32([[0], [10], [20]]))
    bags = Bags.of([np.float32([[4]])])
    v = BagOfWords(words, tf="raw", idf=False, norm="none", n_assign=2, sigma=5.0).transform(bags)
    # squared distances 16 and 36, 2 sigma^2 = 50: a = exp(-0.32), b = exp(-0.72)
    a, b = np.exp(-0.32), np.exp(-0.72)
    assert v.word_ids.tolist() == [0, 1]
    np.testing.assert_allclose(v.weights, [a / (a + b), b / (a + b)], rtol=1e-6)


@pytest.mark.parametrize("sigma", [1e-300, 1e-162, 1e-30])
def test_a_very_small_sigma_leaves_the_nearest_word(sigma):
    words = Nearest(np.float32([[0], [10]]))
    bags = Bags.of([np.float32([[4], [9]])])
    v = BagOfWords(words, tf="raw", idf=False, norm="none", n_assign=2, sigma=sigma)
    np.testing.assert_array_equal(v.transform(bags).to_dense(), [[1, 1]])


def test_soft_assignment_far_from_every_word():
    words = Nearest(np.float32([[0], [10]]))
    bags = Bags.of([np.float32([[1e4], [-1e4]])])  # every exp(-d2 / 2 sigma^2) is 0 in float64
    v = BagOfWords(words, tf="raw", idf=False, norm="none", n_assign=2, sigma=0.1).transform(bags)
    np.testing.assert_array_equal(v.to_dense(), [[1, 1]])


@pytest.mark.parametrize("norm", ["l1", "l2", "none"])
@pytest.mark.parametrize("tf", ["raw", "log", "sqrt"])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_twin(sizes, tf, norm):
    bags, centroids = clustered(np.random.default_rng(len(sizes)), sizes, 37, 5)
    words = Nearest(centroids)
    for n_assign in (1, 3):
        bow = BagOfWords(words, tf=tf, norm=norm, n_assign=n_assign, sigma=0.8).fit(bags)
        ids, squared = words.predict_nearest(bags.descriptors, n_assign)
        shares = twin.shares(squared.astype(np.float64), 0.8)
        counts = twin.count(ids, bags.offsets, 37, shares)
        v = bow.transform(bags)
        np.testing.assert_allclose(bow.idf_, twin.idf(counts), rtol=1e-6, atol=0)
        expected = twin.weigh(counts, twin.idf(counts), tf=tf, norm=norm)
        # three roundings to float32 on the way: share, count, weight
        np.testing.assert_allclose(v.to_dense(), expected, rtol=2e-6, atol=1e-7)
        assert all(np.all(np.diff(v[i][0]) > 0) for i in range(len(v)))
        both = bow.fit_transform(bags)
        for name in ("word_ids", "weights", "offsets"):
            np.testing.assert_array_equal(getattr(both, name), getattr(v, name))


def test_scipy_brute_force():
    bags, centroids = clustered(np.random.default_rng(3), (50, 0, 7, 400), 90, 4)
    words = Nearest(centroids)
    image = np.repeat(np.arange(4), np.diff(bags.offsets))
    ids = words.predict(bags.descriptors)
    counts = sp.csr_matrix((np.ones(len(ids)), (image, ids)), (4, 90))
    counts.sum_duplicates()
    held = np.asarray((counts > 0).sum(0)).ravel()
    idf = np.where(held > 0, np.log(4 / np.maximum(held, 1)), 0)
    expected = counts.sqrt() @ sp.diags_array(idf)
    length = np.sqrt(np.asarray(expected.multiply(expected).sum(1)).ravel())
    expected = sp.diags_array(1 / np.where(length > 0, length, 1)) @ expected
    v = BagOfWords(words).fit(bags).transform(bags)
    np.testing.assert_allclose(v.to_dense(), expected.toarray(), rtol=1e-6, atol=1e-9)


@pytest.mark.reference
def test_sklearn_idf():
    from sklearn.feature_extraction import text

    bags, centroids = clustered(np.random.default_rng(4), (60,) * 20, 40, 4)
    bow = BagOfWords(Nearest(centroids), tf="raw").fit(bags)
    dense = bow.count(bags).to_dense()
    seen = dense.any(axis=0)  # sklearn divides by zero where a word is nowhere; ours is 0 there
    theirs = text.TfidfTransformer(smooth_idf=False).fit(dense[:, seen]).idf_
    np.testing.assert_allclose(bow.idf_[seen] + 1, theirs, rtol=1e-6)
    assert not bow.idf_[~seen].any()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_properties(data):
    n_words = data.draw(st.integers(1, 12))
    sizes = data.draw(st.lists(st.integers(0, 9), max_size=6))
    n = sum(sizes)
    ids = data.draw(st.lists(st.integers(0, n_words - 1), min_size=n, max_size=n))
    ids = np.array(ids, np.int32).reshape(-1, 1)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    counts = SparseVectors(*_bow.count(ids, None, offsets, n_words), n_words)
    np.testing.assert_array_equal(counts.to_dense(), twin.count(ids, offsets, n_words))
    words = Nearest(np.arange(n_words)[:, None])
    for norm, power in (("l1", 1), ("l2", 2)):
        v = BagOfWords(words, norm=norm).fit_counts(counts).weigh(counts)
        assert np.all(v.weights > 0)
        length = (v.to_dense().astype(np.float64) ** power).sum(axis=1)
        np.testing.assert_allclose(length[length > 0], 1, rtol=1e-5)
    # an image's vector does not depend on its neighbours
    bow = BagOfWords(words, norm="l2").fit_counts(counts)
    for i in range(len(counts)):
        w, c = counts[i]
        alone = SparseVectors(w, c, np.array([0, len(w)], np.int64), n_words)
        np.testing.assert_array_equal(bow.weigh(alone)[0][1], bow.weigh(counts)[i][1])


def test_unseen_words_of_a_query_weigh_nothing():
    words, bags = hand()
    bow = BagOfWords(words).fit(bags)
    only = bow.transform(Bags.of([np.float32([[20], [21]])]))
    assert only.offsets.tolist() == [0, 0]
    mixed = bow.transform(Bags.of([np.float32([[20], [0]])]))
    assert mixed.word_ids.tolist() == [0] and mixed.weights.tolist() == [1]


def test_no_descriptors_at_all():
    words = Nearest(np.zeros((4, 3)))
    v = BagOfWords(words).fit(Bags.of([], d=3)).transform(Bags.of([], d=3))
    assert len(v) == 0 and v.n_words == 4
    v = BagOfWords(words, idf=False).transform(Bags.of([np.zeros((0, 3), np.float32)] * 2))
    assert v.offsets.tolist() == [0, 0, 0]


def test_strided_read_only_and_float64_descriptors():
    bags, centroids = clustered(np.random.default_rng(5), (9, 4), 6, 8)
    bow = BagOfWords(Nearest(centroids)).fit(bags)
    expected = bow.transform(bags).to_dense()
    wide = np.repeat(bags.descriptors, 2, axis=1)[:, ::2]
    frozen = np.asfortranarray(bags.descriptors)
    frozen.flags.writeable = False
    for x in (wide, frozen, bags.descriptors.astype(np.float64)):
        np.testing.assert_array_equal(bow.transform(Bags(x, bags.offsets)).to_dense(), expected)


def test_errors():
    words, bags = hand()
    with pytest.raises(NotTrainedError, match="fit"):
        BagOfWords(words).transform(bags)
    with pytest.raises(NotTrainedError, match="vocabulary"):
        BagOfWords(Nearest()).fit(bags)
    with pytest.raises(DimensionError, match="bags has d=2, the vocabulary has d=1"):
        BagOfWords(words).fit(Bags.of([np.zeros((1, 2), np.float32)]))
    with pytest.raises(DTypeError, match=r"Bags\.of"):
        BagOfWords(words).fit([np.zeros((1, 1), np.float32)])
    with pytest.raises(DTypeError, match="int64"):
        BagOfWords(words).fit(Bags(np.zeros((1, 1), np.int64), np.array([0, 1])))
    with pytest.raises(ParameterError, match="n_assign=4 of only 3 words"):
        BagOfWords(words, n_assign=4).fit(bags)
    with pytest.raises(DimensionError, match="n_words=2"):
        BagOfWords(words, idf=False).weigh(SparseVectors.from_dense(np.float32([[1, 2]])))
    for wrong in (
        {"tf": "binary"},
        {"norm": "max"},
        {"idf": "no"},
        {"n_assign": 0},
        {"n_assign": 1.5},
        {"sigma": 0},
        {"sigma": float("nan")},
        {"n_threads": -1},
    ):
        with pytest.raises(ParameterError, match=next(iter(wrong))):
            BagOfWords(words, **wrong)
    with pytest.raises(ValueError, match="word ids are 0 to 3"):
        _bow.count(np.int32([[3]]), None, np.array([0, 1]), 3)


class Lying(Nearest):
    """A foreign vocabulary that gives too few rows, or words that it does not have."""

    def __init__(self, centroids, lie):
        super().__init__(centroids)
        self.lie = lie

    def predict(self, x, *, n_threads=None):
        return self.lie(super().predict(x))

    def predict_nearest(self, x, n_assign, *, n_threads=None):
        ids, squared = super().predict_nearest(x, n_assign)
        return self.lie(ids), squared


@pytest.mark.parametrize("n_assign", [1, 2])
def test_a_vocabulary_that_lies_is_refused(n_assign):
    bags = Bags.of([np.zeros((500, 1), np.float32)] * 20)
    for lie, message in (
        (lambda ids: ids[:3], r"word ids \(3, [12]\) for 10000 descriptors"),
        (lambda ids: ids + 2**24, "word ids are"),
        (lambda ids: ids - 5, "word ids are -5"),
    ):
        bow = BagOfWords(Lying([[0], [1], [2]], lie), idf=False, n_assign=n_assign)
        with pytest.raises(ValueError, match=message):
            bow.transform(bags)


def test_soft_assignment_keeps_the_number_of_threads():
    told = []

    class Telling(Nearest):
        def predict_nearest(self, x, n_assign, *, n_threads=None):
            told.append(n_threads)
            return super().predict_nearest(x, n_assign)

    words, bags = hand()
    bow = BagOfWords(Telling(words.centroids_), n_assign=2, n_threads=3)
    bow.fit(bags).transform(bags, n_threads=1)
    assert told == [3, 1]


def test_the_loops_refuse_arrays_that_do_not_fit():
    ids = np.int32([[0], [1], [2]])
    for offsets in ([], [0], [0, 2], [1, 3], [0, 4], [0, 3, 2, 3], [0, 2**62, 3], [0, -1, 3]):
        with pytest.raises(ValueError, match="offsets must"):
            _bow.count(ids, None, np.array(offsets, np.int64), 3)
        with pytest.raises(ValueError, match="offsets must"):
            arrays = ids[:, 0].copy(), np.ones(3, np.float32), np.array(offsets, np.int64)
            _bow.weigh(*arrays, np.ones(3, np.float32), 0, 0)
    whole = np.array([0, 3], np.int64)
    for shape in ((2, 1), (3, 2), (0, 0)):
        with pytest.raises(ValueError, match="shares are"):
            _bow.count(ids, np.ones(shape, np.float32), whole, 3)
    one = np.ones(3, np.float32)
    with pytest.raises(ValueError, match="counts are 2"):
        _bow.weigh(ids[:, 0].copy(), one[:2], whole, one, 0, 0)
    for wrong in ([0, 1, 3], [-1, 0, 0], [0, 2**31 - 1, 0], [-(2**31), 0, 0]):
        with pytest.raises(ValueError, match=r"word ids are .* expected 0 to 2"):
            _bow.weigh(np.int32(wrong), one, whole, one, 0, 0)


def test_more_words_than_ids():
    # A word id has 31 bits; sorting must not look at more of them.
    ids = np.int32([[5], [2**31 - 1], [5], [0]])
    found = _bow.count(ids, None, np.array([0, 4]), 2**40)
    assert found[0].tolist() == [0, 5, 2**31 - 1]
    assert found[1].tolist() == [1, 2, 1]


def test_weighing_altered_counts():
    # A SparseVectors is checked when it is made; its arrays may be written to afterwards.
    words, bags = hand()
    bow = BagOfWords(words).fit(bags)
    counts = bow.count(bags)
    with pytest.raises(ParameterError, match=r"word ids are 0 to 40000000, n_words=3"):
        SparseVectors(np.int32([0, 40_000_000]), np.ones(2, np.float32), np.array([0, 2]), 3)
    counts.word_ids[-1] = 40_000_000
    with pytest.raises(ValueError, match="word ids are"):
        bow.weigh(counts)


@pytest.mark.skipif(sys.platform != "linux", reason="limits the memory of a process")
@pytest.mark.skipif("CBIR_SANITIZE" in os.environ, reason="a sanitizer maps terabytes")
def test_no_memory_to_sort_in_is_an_error():
    # Room for the results and the votes, but not for the sorting's second copy of the votes.
    code = """
import resource, numpy as np
from cbir.aggregation import _bow
n = 4_000_000
ids, offsets = np.zeros((n, 1), np.int32), np.array([0, n])
_bow.count(ids[:9], None, np.array([0, 9]), 3)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
limit = used + 2 * 4 * n + 8 * n + 4 * n  # words, counts, votes, half of the copy
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    _bow.count(ids, None, offsets, 3)
except MemoryError:
    print("MemoryError")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "MemoryError\n"), done.stderr


def test_save_and_load(tmp_path):
    words, bags = hand()
    bow = BagOfWords(words, tf="log", norm="l1", n_assign=2, sigma=7.0).fit(bags)
    bow.save(tmp_path / "bow")
    again = BagOfWords.load(tmp_path / "bow", words)
    np.testing.assert_array_equal(again.idf_, bow.idf_)
    expected = bow.transform(bags).to_dense()
    np.testing.assert_array_equal(again.transform(bags).to_dense(), expected)
    np.testing.assert_array_equal(
        pickle.loads(pickle.dumps(bow)).transform(bags).to_dense(), expected
    )
    with pytest.raises(FormatError, match="idf is float32"):
        BagOfWords.load(tmp_path / "bow", Nearest(np.zeros((5, 1))))
    with pytest.raises(NotTrainedError, match="fit"):
        BagOfWords(words).save(tmp_path / "other")
    with pytest.raises(FormatError):
        BagOfWords.load(tmp_path / "nothing", words)


@pytest.mark.parametrize("cuts", [[], [2], [1, 1, 3], [0, 4]])
def test_idf_of_batches_is_that_of_all_images(cuts):
    """Only document frequencies are held, so the counts of a whole collection need not be."""
    words, bags = hand()
    whole = BagOfWords(words).fit(bags)
    counts = whole.count(bags).to_dense()
    alive = 0

    def batches():
        nonlocal alive
        for part in np.split(counts, cuts):
            alive += 1
            yield SparseVectors.from_dense(part)

    parts = BagOfWords(words).fit_counts(batches())
    assert alive == len(cuts) + 1
    np.testing.assert_array_equal(parts.idf_, whole.idf_)


def test_idf_of_no_batch_and_of_another_vocabulary():
    words, bags = hand()
    assert not BagOfWords(words).fit_counts([]).idf_.any()
    wrong = SparseVectors.from_dense(np.ones((1, 4), np.float32))
    with pytest.raises(DimensionError, match="n_words=4, the vocabulary has 3"):
        BagOfWords(words).fit_counts([BagOfWords(words).count(bags), wrong])


def test_says_whether_it_learns():
    words, _ = hand()
    assert BagOfWords(words).learns
    assert not BagOfWords(words, idf=False).learns


def test_registry():
    assert AGGREGATIONS["bow"] is BagOfWords
    assert BagOfWords.takes is Bags
    assert BagOfWords.gives is SparseVectors
    assert BagOfWords(Nearest(np.zeros((4, 3)))).d == 4
