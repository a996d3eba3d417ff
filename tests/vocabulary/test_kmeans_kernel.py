"""The assignment kernels against the twin, at every SIMD level and awkward size."""

import numpy as np
import pytest

from cbir import _core
from cbir.reference import kmeans as twin
from tests import tolerances

WIDTHS = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 127, 128, 129, 960]
POINTS = [0, 1, 2, 1000]
WORDS = [1, 2, 33, 63, 64, 65, 127, 128, 129]  # a panel is 64 words


def clustered(n, d, seed, centres=20):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(centres, d))
    return (means[rng.integers(centres, size=n)] + 0.3 * rng.normal(size=(n, d))).astype(np.float32)


@pytest.mark.parametrize("d", WIDTHS)
@pytest.mark.parametrize("k", WORDS)
def test_assign_is_the_argmin(simd_level, d, k):
    c = clustered(k, d, seed=k)
    words = _core.KMeansWords(c)
    for n in POINTS if d < 200 else POINTS[:3]:
        x = clustered(n, d, seed=1000 + n)
        one = words.assign(x, 1)
        assert one.dtype == np.int32
        assert one.shape == (n,)
        assert one.min(initial=0) >= 0
        assert one.max(initial=0) < k
        tolerances.assert_nearest(one, x, c, twin.squared_distances(x, c))
        np.testing.assert_array_equal(words.assign(x, 4), one)


@pytest.mark.parametrize("d", [1, 8, 17, 128])
@pytest.mark.parametrize(("k", "n_assign"), [(1, 1), (2, 2), (65, 5), (129, 129), (700, 3)])
def test_nearest_is_the_head_of_the_sorted_row(simd_level, d, k, n_assign):
    x, c = clustered(50, d, seed=1), clustered(k, d, seed=2)
    exact = twin.squared_distances(x, c)
    word_ids, distances = _core.KMeansWords(c).nearest(x, n_assign, 1)
    assert word_ids.dtype == np.int32
    assert distances.dtype == np.float32
    np.testing.assert_array_equal(word_ids, _core.KMeansWords(c).nearest(x, n_assign, 4)[0])
    chosen = np.take_along_axis(exact, word_ids.astype(np.int64), axis=1)
    assert (np.abs(distances - chosen) <= tolerances.squared_distance(chosen, d)).all()
    # Ranked by score: distances rise, but for two words that tie within the error of their scores.
    assert (-np.diff(distances, axis=1) <= 4 * tolerances.score(x, c).max()).all()
    assert all(len(set(row)) == n_assign for row in word_ids.tolist())
    np.testing.assert_array_equal(word_ids[:, 0], _core.KMeansWords(c).assign(x, 1))
    # The a-th distance is the a-th smallest, but for words that tie within the error of a score.
    slack = 4 * tolerances.score(x, c).max(axis=1, keepdims=True)
    assert (chosen - np.sort(exact, axis=1)[:, :n_assign] <= slack).all()


def test_ties_go_to_the_lower_word(simd_level):
    # Words 3, 40 and 75 are the same, in different panels and lanes; small integers are exact in
    # float32.
    c = np.random.default_rng(0).integers(5, 9, (100, 12)).astype(np.float32)
    c[[3, 40, 75]] = 1
    x = np.ones((37, 12), np.float32)
    words = _core.KMeansWords(c)
    assert (words.assign(x, 1) == 3).all()
    assert (words.nearest(x, 3, 1)[0] == [3, 40, 75]).all()


def test_more_words_than_a_tile(simd_level):
    x, c = clustered(300, 128, seed=3, centres=200), clustered(3000, 128, seed=4, centres=200)
    c[2999] = x[0]
    c[1500] = x[1]
    word_ids = _core.KMeansWords(c).assign(x, 2)
    assert word_ids[0] == 2999
    assert word_ids[1] == 1500
    tolerances.assert_nearest(word_ids, x, c, twin.squared_distances(x, c))


def test_all_zero_data(simd_level):
    words = _core.KMeansWords(np.zeros((40, 128), np.float32))
    assert (words.assign(np.zeros((13, 128), np.float32), 1) == 0).all()


