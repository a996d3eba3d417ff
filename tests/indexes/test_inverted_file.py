"""InvertedFile: the native kernels against the twin, scipy and a dict, at every SIMD level."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.errors import FormatError, ParameterError
from cbir.indexes import InvertedFile, Segments, load
from cbir.reference import inverted_file as twin
from cbir.types import SparseVectors
from tests.indexes.cases import lie

METRICS = InvertedFile.METRICS
POSTINGS = ["blocks", "block_largest", "list_offsets", "list_rows", "list_weights", "row_sums",
            "dense_words", "dense_begins", "dense_masks", "dense_weights"]  # fmt: skip


def bags(n, n_words, density=0.2, seed=0, signed=False):
    rng = np.random.default_rng(seed)
    x = rng.random((n, n_words), np.float32) - np.float32(0.5 if signed else 0)
    x[rng.random((n, n_words)) > density] = 0
    return SparseVectors.from_dense(x)


def bags_of(rows, i):
    words, weights = rows[i]
    return SparseVectors(words, weights, np.array([0, len(words)]), rows.n_words)


def index_of(rows, metric, ids=None):
    index = InvertedFile(rows.n_words, metric=metric)
    index.add(rows, ids=ids)
    return index


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize(("n", "n_words"), [(1, 1), (2, 3), (17, 9), (300, 50), (129, 1000)])
def test_matches_the_twin(simd_level, metric, n, n_words):
    rows, q = bags(n, n_words), bags(11, n_words, seed=1)
    ids = np.random.default_rng(2).permutation(3 * n)[:n]
    D, I = twin.search(rows, ids, q, 10, metric)
    for n_threads in (1, 4):
        found = index_of(rows, metric, ids).search(q, 10, n_threads=n_threads)
        there = np.isfinite(D)
        np.testing.assert_array_equal(there, np.isfinite(found.D))
        # D is made in float64 and rounded once
        np.testing.assert_allclose(found.D[there], D[there], rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(found.I, I)


@pytest.mark.parametrize("metric", METRICS)
def test_many_blocks_of_images(simd_level, metric):
    """More images than one block of 8,192 and one item of work of eight blocks hold."""
    rows, q = bags(70_001, 12, 0.26), bags(3, 12, 0.8, seed=1)  # some words dense in a block
    index = index_of(rows, metric)
    whole, x = index.search(q, 50, n_threads=4), rows.to_dense().astype(float)
    for i, one in enumerate(q.to_dense().astype(float)):
        if metric == "l1":
            score = -np.abs(x - one).sum(1)
        elif metric == "histogram_intersection":
            score = np.minimum(x, one).sum(1)
        else:
            score = x @ one
            if metric == "cosine":
                length = np.linalg.norm(x, axis=1) * np.linalg.norm(one)
                score = np.divide(score, length, out=np.zeros_like(score), where=length > 0)
        best = np.sort(score)[::-1][:50]
        np.testing.assert_allclose(np.abs(whole.D[i]), np.abs(best), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(score[whole.I[i]], best, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("metric", METRICS)
def test_a_query_alone_and_in_a_batch_gives_the_same_bits(simd_level, metric):
    """Queries are scored in groups; a group's dense words are multiplied with all its queries."""
    rows, q = bags(9000, 40, 0.13), bags(70, 40, 0.3, seed=1)  # an eighth of the images is dense
    index = index_of(rows, metric)
    whole = index.search(q, 20)
    for i in (0, 31, 33, 69):
        alone = index.search(bags_of(q, i), 20)
        np.testing.assert_array_equal(alone.I[0], whole.I[i])
        np.testing.assert_array_equal(alone.D[0], whole.D[i])


