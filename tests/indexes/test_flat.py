"""Flat: the native kernels against the twin, faiss and a dict, at every SIMD level."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cbir.indexes import Flat
from cbir.reference import flat as twin

SIZES = [1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 127, 128, 129, 960]
METRICS = Flat.METRICS


def rows(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def index_of(x, metric, ids=None):
    index = Flat(x.shape[1], metric=metric)
    index.add(x, ids=ids)
    return index


def agrees_with_twin(found, x, ids, q, metric):
    """Same scores within float32 rounding; another id only where its score ties within that."""
    k = found.I.shape[1]
    D, I = twin.search(x, ids, q, k, metric)
    d = x.shape[1]
    eps = float(np.finfo(np.float32).eps)
    sizes = np.linalg.norm(x, axis=1).max() + np.linalg.norm(q, axis=1).max()
    # d / 16 + 5 roundings of sum|terms| (csrc/flat/score.h), which is at most sizes**2
    slack = (d / 16 + 6) * eps * (1 if metric == "cosine" else sizes**2)
    there = np.isfinite(D)
    np.testing.assert_array_equal(there, np.isfinite(found.D))
    np.testing.assert_allclose(found.D[there], D[there], rtol=0, atol=slack)
    position = {int(i): at for at, i in enumerate(ids)}
    for row, at in np.argwhere(found.I != I):
        score = twin.scores(
            x[[position[int(found.I[row, at])]]].astype(float), q[row].astype(float), metric
        )[0]
        assert abs(score - D[row, at]) <= slack


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("d", SIZES)
def test_matches_the_twin_at_awkward_widths(simd_level, metric, d):
    for n, nq, k in ((1, 1, 1), (2, 7, 3), (100, 33, 10), (333, 99, 5)):
        x, q = rows(n, d), rows(nq, d, 1)
        ids = np.random.default_rng(2).permutation(4 * n)[:n]
        for n_threads in (1, 4):
            found = index_of(x, metric, ids).search(q, k, n_threads=n_threads)
            agrees_with_twin(found, x, ids, q, metric)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("nq", [1, 5, 6, 31, 32, 33, 95, 96, 97, 200])
def test_every_way_of_searching_gives_the_same_bits(simd_level, metric, nq):
    """Direct, in tiles, by 8-bit codes: the cut-over depends on nq, the answer must not."""
    x, q = rows(3000, 40), rows(200, 40, 1)
    index = index_of(x, metric)
    alone = [index.search(q[i : i + 1], 20) for i in range(0, 200, 9)]
    many = index.search(q[:nq], 20, n_threads=3)
    for i, one in zip(range(0, 200, 9), alone, strict=True):
        if i < nq:
            np.testing.assert_array_equal(one.I[0], many.I[i])
            np.testing.assert_array_equal(one.D[0], many.D[i])


def hard_rows(kind, n, d):
    """Rows on which a bound that forgets something loses hits."""
    rng = np.random.default_rng(5)
    x = rng.normal(size=(n, d)).astype(np.float32)
    if kind == "far from 0":  # |x|^2 - 2qx + |q|^2 cancels
        return x + np.float32(1000)
    if kind == "mixed lengths":
        return x * np.exp(rng.normal(size=(n, 1)) * 6).astype(np.float32)
    if kind == "one large value":  # the 8-bit step is set by it
        x[:, 0] *= 1000
        return x
    if kind == "constant rows":
        return np.repeat(x[:, :1], d, axis=1)
    if kind == "clusters":
        return x[rng.integers(0, 5, n)] + x * np.float32(1e-4)
    if kind == "equal rows":
        return x[rng.integers(0, 7, n)]
    if kind == "tiny":
        return x * np.float32(1e-18)
    if kind == "tiny beside ordinary":  # squares of the tiny ones are 0 in float32
        x[::3] *= np.float32(1e-24)
        return x
    if kind == "large":
        return x * np.float32(1e15)
    x[rng.random((n, d)) < 0.95] = 0
    return x


KINDS = ["far from 0", "mixed lengths", "one large value", "constant rows", "clusters",
         "equal rows", "tiny", "tiny beside ordinary", "large", "mostly 0"]  # fmt: skip


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", KINDS)
def test_no_hit_is_lost_to_the_bound(simd_level, metric, kind):
    """The filters are rigorous: 120 queries at once give the bits of one at a time."""
    x = hard_rows(kind, 1500, 37)
    index, q = index_of(x, metric), x[::12][:120]
    together = index.search(q, 15)
    for i in range(0, 120, 7):
        one = index.search(q[i : i + 1], 15)
        np.testing.assert_array_equal(one.I[0], together.I[i])
        np.testing.assert_array_equal(one.D[0], together.D[i])


def test_a_row_is_at_distance_zero_from_itself(simd_level):
    x = rows(300, 64) + np.float32(500)
    found = index_of(x, "l2").search(x, 1)
    np.testing.assert_array_equal(found.D, 0)
    np.testing.assert_array_equal(found.I[:, 0], np.arange(300))


@pytest.mark.parametrize("nq", [1, 8, 120])
@pytest.mark.parametrize("scale", [1e-25, 1e-38, 1e-15])
def test_cosine_knows_no_lengths(simd_level, nq, scale):
    """Squares of 1e-25 are 0 in float32, and nearly so long before; the angle is still there."""
    x, q = rows(200, 24), rows(nq, 24, 1)
    small = np.where(np.arange(200)[:, None] % 2, x, x * np.float32(scale))
    ids, kept = np.arange(200), small.astype(np.float64)
    for queries in (q, q * np.float32(scale)):
        found = index_of(small, "cosine").search(queries, 200)
        D, I = twin.search(kept, ids, queries.astype(np.float64), 200, "cosine")
        np.testing.assert_allclose(found.D, D, atol=2e-6 if scale > 1e-38 else 0.2)
        if scale > 1e-38:
            assert (found.I == I).mean() > 0.99


def test_more_rows_and_queries_than_one_piece_of_work(simd_level):
    """Two groups of queries, two chunks of rows, two copies of listed rows."""
    x, q = rows(2600, 8192), rows(40, 8192, 1)
    index, listed = index_of(x, "l2"), np.sort(np.random.default_rng(2).choice(2600, 640, False))
    whole = index.search(q, 3)
    few = index.search(q, 3, allowed=listed)
    alone = index_of(x[listed], "l2", listed).search(q, 3)
    np.testing.assert_array_equal(few.I, alone.I)
    np.testing.assert_array_equal(few.D, alone.D)
    for i in (0, 31, 32, 39):
        one = index.search(q[i : i + 1], 3)
        np.testing.assert_array_equal(one.I[0], whole.I[i])
        one = index.search(q[i : i + 1], 3, allowed=listed)
        np.testing.assert_array_equal(one.I[0], few.I[i])
    x, q = rows(9000, 16), rows(1100, 16, 1)
    index = index_of(x, "ip")
    whole = index.search(q, 3)
    for i in (0, 1023, 1024, 1099):
        one = index.search(q[i : i + 1], 3, n_threads=3)
        np.testing.assert_array_equal(one.I[0], whole.I[i])
        np.testing.assert_array_equal(one.D[0], whole.D[i])


@pytest.mark.parametrize("metric", METRICS)
def test_the_twin_knows_filters_and_radius(metric):
    x, q, ids = rows(60, 8), rows(9, 8, 1), np.random.default_rng(3).permutation(200)[:60]
    index, allowed = index_of(x, metric, ids), ids[::3]
    D, I = twin.search(x, ids, q, 7, metric, allowed)
    found = index.search(q, 7, allowed=allowed)
    np.testing.assert_array_equal(found.I, I)
    np.testing.assert_allclose(found.D, D, atol=1e-5)
    radius = float(D[0, 4]) + (1e-4 if metric == "l2" else -1e-4)
    near = index.range_search(q, radius, allowed=allowed)
    expected = twin.range_search(x, ids, q, radius, metric, allowed)
    np.testing.assert_array_equal(np.diff(near.lims), [len(D) for D, _ in expected])
    np.testing.assert_array_equal(near.I, np.concatenate([I for _, I in expected]))


def test_hand_values():
    x = np.array([[3, 4], [0, 0], [-3, -4]], np.float32)
    q = np.array([[3, 4]], np.float32)
    found = index_of(x, "l2").search(q, 3)  # 0, 25 and (6, 8): 100
    assert found.D.tolist() == [[0, 25, 100]] and found.I.tolist() == [[0, 1, 2]]
    found = index_of(x, "ip").search(q, 3)
    assert found.D.tolist() == [[25, 0, -25]] and found.I.tolist() == [[0, 1, 2]]
    found = index_of(x, "cosine").search(2 * q, 3)
    assert found.D.tolist() == [[1, 0, -1]] and found.I.tolist() == [[0, 1, 2]]


@pytest.mark.reference
@pytest.mark.parametrize("metric", ["l2", "ip"])
def test_faiss_finds_the_same(simd_level, metric):
    import faiss

    x, q = rows(5000, 64), rows(150, 64, 1)
    peer = faiss.IndexFlatL2(64) if metric == "l2" else faiss.IndexFlatIP(64)
    peer.add(x)
    D, I = peer.search(q, 20)
    found = index_of(x, metric).search(q, 20)
    np.testing.assert_allclose(found.D, D, rtol=1e-4, atol=1e-4)
    assert (found.I == I).mean() > 0.999  # faiss rounds |q|^2 - 2qx + |x|^2, so a near tie may turn


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_adding_and_removing_agrees_with_a_dict(data):
    """Small integers: every distance is exact, and ties are many."""
    held, index = {}, Flat(2)
    number = st.integers(0, 3)
    for _ in range(data.draw(st.integers(1, 6))):
        if data.draw(st.booleans()):
            new = data.draw(
                st.lists(st.integers(0, 30), unique=True).map(
                    lambda names: [i for i in names if i not in held]
                )
            )
            x = [[data.draw(number), data.draw(number)] for _ in new]
            index.add(np.array(x, np.float32).reshape(-1, 2), ids=new)
            held.update(zip(new, x, strict=True))
        else:
            gone = data.draw(st.lists(st.integers(0, 30), unique=True))
            assert index.remove(gone) == len([held.pop(i) for i in gone if i in held])
    assert sorted(index.ids) == sorted(held)
    k = data.draw(st.integers(1, 12))
    for nq in (1, 7, 100):
        q = np.tile(np.array([[1, 2]], np.float32), (nq, 1))
        expected = sorted(((x[0] - 1) ** 2 + (x[1] - 2) ** 2, i) for i, x in held.items())[:k]
        expected += [(np.inf, -1)] * (k - len(expected))
        found = index.search(q, k)
        for i in (0, nq - 1):
            hits = zip(found.D[i].tolist(), found.I[i].tolist(), strict=True)
            assert list(hits) == expected