def test_lloyd_equals_the_twin(simd_level):
    for d, k in [(1, 3), (7, 1), (16, 32), (33, 33), (128, 20)]:
        x = clustered(1000, d, seed=d)
        start = x[:: len(x) // k][:k].copy()
        centroids, history, _ = _core.kmeans_lloyd(x, start, 6, 2)
        expected, expected_history = twin.lloyd(x, start, 6)
        assert len(history) == len(expected_history)
        # float32 centroids between the turns: the error of a mean enters each assignment anew
        np.testing.assert_allclose(centroids, expected, rtol=1e-5, atol=1e-5)
        np.testing.assert_allclose(history, expected_history, rtol=1e-5)


def test_lloyd_repairs_as_the_twin(simd_level):
    x = clustered(200, 4, seed=5)
    start = np.concatenate([x[:5], np.full((4, 4), 1e3, np.float32)])
    centroids, history, repaired = _core.kmeans_lloyd(x, start, 5, 1)
    expected, expected_history = twin.lloyd(x, start, 5)
    assert repaired >= 4
    np.testing.assert_allclose(centroids, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(history, expected_history, rtol=1e-5)


@pytest.mark.parametrize("n_words", [1, 5, 256, 257, 600])
def test_seeds_are_distinct_rows_for_any_thread_count(simd_level, n_words):
    x = clustered(5000, 9, seed=6)
    rows = _core.kmeans_seed_rows(x, n_words, 7, 1)
    assert len(set(rows)) == n_words
    assert rows == _core.kmeans_seed_rows(x, n_words, 7, 4)
    assert rows != _core.kmeans_seed_rows(x, n_words, 8, 1)


def test_seeding_beats_chance():
    # 50 far groups of very different size: k-means++ finds nearly all of them, random rows only
    # the large ones.
    rng = np.random.default_rng(8)
    sizes = np.r_[np.full(5, 2000), np.full(45, 20)]
    group = np.repeat(np.arange(50), sizes)
    x = (100 * rng.normal(size=(50, 8))[group] + 0.1 * rng.normal(size=(len(group), 8))).astype(
        np.float32
    )
    assert len(set(group[_core.kmeans_seed_rows(x, 50, 0, 2)])) >= 45
    batched = _core.kmeans_seed_rows(np.repeat(x, 2, axis=0), 400, 0, 2)
    assert len(set(np.repeat(group, 2)[batched])) == 50


def test_seeding_costs_what_the_twin_costs():
    # k-means++ of both draws with the same law: over 40 seeds the mean inertia agrees.
    x = clustered(600, 5, seed=9)
    ours, theirs = [], []
    for seed in range(40):
        rows = _core.kmeans_seed_rows(x, 12, seed, 1)
        ours.append(twin.assign(x, x[rows])[1].sum())
        rows = twin.seed_rows(x, 12, np.random.default_rng(seed))
        theirs.append(twin.assign(x, x[rows])[1].sum())
    spread = np.hypot(np.std(ours), np.std(theirs)) / np.sqrt(40)
    assert abs(np.mean(ours) - np.mean(theirs)) < 4 * spread
    chance = np.random.default_rng(10)
    random = [twin.assign(x, x[chance.choice(600, 12)])[1].sum() for _ in range(40)]
    assert np.mean(ours) < np.mean(random) - 2 * np.std(random) / np.sqrt(40)


def test_seeding_with_fewer_distinct_points_than_words():
    x = np.repeat(np.eye(3, dtype=np.float32), 200, axis=0)
    for n_words in (5, 300, 600):
        assert len(set(_core.kmeans_seed_rows(x, n_words, 0, 1))) == n_words


@pytest.mark.parametrize(("k", "d"), [(5, 4), (64, 33), (130, 48)])
def test_sub_vectors_are_columns_of_the_rows(simd_level, k, d):
    # What product quantisation asks for: the same bytes as from a copy of the columns.
    wide = clustered(700, 3 * d + 1, seed=20)
    for first in (0, d, 2 * d + 1):
        x = np.ascontiguousarray(wide[:, first : first + d])
        words = _core.KMeansWords(x[:k].copy())
        asked = words.assign(wide, 2, first_column=first)
        np.testing.assert_array_equal(asked, words.assign(x, 2))
        for a, b in zip(words.nearest(wide, 3, 2, first), words.nearest(x, 3, 2), strict=True):
            np.testing.assert_array_equal(a, b)
        found = _core.kmeans_lloyd(wide, x[:k].copy(), 3, 2, first_column=first)
        expected = _core.kmeans_lloyd(x, x[:k].copy(), 3, 2)
        np.testing.assert_array_equal(found[0], expected[0])
        assert found[1:] == expected[1:]
    for first in (-1, 2 * d + 2, 2**62):
        with pytest.raises(ValueError, match=r"columns .* are not all in x"):
            words.assign(wide, 1, first_column=first)


@pytest.mark.parametrize(
    "call",
    [
        lambda w, x: w.assign(x.astype(np.float64), 1),
        lambda w, x: w.assign(x[:, ::2], 1),
        lambda w, x: w.assign(np.asfortranarray(x), 1),
        lambda w, x: w.assign(x.tolist(), 1),
    ],
)
def test_binding_takes_exact_arrays_only(call):
    x = np.ones((4, 6), np.float32)
    with pytest.raises(TypeError):
        call(_core.KMeansWords(x), x)


def test_binding_refuses_wrong_shapes():
    x = np.ones((4, 6), np.float32)
    with pytest.raises(ValueError, match="columns"):
        _core.KMeansWords(x).assign(np.ones((2, 5), np.float32), 1)
    with pytest.raises(ValueError, match="at least one row"):
        _core.KMeansWords(x[:0])
    with pytest.raises(ValueError, match="one column"):
        _core.KMeansWords(x[:, :0].copy())
    with pytest.raises(ValueError, match="n_assign"):
        _core.KMeansWords(x).nearest(x, 5, 1)
    with pytest.raises(ValueError, match="rows"):
        _core.kmeans_lloyd(x[:2], x, 1, 1)