@pytest.mark.parametrize("metric", ["ip", "cosine", "l1"])
def test_negative_weights(metric):
    rows, q = bags(60, 20, signed=True), bags(5, 20, seed=1, signed=True)
    D, I = twin.search(rows, np.arange(60), q, 60, metric)
    found = index_of(rows, metric).search(q, 60)
    np.testing.assert_allclose(found.D, D, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(found.I, I)


def test_negative_weights_have_no_intersection():
    with pytest.raises(ParameterError, match="negative weight"):
        index_of(bags(3, 20, signed=True), "histogram_intersection")


def test_hand_values():
    x = np.array([[1, 0, 2], [0, 3, 0], [0, 0, 0]], np.float32)
    q = SparseVectors.from_dense(np.array([[2, 0, 1]], np.float32))
    rows = SparseVectors.from_dense(x)
    answers = {
        "ip": ([4, 0, 0], [0, 1, 2]),  # 1*2 + 2*1
        "cosine": ([0.8, 0, 0], [0, 1, 2]),  # 4 / (sqrt 5 * sqrt 5)
        "histogram_intersection": ([2, 0, 0], [0, 1, 2]),  # min(1, 2) + min(2, 1)
        "l1": ([2, 3, 6], [0, 2, 1]),  # |1-2| + |2-1|; 2 + 1; 2 + 3 + 1
    }
    for metric, (D, I) in answers.items():
        found = index_of(rows, metric).search(q, 3)
        np.testing.assert_allclose(found.D[0], D, rtol=1e-6)
        assert found.I[0].tolist() == I


@pytest.mark.reference
def test_scipy_product_gives_the_same(simd_level):
    rows, q = bags(2000, 500, 0.05), bags(20, 500, 0.05, seed=1)
    a, b = (
        scipy.sparse.csr_matrix((s.weights.astype(float), s.word_ids, s.offsets), (len(s), 500))
        for s in (rows, q)
    )
    score = (b @ a.T).toarray()
    found = index_of(rows, "ip").search(q, 15)
    np.testing.assert_allclose(found.D, -np.sort(-score, axis=1)[:, :15], rtol=1e-6)
    np.testing.assert_allclose(np.take_along_axis(score, found.I, 1), found.D, rtol=1e-6)


def test_cosine_is_the_inner_product_of_unit_rows():
    rows, q = bags(80, 30), bags(6, 30, seed=1)

    def unit(s):
        x = s.to_dense()
        return SparseVectors.from_dense(x / np.maximum(np.linalg.norm(x, axis=1), 1e-9)[:, None])

    a, b = index_of(rows, "cosine").search(q, 9), index_of(unit(rows), "ip").search(unit(q), 9)
    np.testing.assert_array_equal(a.I, b.I)
    np.testing.assert_allclose(a.D, b.D, rtol=1e-5)


def test_unit_l1_rows_have_distance_two_less_twice_the_intersection():
    x = bags(50, 30).to_dense() + np.float32(1e-3)
    x /= x.sum(1, keepdims=True)
    rows = SparseVectors.from_dense(x)
    far, near = index_of(rows, "l1").search(rows, 50), index_of(rows, "histogram_intersection")
    np.testing.assert_array_equal(far.I[:, 0], np.arange(50))
    np.testing.assert_array_equal(far.D[:, 0], 0)
    np.testing.assert_allclose(far.D, 2 - 2 * near.search(rows, 50).D, atol=1e-5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([0, 9], "word 9, allowed is 0 to 8"),
        ([-1, 2], "word -1"),
        ([3, 3], "rise"),
        ([4, 1], "rise"),
    ],
)
def test_wrong_words_are_refused(words, message):
    rows = SparseVectors(
        np.array([1, 2, 3], np.int32), np.ones(3, np.float32), np.array([0, 1, 3]), 9
    )
    rows.word_ids[1:] = words  # what SparseVectors itself refuses may be written afterwards
    index = InvertedFile(9)
    for call in (index.add, lambda r: index.search(r, 1)):
        with pytest.raises(ParameterError, match=message):
            call(rows)


def test_a_row_may_begin_below_the_last_one_ended_and_rows_may_be_empty():
    rows = SparseVectors(
        np.array([7, 8, 0, 1], np.int32), np.ones(4, np.float32), np.array([0, 0, 2, 2, 4, 4]), 9
    )
    index = index_of(rows, "ip")
    found = index.search(rows, 5)
    assert found.I[1].tolist() == [1, 0, 2, 3, 4] and found.I[3].tolist() == [3, 0, 1, 2, 4]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("word_ids", lambda a: a + 1000),
        ("word_ids", lambda a: -a - 1),
        ("word_ids", lambda a: a[::-1]),
        ("word_ids", lambda a: a[:-1]),
        ("word_ids", lambda a: a.astype(np.int64)),
        ("weights", lambda a: a * np.nan),
        ("weights", lambda a: a.astype(np.float64)),
        ("offsets", lambda a: a[:-1]),
        ("offsets", lambda a: a[::-1]),
        ("offsets", lambda a: a[:0]),
        ("offsets", lambda a: a * 1000),
    ],
)
@pytest.mark.parametrize("n", [20, 50])  # without a block, and with one
def test_lying_rows_in_a_file_are_refused(tmp_path, name, change, n):
    index_of(bags(n, 30), "cosine").save(tmp_path / "index")
    lie(tmp_path / "index", name, change)
    with pytest.raises(FormatError, match=rf"{name}\.npy"):
        load(tmp_path / "index")


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *((name, lambda a: a[:-1]) for name in POSTINGS),
        *((name, lambda a: np.concatenate([a, a])) for name in POSTINGS),
        *((name, lambda a: a.astype(np.int16)) for name in POSTINGS),
        ("blocks", lambda a: a * 2),
        ("blocks", lambda a: -a),
        ("blocks", lambda a: a * 0),
        ("blocks", lambda a: a[:, :-1]),
        ("blocks", lambda a: a + 2**62),
    ],
)
@pytest.mark.parametrize("mmap", [False, True])
def test_lying_sizes_of_postings_are_refused(tmp_path, name, change, mmap):
    index_of(bags(8192 + 50, 30, 0.13), "l1").save(tmp_path / "index")
    lie(tmp_path / "index", name, change)
    with pytest.raises(FormatError, match=rf"{name}\.npy"):
        load(tmp_path / "index", mmap=mmap)


