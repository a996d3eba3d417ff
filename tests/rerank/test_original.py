"""Exact distances on stored vectors: the shortlist in order, what lies behind, what D means."""

import numpy as np
import pytest

from cbir.errors import ParameterError
from cbir.indexes import Flat, InvertedFile
from cbir.pipeline import ArrayDatabase, Query
from cbir.rerank import RERANKERS, Original, in_front
from cbir.types import SearchResult, SparseVectors

N, D = 60, 9


class Rough:
    """An index that ranks by rounded rows, as one over codes does."""

    def __init__(self, rows, metric):
        self.metric = metric
        self._flat = Flat(rows.shape[1], metric=metric)
        self._flat.add(np.round(rows))

    def search(self, xq, k):
        return self._flat.search(xq, k)


@pytest.fixture
def rows():
    return np.random.default_rng(0).normal(size=(N, D)).astype(np.float32)


@pytest.fixture
def queries():
    return np.random.default_rng(1).normal(size=(7, D)).astype(np.float32)


def exact_flat(rows, metric):
    flat = Flat(D, metric=metric)
    flat.add(rows)
    return flat


@pytest.mark.parametrize("metric", Flat.METRICS)
def test_whole_depth_gives_the_exact_answer(rows, queries, metric):
    rough = Rough(rows, metric)
    database = ArrayDatabase({"main": rough}, vectors={"main": rows})
    result = rough.search(queries, N)
    best = Original(N).rerank(Query({"main": queries}), result, database)
    expected = exact_flat(rows, metric).search(queries, N)
    assert not np.array_equal(result.I, expected.I)
    np.testing.assert_array_equal(best.I, expected.I)
    np.testing.assert_allclose(best.D, expected.D, atol=1e-5)


@pytest.mark.parametrize("metric", Flat.METRICS)
def test_shortlist_in_true_order_the_rest_behind(rows, queries, metric):
    rough = Rough(rows, metric)
    database = ArrayDatabase({"main": rough}, vectors={"main": rows})
    result = rough.search(queries, 30)
    original = Original(10)
    best = original.rerank(Query({"main": queries}), result, database)
    for i in range(len(queries)):
        assert set(best.I[i, :10]) == set(result.I[i, :10])
        np.testing.assert_array_equal(best.I[i, 10:], result.I[i, 10:])
        steps = np.diff(best.D[i])
        assert (steps >= 0).all() if original.ascending({"main": metric}) else (steps <= 0).all()


def test_over_an_exact_index_nothing_changes(rows, queries):
    flat = exact_flat(rows, "l2")
    result = flat.search(queries, 20)
    best = Original(15).rerank(Query({"main": queries}), result, ArrayDatabase({"main": flat}))
    np.testing.assert_array_equal(best.I, result.I)
    np.testing.assert_allclose(best.D, result.D, rtol=1e-6)


@pytest.mark.parametrize("metric", InvertedFile.METRICS)
def test_sparse_rows_by_every_metric(metric):
    rng = np.random.default_rng(3)

    def sparse(n):
        dense = np.maximum(rng.normal(size=(n, 40)) - 0.8, 0).astype(np.float32)
        dense[0] = 0  # a picture without words
        return SparseVectors.from_dense(dense)

    rows, queries = sparse(50), sparse(6)
    index = InvertedFile(40, metric=metric)
    index.add(rows)
    result = index.search(queries, 50)
    mixed = SearchResult(result.D[:, ::-1].copy(), result.I[:, ::-1].copy())
    database = ArrayDatabase({"main": index}, vectors={"main": rows})
    best = Original(50).rerank(Query({"main": queries}), mixed, database)
    np.testing.assert_allclose(best.D, result.D, atol=2e-6)
    same = np.abs(np.diff(result.D)) > 1e-5  # where no tie is near, the order is the same
    clear = np.pad(same, ((0, 0), (1, 0)), constant_values=True)
    clear &= np.pad(same, ((0, 0), (0, 1)), constant_values=True)
    np.testing.assert_array_equal(best.I[clear], result.I[clear])


