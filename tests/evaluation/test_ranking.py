"""Order by (score, id); junk, the query and empty places leave before ranks are counted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.errors import DimensionError, DTypeError, ParameterError
from cbir.evaluation import (
    average_precision,
    knn_recall,
    knn_recall_by_distance,
    positive_ranks,
    rank_by_score,
)


def test_ties_go_to_the_smaller_id_both_ways_up():
    ids = [40, 10, 30, 20]
    assert rank_by_score([1.0, 1.0, 1.0, 1.0], ids, descending=True).tolist() == [10, 20, 30, 40]
    assert rank_by_score([1.0, 1.0, 1.0, 1.0], ids, descending=False).tolist() == [10, 20, 30, 40]
    assert rank_by_score([2, 1, 2, 1], ids, descending=True).tolist() == [30, 40, 10, 20]
    assert rank_by_score([2, 1, 2, 1], ids, descending=False, k=3).tolist() == [10, 20, 30]


@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_ranking_does_not_depend_on_the_order_of_columns(scores, random):
    pairs = list(enumerate(scores))
    expected = [i for i, s in sorted(pairs, key=lambda p: (-p[1], p[0]))]
    random.shuffle(pairs)
    ids, shuffled = zip(*pairs, strict=True)
    for dtype in (np.float32, np.uint8, np.int64):
        ranked = rank_by_score(np.array([shuffled], dtype), ids, descending=True)
        assert ranked[0].tolist() == expected


def test_an_all_tied_list_has_one_average_precision():
    # two tools gave .367 and .5 here; by id the positive 3 of 0..3 stands last
    ranked = rank_by_score(np.zeros(4), [3, 0, 2, 1], descending=True)
    assert average_precision(positive_ranks(ranked, [3]), 1) == 0.25


def test_rank_by_score_refuses():
    with pytest.raises(ParameterError, match="NaN"):
        rank_by_score([np.nan], [1], descending=True)
    with pytest.raises(DimensionError, match=r"expected \(1,\)"):
        rank_by_score([1.0], [1, 2], descending=True)
    with pytest.raises(DTypeError, match="expected numbers"):
        rank_by_score(["a"], [1], descending=True)
    with pytest.raises(DimensionError, match="nq, n"):
        rank_by_score(np.zeros((1, 1, 1)), [1], descending=True)


def test_junk_moves_the_rest_up_and_uses_no_place():
    ranked = [7, 1, 8, 2, 3]
    assert positive_ranks(ranked, [1, 3]).tolist() == [1, 4]
    assert positive_ranks(ranked, [1, 3], junk=[7, 8]).tolist() == [0, 2]


def test_minus_one_is_no_hit_and_not_the_last_image():
    assert positive_ranks([-1, 5, -1, -1, 6], [5, 6]).tolist() == [0, 1]
    assert positive_ranks([-1, -1], [5]).tolist() == []
    assert positive_ranks([], [5]).tolist() == []


def test_candidates_restrict_the_ranking():
    assert positive_ranks([1, 2, 3, 4], [4], candidates=[2, 4]).tolist() == [1]


def test_an_id_twice_is_refused():
    with pytest.raises(ParameterError, match="id 5 comes twice in the ranking of query 0"):
        positive_ranks([5, 2, 5], [5])
    with pytest.raises(ParameterError, match="holds -7"):
        positive_ranks([-7, 2], [2])
    with pytest.raises(DTypeError, match="did you pass D instead of I"):
        positive_ranks([0.5, 2], [2])


@given(st.permutations(range(12)), st.sets(st.integers(0, 11)), st.sets(st.integers(0, 11)))
def test_ranks_are_those_of_the_cleaned_list(ranked, relevant, junk):
    relevant -= junk
    cleaned = [i for i in ranked if i not in junk]
    expected = [at for at, i in enumerate(cleaned) if i in relevant]
    assert positive_ranks(ranked, sorted(relevant), junk=sorted(junk)).tolist() == expected


def test_three_recalls_of_approximate_search():
    found = np.array([[4, 9, 1, 2, -1]])
    true = np.array([[1, 2, 3]])
    assert knn_recall(found, true, k=1) == 0.0
    assert knn_recall(found, true, k=1, r=3) == 1.0
    assert knn_recall(found, true, k=2) == 0.0
    assert knn_recall(found, true, k=3, r=5) == pytest.approx(2 / 3)


def test_recall_by_distance_forgives_ties_at_the_end():
    # id 7 ties with the true second neighbour: wrong by id, right by distance
    assert knn_recall([[1, 7]], [[1, 2]], k=2) == 0.5
    assert knn_recall_by_distance([[0.1, 0.5]], [[0.1, 0.5]], k=2) == 1.0
    assert knn_recall_by_distance([[0.1, 0.6]], [[0.1, 0.5]], k=2) == 0.5
    assert knn_recall_by_distance([[0.1, np.inf]], [[0.1, np.inf]], k=2) == 0.5


def test_knn_recall_refuses():
    with pytest.raises(DimensionError, match="gt has shape"):
        knn_recall([[1, 2]], [[1]], k=2)
    with pytest.raises(DimensionError, match="I has 1 queries, gt 2"):
        knn_recall([[1]], [[1], [2]], k=1)