def test_images_of_the_first_blocks_keep_their_postings():
    """Rows added one by one around a block's end give what rows added at once give."""
    rows, q = bags(8200, 6), bags(4, 6, seed=1)
    x = rows.to_dense()
    index = InvertedFile(6)
    for begin, end in ((0, 8190), (8190, 8191), (8191, 8192), (8192, 8193), (8193, 8200)):
        index.add(SparseVectors.from_dense(x[begin:end]))
    gone = np.array([5, 8191, 8192])
    left = np.setdiff1d(np.arange(8200), gone)
    index.remove(gone)
    fresh = InvertedFile(6)
    fresh.add(SparseVectors.from_dense(x[left]), ids=left)
    a, b = index.search(q, 40), fresh.search(q, 40)
    np.testing.assert_array_equal(a.I, b.I)
    np.testing.assert_array_equal(a.D, b.D)


def brute(index, q, k):
    """The k best by exact score and id, from the score of every row."""
    ids = np.sort(index.ids)
    D = index.score(q, ids)
    key = D if index.metric == "l1" else -D
    best = np.lexsort((np.broadcast_to(ids, D.shape), key), axis=1)[:, :k]
    return np.take_along_axis(D, best, 1), ids[best]


def same(found, expected):
    np.testing.assert_array_equal(found.I, expected[1])
    np.testing.assert_array_equal(found.D, expected[0])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("seed", range(4))
def test_equal_rows_in_different_blocks(simd_level, metric, seed):
    """Words are dense in one block and not in the other, so running sums round differently."""
    x = bags(8192 + 150, 60, 0.12, seed).to_dense()
    twins = np.random.default_rng(seed).choice(8192, 150, replace=False)
    x[8192:] = x[twins]
    q = SparseVectors.from_dense(x[twins[:40]])
    index = index_of(SparseVectors.from_dense(x), metric)
    whole = index.search(q, 300, n_threads=2)
    same(whole, brute(index, q, 300))
    for k in (1, 2, 3, 10):
        few = index.search(q, k)
        np.testing.assert_array_equal(few.I, whole.I[:, :k])
        np.testing.assert_array_equal(few.D, whole.D[:, :k])
    near = index.range_search(bags_of(q, 0), float(whole.D[0, 250]))
    assert len(near.I) >= 251
    D, I = brute(index, bags_of(q, 0), len(near.I))
    np.testing.assert_array_equal(near.I, I[0])
    np.testing.assert_array_equal(near.D, D[0])


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("n", [1, 31, 32, 33, 8191, 8192, 8193, 8192 + 31, 8192 + 32])
def test_rows_with_and_without_a_block(metric, n):
    rows, q = bags(n, 30), bags(5, 30, seed=1)
    index = index_of(rows, metric, np.random.default_rng(2).permutation(n))
    same(index.search(q, min(n, 50)), brute(index, q, min(n, 50)))
    few = np.arange(0, n, 400)
    expected = brute(index.without(np.setdiff1d(np.arange(n), few)), q, len(few))
    same(index.search(q, len(few), allowed=few), expected)


@pytest.mark.parametrize("metric", METRICS)
def test_allowed_rows_of_many_blocks(simd_level, metric):
    rows, q = bags(20_000, 40, 0.1), bags(33, 40, 0.3, seed=1)
    index = index_of(rows, metric)
    for allowed in (
        np.arange(0, 20_000, 7),  # by a mask
        np.arange(8192),  # two blocks without any
        np.random.default_rng(0).choice(20_000, 70, replace=False),  # one by one
    ):
        rest = np.setdiff1d(np.arange(20_000), allowed)
        same(index.search(q, 12, allowed=allowed), brute(index.without(rest), q, 12))


