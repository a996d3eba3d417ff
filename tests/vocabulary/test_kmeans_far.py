"""Points and words far from the origin, where float32 scores would lose their digits."""

import numpy as np
import pytest

from cbir import _core
from cbir.errors import FormatError, ParameterError
from cbir.reference import kmeans as twin
from cbir.vocabulary import KMeans
from tests import tolerances

FAR = [(1000, 1, 16), (100, 0.1, 16), (1e4, 1, 40), (-3e6, 100, 128)]


def bunch(mean, spread, d, n, seed):
    return (mean + spread * np.random.default_rng(seed).normal(size=(n, d))).astype(np.float32)


@pytest.mark.parametrize(("mean", "spread", "d"), FAR)
def test_the_nearest_word_is_found(simd_level, mean, spread, d):
    c, x = bunch(mean, spread, d, 1000, 0), bunch(mean, spread, d, 300, 1)
    exact = twin.squared_distances(x, c)
    words = _core.KMeansWords(c)
    word_ids = words.assign(x, 2)
    tolerances.assert_nearest(word_ids, x, c, exact)
    assert (word_ids == exact.argmin(axis=1)).sum() >= 299  # ties of float32 aside
    near, distances = words.nearest(x, 5, 2)
    np.testing.assert_array_equal(near[:, 0], word_ids)
    chosen = np.take_along_axis(exact, near.astype(np.int64), axis=1)
    assert (np.abs(distances - chosen) <= tolerances.squared_distance(chosen, d)).all()
    np.testing.assert_allclose(chosen, np.sort(exact, axis=1)[:, :5], rtol=1e-4)


@pytest.mark.parametrize("mean", [0, 3, 5, 100, 1000])
@pytest.mark.parametrize("k", [1, 2, 70, 700])
def test_first_of_the_nearest_is_the_assigned_word(simd_level, mean, k):
    c, x = bunch(mean, 1, 32, k, 2), bunch(mean, 1, 32, 500, 3)
    words = _core.KMeansWords(c)
    whole = words.nearest(x, min(k, 7), 1)[0]
    np.testing.assert_array_equal(whole[:, 0], words.assign(x, 1))
    for n_assign in range(1, min(k, 7)):
        np.testing.assert_array_equal(words.nearest(x, n_assign, 1)[0], whole[:, :n_assign])


def test_training_far_from_the_origin_is_training_at_the_origin(simd_level):
    # Integers, so that moving them rounds nothing.
    x = np.random.default_rng(4).integers(-500, 500, (2000, 24)).astype(np.float32)
    here = KMeans(100, n_iter=5, init=x[:100]).fit(x)
    there = KMeans(100, n_iter=5, init=x[:100] + 60_000).fit(x + 60_000)
    np.testing.assert_allclose(there.inertia_history_[:2], here.inertia_history_[:2], rtol=1e-6)
    np.testing.assert_allclose(there.inertia_, here.inertia_, rtol=1e-3)


@pytest.mark.parametrize("huge", [1e30, 3e38, -3e38])
def test_points_whose_scores_overflow(simd_level, huge):
    x = np.zeros((13, 12), np.float32)
    x[3] = huge
    x[7, 2] = huge
    for centre in (0, 1e6):
        c = bunch(centre, 1, 12, 90, 5)
        # In double, where no score overflows; squared distances this large would all be equal.
        exact = x.astype(np.float64) @ (c - np.float64(centre)).T
        words = _core.KMeansWords(c)
        word_ids = words.assign(x, 1)
        for row in (3, 7):  # far from 0 the words are coarse, and some tie
            assert exact[row, word_ids[row]] >= exact[row].max() - 1e-6 * np.abs(exact[row]).max()
        near, distances = words.nearest(x, 4, 1)
        np.testing.assert_array_equal(near[:, 0], word_ids)
        assert near.min() >= 0
        assert not np.isnan(distances).any()


def test_some_scores_overflow_and_others_do_not(simd_level):
    # 8-bit codes leave some words near; their float32 scores are infinite, of others they are not.
    rng = np.random.default_rng(8)
    for seed in range(40):
        c = rng.normal(size=(100, 64)).astype(np.float32)
        x = rng.normal(size=(20, 64)).astype(np.float32)
        x[np.arange(20), rng.integers(0, 64, 20)] = np.float32(
            rng.choice([1e38, 2e38, 3e38, -3e38])
        )
        words = _core.KMeansWords(c)
        exact = (
            x.astype(np.float64) @ c.T.astype(np.float64) - (c.astype(np.float64) ** 2).sum(1) / 2
        )
        word_ids = words.assign(x, 1)
        reached = exact[np.arange(20), word_ids]
        assert (reached >= exact.max(axis=1) * (1 - 1e-6)).all(), seed
        for n_assign in (1, 2, 5, 100):
            near = words.nearest(x, n_assign, 1)[0]
            np.testing.assert_array_equal(near[:, 0], word_ids)
            assert all(len(set(row)) == n_assign for row in near.tolist())


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("centre", [0, 1000])
def test_the_binding_refuses_what_is_no_number(simd_level, value, centre):
    c = bunch(centre, 1, 9, 80, 6)
    words = _core.KMeansWords(c)
    for row, column in ((0, 0), (11, 8)):
        x = c[:12].copy()
        x[row, column] = value
        for ask in (lambda x=x: words.assign(x, 1), lambda x=x: words.nearest(x, 3, 1)):
            with pytest.raises(ValueError, match="NaN or infinity"):
                ask()


def test_squares_that_overflow_are_refused_before_anything_runs(tmp_path):
    for n_words in (2, 300):  # above 256 the seeding packs words of its own
        with pytest.raises(ParameterError, match=r"x holds values .* scale x down"):
            KMeans(n_words).fit(np.full((300, 4), 1e30, np.float32))
    with pytest.raises(ParameterError, match="init holds values"):
        KMeans(1, init=np.full((1, 4), 1e30)).fit(np.ones((3, 4), np.float32))
    words = KMeans(1, n_iter=1).fit(np.ones((3, 4), np.float32))
    words.centroids_ = np.full((1, 4), 1e30, np.float32)
    words.save(tmp_path / "words")
    with pytest.raises(FormatError, match="centroids"):
        KMeans.load(tmp_path / "words")


def test_what_a_callback_raises_passes_through():
    def broken(done):
        raise ValueError(f"no room after {done}")

    with pytest.raises(ValueError, match=r"^no room after 1$") as caught:
        KMeans(2).fit(np.eye(4, dtype=np.float32), on_assignment=broken)
    assert not isinstance(caught.value, ParameterError)
