"""KMeans as a user sees it."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.errors import DimensionError, FormatError, NotTrainedError, ParameterError
from cbir.reference import kmeans as twin
from cbir.vocabulary import VOCABULARIES, KMeans
from tests import tolerances


def clustered(n, d, seed, centres=30):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(centres, d))
    return (means[rng.integers(centres, size=n)] + 0.3 * rng.normal(size=(n, d))).astype(np.float32)


def test_registry():
    assert VOCABULARIES["kmeans"] is KMeans


def test_hand_example():
    # Two pairs: the means are (0, 1) and (9, 8), each point is 1 away, four points: inertia 4.
    x = np.float32([[0, 0], [0, 2], [9, 9], [9, 7]])
    v = KMeans(2, init=x[[0, 2]]).fit(x)
    assert v.centroids_.tolist() == [[0, 1], [9, 8]]
    # Start: |(0,2)-(0,0)|^2 + |(9,7)-(9,9)|^2 = 8; then 4, and nothing changes any more.
    assert v.inertia_history_.tolist() == [8, 4]
    assert v.predict(x).tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("init", ["k-means++", "hierarchical", "random"])
def test_inertia_never_rises_and_is_that_of_the_centroids(init):
    x = clustered(3000, 16, seed=1)
    v = KMeans(40, init=init, n_iter=12).fit(x)
    history = v.inertia_history_
    assert (np.diff(history) <= tolerances.inertia(history[:-1], 16)).all()
    exact = twin.assign(x, v.centroids_)[1].sum()
    assert abs(v.inertia_ - exact) <= tolerances.inertia(exact, 16)


def test_tells_of_each_assignment():
    x = np.random.default_rng(0).random((500, 8), dtype=np.float32)
    told = []
    words = KMeans(20, n_iter=4).fit(x, on_assignment=told.append)
    assert told == list(range(1, len(words.inertia_history_) + 1))


def test_stopped_from_outside():
    def stop(n):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        KMeans(2, n_iter=4).fit(np.eye(4, dtype=np.float32), on_assignment=stop)


def test_stops_when_nothing_changes():
    x = clustered(500, 4, seed=2)
    v = KMeans(5, n_iter=1000).fit(x)
    assert len(v.inertia_history_) < 100
    again = KMeans(5, n_iter=1000, init=v.centroids_).fit(x)
    np.testing.assert_array_equal(again.centroids_, v.centroids_)
    assert again.inertia_history_.tolist() == [v.inertia_] * 2


@pytest.mark.parametrize("init", ["k-means++", "hierarchical"])
@pytest.mark.parametrize(("n_words", "n"), [(7, 2000), (300, 4000)])
def test_same_bytes_for_any_thread_count(simd_level, init, n_words, n):
    x = clustered(n, 33, seed=3)
    fits = [KMeans(n_words, n_iter=5, init=init, n_threads=t).fit(x) for t in (1, 2, 3, 4)]
    assert len({v.centroids_.tobytes() for v in fits}) == 1
    assert len({v.inertia_history_.tobytes() for v in fits}) == 1
    assert len({v.predict(x).tobytes() for v in fits}) == 1


def test_seed_decides():
    x = clustered(2000, 8, seed=4)
    a, b, c = (KMeans(20, n_iter=1, seed=s, max_points_per_word=10).fit(x) for s in (0, 0, 1))
    assert a.centroids_.tobytes() == b.centroids_.tobytes() != c.centroids_.tobytes()


def test_trains_on_a_sample():
    x = clustered(5000, 8, seed=5)
    x[0] = 1e4  # one far outlier decides the inertia of all; most samples miss it
    assert KMeans(2, max_points_per_word=10).fit(x).inertia_ < 20 * 8 * 10
    everything = KMeans(2, max_points_per_word=0, n_iter=30).fit(x)
    assert np.abs(everything.centroids_).max() == 1e4


def test_as_many_words_as_points_and_fewer_distinct_points_than_words():
    x = clustered(10, 5, seed=6)
    assert KMeans(10).fit(x).inertia_ == 0
    v = KMeans(10).fit(np.repeat(x[:3], 10, axis=0))
    assert v.inertia_ == 0
    assert np.isfinite(v.centroids_).all()
    assert v.predict(x[:3]).tolist() == [
        np.flatnonzero((v.centroids_ == row).all(1))[0] for row in x[:3]
    ]


def test_empty_words_are_repaired():
    x = clustered(300, 6, seed=7)
    start = np.concatenate([x[:6], np.full((6, 6), 50, np.float32)])
    v = KMeans(12, init=start, n_iter=10).fit(x)
    assert v.n_repaired_ >= 6
    assert (np.bincount(v.predict(x), minlength=12) > 0).all()


def test_more_words_than_points():
    with pytest.raises(ParameterError, match=r"n_words=9 but x has 8 points; ask for at most 8"):
        KMeans(9).fit(np.zeros((8, 2), np.float32))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_words": 0}, "n_words=0"),
        ({"n_words": 2.0}, "expected an integer"),
        ({"n_words": 2, "n_iter": -1}, "n_iter=-1"),
        ({"n_words": 2, "seed": -1}, "seed=-1"),
        ({"n_words": 2, "init": "kmeans"}, "allowed are 'k-means"),
        ({"n_words": 2, "max_points_per_word": -5}, "max_points_per_word=-5"),
        ({"n_words": 2, "n_threads": -1}, "n_threads=-1"),
    ],
)
def test_bad_parameters(arguments, message):
    with pytest.raises(ParameterError, match=message):
        KMeans(**arguments).fit(np.ones((5, 2), np.float32))


def test_bad_init_array():
    x = np.ones((5, 2), np.float32)
    with pytest.raises(DimensionError, match="init has 3 rows, expected n_words=2"):
        KMeans(2, init=np.ones((3, 2))).fit(x)
    with pytest.raises(DimensionError, match="d=4"):
        KMeans(2, init=np.ones((2, 4))).fit(x)


def test_values_whose_squares_overflow():
    with pytest.raises(ParameterError, match="scale x down"):
        KMeans(2).fit(np.full((5, 2), 1e30, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("n_words", [3, 200])
def test_predict_names_the_row_that_is_no_number(simd_level, n_words, value):
    rng = np.random.default_rng(0)
    # Words with zeros: infinity times zero is the one product that is NaN.
    centroids = rng.integers(-1, 2, (n_words, 40)).astype(np.float32)
    words = KMeans(n_words, init=centroids, n_iter=0).fit(centroids)
    x = rng.normal(size=(1000, 40)).astype(np.float32)
    for row, column in [(0, 0), (437, 39), (999, 17)]:
        bad = x.copy()
        bad[row, column] = value
        with pytest.raises(ParameterError, match=f"NaN or infinity, first in row {row};"):
            words.predict(bad)


def test_predict_nearest():
    x = clustered(400, 12, seed=8)
    v = KMeans(25).fit(x)
    word_ids, distances = v.predict_nearest(x, 4)
    assert word_ids.shape == distances.shape == (400, 4)
    exact = twin.squared_distances(x, v.centroids_)
    np.testing.assert_allclose(distances, np.sort(exact, axis=1)[:, :4], rtol=1e-5)
    np.testing.assert_array_equal(word_ids[:, 0], v.predict(x))
    with pytest.raises(ParameterError, match="n_assign=26, allowed is 1 to 25"):
        v.predict_nearest(x, 26)


def test_not_trained():
    v = KMeans(3)
    x = np.ones((2, 2), np.float32)
    uses = [
        lambda: v.predict(x),
        lambda: v.predict_nearest(x, 1),
        lambda: v.save("nowhere"),
        lambda: v.d,
    ]
    for use in uses:
        with pytest.raises(NotTrainedError, match="call fit"):
            use()


@pytest.mark.parametrize("init", ["random", "hierarchical", "array"])
def test_save_and_load(tmp_path, init):
    x = clustered(300, 7, seed=9)
    v = KMeans(11, n_iter=3, init=x[:11] if init == "array" else init, seed=5, n_threads=2).fit(x)
    v.save(tmp_path / "words")
    for mmap in (False, True):
        w = KMeans.load(tmp_path / "words", mmap=mmap)
        np.testing.assert_array_equal(w.centroids_, v.centroids_)
        np.testing.assert_array_equal(w.inertia_history_, v.inertia_history_)
        assert (w.inertia_, w.n_words, w.n_iter, w.seed) == (v.inertia_, 11, 3, 5)
        np.testing.assert_array_equal(w.predict(x), v.predict(x))
        np.testing.assert_array_equal(np.asarray(w.init), np.asarray(v.init))
    (tmp_path / "words" / "centroids.npy").write_bytes(b"cut")
    with pytest.raises(FormatError, match="centroids"):
        KMeans.load(tmp_path / "words")


def test_pickle_carries_no_native_state():
    x = clustered(300, 7, seed=10)
    v = KMeans(11).fit(x)
    expected = v.predict(x)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(v)).predict(x), expected)


def test_refit_forgets_the_packed_words():
    x = clustered(300, 7, seed=11)
    v = KMeans(5).fit(x)
    v.predict(x)
    v.fit(-x)
    np.testing.assert_array_equal(v.predict(-x), twin.assign(-x, v.centroids_)[0])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 60),
    st.integers(1, 20),
    st.integers(1, 40),
    st.integers(0, 2**32),
    st.sampled_from([1e-3, 1, 1e6]),
)
def test_properties(n, d, k, seed, scale):
    rng = np.random.default_rng(seed)
    x = (scale * np.round(rng.normal(size=(n, d)), 1)).astype(np.float32)
    if k > n:
        with pytest.raises(ParameterError):
            KMeans(k).fit(x)
        return
    v = KMeans(k, n_iter=4, seed=seed % 97).fit(x)
    word_ids = v.predict(x)
    tolerances.assert_nearest(word_ids, x, v.centroids_, twin.squared_distances(x, v.centroids_))
    history = v.inertia_history_
    slack = np.abs(tolerances.score(x, x)).max() * 8 * n
    assert (np.diff(history) <= slack).all()
    assert (v.centroids_.min(0) >= x.min(0) - 1e-6 * scale).all()
    assert (v.centroids_.max(0) <= x.max(0) + 1e-6 * scale).all()


@pytest.mark.reference
@pytest.mark.parametrize("d", [3, 64, 128])
def test_equals_sklearn(simd_level, d):
    from sklearn import cluster

    x = clustered(4000, d, seed=12)
    start = x[:50].copy()
    ours = KMeans(50, init=start, n_iter=100, max_points_per_word=0).fit(x)
    theirs = cluster.KMeans(50, init=start, n_init=1, max_iter=100, tol=0, algorithm="lloyd").fit(x)
    np.testing.assert_allclose(ours.inertia_, theirs.inertia_, rtol=1e-5)
    np.testing.assert_array_equal(ours.predict(x), theirs.labels_)


@pytest.mark.reference
def test_equals_faiss():
    import faiss

    x = clustered(4000, 32, seed=13)
    start = x[:50].copy()
    for n_iter, rtol in ((1, 1e-5), (7, 1e-3)):
        # faiss has float32 scores of its own: near ties part the two after some turns
        ours = KMeans(50, init=start, n_iter=n_iter, max_points_per_word=0).fit(x)
        theirs = faiss.Kmeans(32, 50, niter=n_iter, max_points_per_centroid=10**6)
        theirs.train(x, init_centroids=start)
        np.testing.assert_allclose(ours.inertia_history_[:n_iter], theirs.obj, rtol=rtol)
        if n_iter == 1:
            np.testing.assert_allclose(ours.centroids_, theirs.centroids, atol=1e-4)