@pytest.mark.parametrize("metric", ["ip", "l1"])
def test_one_very_long_row_spoils_nothing(metric):
    """The error bound of its block is huge: all rows of the block are scored exactly."""
    x = bags(9000, 30).to_dense()
    x[17] *= np.float32(1e12)
    index = index_of(SparseVectors.from_dense(x), metric)
    q = bags(4, 30, seed=1)
    same(index.search(q, 10), brute(index, q, 10))


@pytest.mark.parametrize("metric", METRICS)
def test_tiny_weights(simd_level, metric):
    """Products of 1e-25 underflow in float32; scores are made in float64."""
    x = bags(500, 20).to_dense() * np.float32(1e-25)
    q = bags(3, 20, seed=1)
    index = index_of(SparseVectors.from_dense(x), metric)
    same(index.search(q, 10), brute(index, q, 10))
    small = SparseVectors.from_dense(q.to_dense() * np.float32(1e-25))
    same(index.search(small, 10), brute(index, small, 10))


def test_adding_shares_the_blocks_that_are_complete():
    """Work is done for new rows only: the postings of full blocks are the same memory."""
    index = index_of(bags(2 * 8192 + 40, 6), "cosine")
    before = index._data.native.arrays()["list_offsets"]
    index.add(bags(10, 6, seed=1))
    after = index._data.native.arrays()["list_offsets"]
    assert [np.shares_memory(a, b) for a, b in zip(before, after, strict=True)] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("metric", METRICS)
def test_segments_of_many_blocks_answer_as_one(metric):
    x = bags(9000, 40, 0.1).to_dense()
    x[8500:] = x[:500]
    rows, q = SparseVectors.from_dense(x), SparseVectors.from_dense(x[:20])
    one = index_of(rows, metric)
    parts = []
    for begin, end in ((0, 8300), (8300, 8301), (8301, 9000)):
        parts.append(one.empty())
        parts[-1].absorb(one, np.arange(begin, end))
    both = Segments(parts, removed=[3, 8600])
    one.remove([3, 8600])
    same(both.search(q, 30), one.search(q, 30))


def test_the_twin_knows_filters_and_radius():
    rows, q, ids = bags(60, 20), bags(5, 20, seed=1), np.random.default_rng(3).permutation(99)[:60]
    for metric in METRICS:
        index, allowed = index_of(rows, metric, ids), ids[::3]
        D, I = twin.search(rows, ids, q, 7, metric, allowed)
        found = index.search(q, 7, allowed=allowed)
        np.testing.assert_array_equal(found.I, I)
        np.testing.assert_allclose(found.D, D, atol=1e-5)
        radius = float(D[0, 4]) + (1e-4 if metric == "l1" else -1e-4)
        near = index.range_search(q, radius, allowed=allowed)
        expected = twin.range_search(rows, ids, q, radius, metric, allowed)
        np.testing.assert_array_equal(np.diff(near.lims), [len(D) for D, _ in expected])
        np.testing.assert_array_equal(near.I, np.concatenate([I for _, I in expected]))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_adding_and_removing_agrees_with_a_dict(data):
    """Small integers: every score is exact, and ties are many."""
    metric = data.draw(st.sampled_from(["ip", "histogram_intersection", "l1"]))
    held, index = {}, InvertedFile(3, metric=metric)
    row = st.lists(st.integers(0, 2), min_size=3, max_size=3)
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            names = data.draw(st.lists(st.integers(0, 30), unique=True))
            new = [i for i in names if i not in held]
            x = [data.draw(row) for _ in new]
            dense = np.array(x, np.float32).reshape(-1, 3)
            index.add(SparseVectors.from_dense(dense), ids=new)
            held.update(zip(new, x, strict=True))
        else:
            gone = data.draw(st.lists(st.integers(0, 30), unique=True))
            assert index.remove(gone) == len([held.pop(i) for i in gone if i in held])
    q, k = data.draw(row), data.draw(st.integers(1, 12))

    def key(x):
        if metric == "l1":
            return sum(abs(a - b) for a, b in zip(q, x, strict=True))
        if metric == "ip":
            return -sum(a * b for a, b in zip(q, x, strict=True))
        return -sum(min(a, b) for a, b in zip(q, x, strict=True))

    expected = sorted((key(x), i) for i, x in held.items())[:k]
    expected += [(np.inf, -1)] * (k - len(expected))
    found = index.search(SparseVectors.from_dense(np.array([q], np.float32)), k)
    D = found.D[0] if metric == "l1" else -found.D[0]
    assert list(zip(D.tolist(), found.I[0].tolist(), strict=True)) == expected