def test_ties_go_to_the_smaller_id():
    rows = np.ones((5, 2), np.float32)
    flat = Flat(2)
    flat.add(rows)
    result = SearchResult(np.zeros((1, 5), np.float32), np.array([[3, 1, 4, 0, 2]]))
    best = Original(4).rerank(Query({"main": rows[:1]}), result, ArrayDatabase({"main": flat}))
    assert best.I.tolist() == [[0, 1, 3, 4, 2]]


def test_fewer_hits_than_depth(rows):
    flat = exact_flat(rows[:3], "l2")
    result = flat.search(rows[:2], 8)
    best = Original(100).rerank(Query({"main": rows[:2]}), result, ArrayDatabase({"main": flat}))
    np.testing.assert_array_equal(best.I, result.I)
    assert np.isinf(best.D[:, 3:]).all()
    none = Flat(D).search(rows[:2], 4)
    same = Original().rerank(Query({"main": rows[:2]}), none, ArrayDatabase({"main": Flat(D)}))
    np.testing.assert_array_equal(same.I, none.I)


@pytest.mark.parametrize(
    ("found", "values", "ascending", "expected"),
    [
        # behind goes on by its own distances, never back
        ([1, 2, 3, 4], [2.5, 1.5], True, [1.5, 2.5, 3, 4]),
        ([1, 2, 3, 4], [3.5, 1.5], True, [1.5, 3.5, 3.5, 4]),
        ([4, 3, 2, 1], [0.5, 3.5], False, [3.5, 0.5, 0.5, 0.5]),
        # scores became distances: behind, only "no better than the last in front"
        ([4, 3, 2, 1], [2.5, 1.5], True, [1.5, 2.5, 2.5, 2.5]),
        ([1, 2, 3, 4], [2.5, 1.5], False, [2.5, 1.5, 1.5, 1.5]),
    ],
)
def test_what_d_means_behind_the_depth(found, values, ascending, expected):
    row = np.float32(found), np.arange(4)
    D, _ = in_front(row, row[1][:2], np.float32(values), ascending=ascending)
    assert D.tolist() == expected


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("found", [[4, 4, 4, 3, 1], [1, 1, 1, 2, 5]])
def test_what_d_means_behind_the_depth_does_not_depend_on_k(found, ascending):
    row = np.float32(found), np.arange(5)
    judged, values = row[1][:2], np.float32([2.5, 1.5])
    longest = in_front(row, judged, values, ascending=ascending)
    for k in (2, 3, 4):
        shorter = in_front((row[0][:k], row[1][:k]), judged, values, ascending=ascending)
        for one, whole in zip(shorter, longest, strict=True):
            np.testing.assert_array_equal(one, whole[:k])


def test_channels():
    metrics = {"bow": "cosine", "gist": "l2"}
    assert Original(channel="gist").ascending(metrics)
    assert not Original(channel="bow").ascending(metrics)
    with pytest.raises(ParameterError, match=r"several \(bow, gist\); name one"):
        Original().ascending(metrics)
    with pytest.raises(ParameterError, match="channel='hog', there is bow, gist"):
        Original(channel="hog").ascending(metrics)


@pytest.mark.parametrize("depth", [0, -1, 2.5])
def test_wrong_depth(rows, depth):
    flat = exact_flat(rows, "l2")
    with pytest.raises(ParameterError, match=f"Original: depth={depth}"):
        Original(depth).rerank(
            Query({"main": rows[:1]}), flat.search(rows[:1], 3), ArrayDatabase({"main": flat})
        )


@pytest.mark.parametrize("name", sorted(RERANKERS))
def test_every_reranker_reads_only_its_depth(rows, queries, name):
    flat = exact_flat(rows, "l2")
    asked = []

    class Watched(ArrayDatabase):
        def vectors(self, ids, channel):
            asked.append(len(ids))
            return super().vectors(ids, channel)

    RERANKERS[name](depth=5).rerank(
        Query({"main": queries}), flat.search(queries, 40), Watched({"main": flat})
    )
    assert asked == [5] * len(queries)
