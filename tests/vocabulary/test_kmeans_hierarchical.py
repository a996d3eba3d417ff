"""The hierarchical start: where it comes from, what it costs nobody, and how words are shared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.reference import kmeans as twin
from cbir.vocabulary import KMeans
from cbir.vocabulary._hierarchical import hierarchical_start, share_out


def groups(n, d, seed, centres=400):
    rng = np.random.default_rng(seed)
    means = rng.normal(size=(centres, d))
    law = 1 / np.arange(1, centres + 1)
    group = rng.choice(centres, n, p=law / law.sum())
    return (means[group] + 0.4 * rng.normal(size=(n, d))).astype(np.float32)


def test_few_turns_from_it_reach_what_many_from_elsewhere_reach():
    x = groups(20_000, 16, 0)
    ours = KMeans(500, n_iter=3, init="hierarchical").fit(x)
    for init in ("k-means++", "random"):
        others = KMeans(500, n_iter=3, init=init).fit(x)
        assert ours.inertia_history_[0] < others.inertia_history_[1]
        assert ours.inertia_ < others.inertia_


@pytest.mark.parametrize("n_words", [1, 2, 3, 4, 50, 299, 300])
def test_every_size_and_data_without_structure(n_words):
    x = groups(300, 5, 1)
    for points in (x, np.repeat(x[:3], 100, axis=0), np.zeros((300, 5), np.float32)):
        start = hierarchical_start(points, n_words, np.random.SeedSequence(0), 1)
        assert start.shape == (n_words, 5)
        assert np.isfinite(start).all()
        v = KMeans(n_words, init="hierarchical", n_iter=2).fit(points)
        assert (v.centroids_.min(0) >= points.min(0) - 1e-5).all()
        assert (v.centroids_.max(0) <= points.max(0) + 1e-5).all()


def test_as_many_words_as_points_leave_no_inertia():
    x = groups(80, 4, 2)
    assert KMeans(80, init="hierarchical").fit(x).inertia_ == 0


def test_words_go_where_the_inertia_is():
    # Two clusters of equal size, one ten times as wide: a hundred times the inertia.
    rng = np.random.default_rng(3)
    narrow, wide = rng.normal(size=(2, 1000, 8)) * np.array([0.1, 1])[:, None, None]
    x = np.concatenate([narrow, wide + 50]).astype(np.float32)
    start = hierarchical_start(x, 60, np.random.SeedSequence(0), 1)
    in_wide = (start.mean(axis=1) > 25).sum()
    assert 45 <= in_wide < 60
    assert twin.assign(x, start)[1].sum() < twin.assign(x, x[:: len(x) // 60][:60])[1].sum()


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_shares(data):
    n = data.draw(st.integers(1, 12))
    most = np.array(data.draw(st.lists(st.integers(0, 50), min_size=n, max_size=n)), np.int64)
    most[0] += 1
    number = st.floats(0, 1e30) | st.sampled_from([0.0, 5e-324, 1.0])
    weights = np.array(data.draw(st.lists(number, min_size=n, max_size=n)))
    total = data.draw(st.integers(1, int(most.sum())))
    shares = share_out(total, weights, most)
    assert shares.sum() == total
    assert ((shares >= 0) & (shares <= most)).all()
    if np.count_nonzero(most) <= total:
        assert (shares[most > 0] >= 1).all()
