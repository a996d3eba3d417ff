"""Fusion against the definition, and the answer for k as a prefix of that for k + 1."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.errors import ParameterError
from cbir.indexes import Flat, Segments
from cbir.pipeline import ArrayDatabase
from cbir.pipeline.fusion import fuse

N, NQ = 80, 5
METRICS = {"a": "cosine", "b": "l2", "c": "ip"}


def channels(seed=0, steps=None):
    """Three channels of N pictures; with `steps` the numbers are coarse, so that scores tie."""
    rng = np.random.default_rng(seed)
    rows, queries = {}, {}
    for name, d in (("a", 6), ("b", 3), ("c", 9)):
        rows[name] = rng.normal(size=(N, d)).astype(np.float32)
        queries[name] = rng.normal(size=(NQ, d)).astype(np.float32)
        if steps:
            rows[name], queries[name] = (
                np.float32(np.round(x[name] * steps) / steps) for x in (rows, queries)
            )
    indexes = {}
    for name, x in rows.items():
        indexes[name] = Flat(x.shape[1], metric=METRICS[name])
        indexes[name].add(x, ids=np.arange(N) * 3 + 1)
    return queries, ArrayDatabase(indexes)


def run(queries, database, k, **more):
    options = {"weights": {}, "normalisation": "none", "depth": 1000} | more
    knobs = {name: {} for name in queries}
    return fuse(queries, k, database, knobs=knobs, **options)


def plain(queries, database, k, weights, normalisation, depth):
    """The definition for k up to the number of candidates, one query and picture at a time."""
    D, I = np.full((NQ, k), -np.inf, np.float32), np.full((NQ, k), -1)
    for i in range(NQ):
        candidates = set()
        for name, xq in queries.items():
            candidates |= set(database.index(name).search(xq[i : i + 1], depth).I[0]) - {-1}
        ids = sorted(candidates)
        total = np.zeros(len(ids))
        for name, xq in queries.items():
            s = database.index(name).score(xq[i : i + 1], ids)[0].astype(np.float64)
            s = -s if METRICS[name] == "l2" else s
            if normalisation == "minmax":
                s = (s - s.min()) / (s.max() - s.min())
            if normalisation == "zscore":
                s = (s - s.mean()) / s.std()
            total += weights.get(name, 1.0) * s
        best = sorted(zip(-total, ids, strict=True))[:k]
        D[i, : len(best)], I[i, : len(best)] = zip(*((-s, j) for s, j in best), strict=True)
    return D, I


@pytest.mark.parametrize("normalisation", ["none", "minmax", "zscore"])
@pytest.mark.parametrize("depth", [3, 20, 1000])
def test_is_the_definition(normalisation, depth):
    queries, database = channels()
    weights = {"b": 0.3, "c": 2.0}
    k = min(depth, 20)
    D, I = plain(queries, database, k, weights, normalisation, depth)
    found = run(
        queries, database, k, weights=weights, normalisation=normalisation, depth=depth, n_threads=2
    )
    np.testing.assert_array_equal(found.I, I)
    np.testing.assert_allclose(found.D, D, rtol=1e-5, atol=1e-6)
    assert found.D.dtype == np.float32
    assert found.I.dtype == np.int64


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, N + 20),
    st.sampled_from(["none", "minmax", "zscore"]),
    st.integers(0, 50),
    st.sampled_from([None, 1, 4]),
)
def test_answer_for_k_is_a_prefix(depth, k, normalisation, seed, steps):
    queries, database = channels(seed, steps)
    options = {"depth": depth, "normalisation": normalisation}
    more = run(queries, database, k + 1, **options)
    some = run(queries, database, k, **options)
    np.testing.assert_array_equal(more.I[:, :k], some.I)
    np.testing.assert_array_equal(more.D[:, :k], some.D)
    assert (more.D[:, 1:] <= more.D[:, :-1]).all()
    for row in more.I:
        hits = row[row >= 0]
        assert len(set(hits)) == len(hits) == min(k + 1, N)


def test_just_outside_one_depth_is_not_punished():
    """Picture 2 is second everywhere, so first on the whole, and found by neither at depth 1."""
    rows = {"a": [[1.0], [0.2], [0.9]], "b": [[0.2], [1.0], [0.9]]}
    indexes = {}
    for name, x in rows.items():
        indexes[name] = Flat(1, metric="ip")
        indexes[name].add(np.float32(x))
    queries, database = {n: np.float32([[1]]) for n in rows}, ArrayDatabase(indexes)
    assert run(queries, database, 3, depth=2).I.tolist() == [[2, 0, 1]]
    # At depth 1 it is no candidate of the first block, so it stands behind, at no higher score.
    late = run(queries, database, 3, depth=1)
    assert late.I.tolist() == [[0, 1, 2]]
    np.testing.assert_allclose(late.D, [[1.2, 1.2, 1.2]])


def test_ties_go_to_the_smaller_id():
    queries, database = channels()
    equal = {name: np.zeros_like(x) for name, x in queries.items() if name != "b"}
    found = run(equal, database, 6)
    assert found.I.tolist() == [[1, 4, 7, 10, 13, 16]] * NQ


@pytest.mark.parametrize("normalisation", ["minmax", "zscore"])
def test_a_channel_that_says_nothing_counts_nothing(normalisation):
    """A query without keypoints has the same score with every picture."""
    queries, database = channels()
    mute = queries | {"a": np.zeros_like(queries["a"])}
    found = run(mute, database, 10, normalisation=normalisation)
    without = run({n: queries[n] for n in "bc"}, database, 10, normalisation=normalisation)
    np.testing.assert_array_equal(found.I, without.I)
    np.testing.assert_array_equal(found.D, without.D)


def test_a_channel_of_weight_zero_is_not_asked():
    queries, database = channels()
    found = run(queries | {"b": None}, database, 10, weights={"b": 0})
    expected = run({n: queries[n] for n in "ac"}, database, 10)
    np.testing.assert_array_equal(found.I, expected.I)
    with pytest.raises(ParameterError, match="all are 0"):
        run(queries, database, 10, weights=dict.fromkeys("abc", 0))


def test_allowed_reaches_every_channel():
    queries, database = channels()
    allowed = np.array([7, 10, 40, 100, 190])
    found = run(queries, database, 8, allowed=allowed)
    assert set(found.I.ravel()) == {*allowed, -1}
    assert (found.I[:, 5:] == -1).all()
    assert np.isneginf(found.D[:, 5:]).all()
    all_of_them = run(queries, database, N)
    for row, expected in zip(found.I, all_of_them.I, strict=True):
        np.testing.assert_array_equal(row[:5], expected[np.isin(expected, allowed)])


def test_nothing_to_find_and_nobody_who_asks():
    queries, database = channels()
    empty = ArrayDatabase({n: database.index(n).empty() for n in queries})
    found = run(queries, empty, 4)
    assert (found.I == -1).all()
    assert np.isneginf(found.D).all()
    nobody = {name: x[:0] for name, x in queries.items()}
    assert run(nobody, database, 4).I.shape == (0, 4)


def test_unknown_normalisation():
    queries, database = channels()
    with pytest.raises(ParameterError, match="'rank', allowed are none, minmax, zscore"):
        run(queries, database, 3, normalisation="rank")


def test_segments_with_removed_rows_answer_as_one_index():
    queries, database = channels()
    gone = np.array([4, 100, 238])
    parts, rest = {}, {}
    for name in queries:
        index = database.index(name)
        ids = index.ids
        pieces = []
        for some in np.array_split(ids, 4):
            pieces.append(index.empty())
            pieces[-1].add(index.reconstruct(some), ids=some)
        parts[name] = Segments([index.empty(), *pieces], gone)
        rest[name] = index.empty()
        stay = np.setdiff1d(ids, gone)
        rest[name].add(index.reconstruct(stay), ids=stay)
    for k in (3, 20, N):
        found, expected = (run(queries, ArrayDatabase(x), k, depth=4) for x in (parts, rest))
        np.testing.assert_array_equal(found.I, expected.I)
        np.testing.assert_array_equal(found.D, expected.D)
