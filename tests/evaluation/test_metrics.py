"""Metrics against values worked out by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cbir.errors import DimensionError, ParameterError
from cbir.evaluation import (
    accuracy,
    average_precision,
    average_precision_11_point,
    average_precision_at_k,
    average_precision_interpolated,
    average_precision_trapezoid,
    interpolated_precision,
    ndcg_at_k,
    ns_score,
    ns_score_self_excluded,
    precision_at_k,
    r_precision,
    recall_at_k,
    revisitop_mp_at_k,
    success_at_k,
)

# 0-based ranks, n positives: trapezoid, standard, max-interpolated, 11-point
AP_TABLE = [
    ([0, 1, 2], 3, 1.000000, 1.000000, 1.000000, 1.000000),
    ([1], 1, 0.250000, 0.500000, 0.500000, 0.500000),
    ([9], 1, 0.050000, 0.100000, 0.100000, 0.100000),
    ([1, 2, 3], 3, 0.513889, 0.638889, 0.750000, 0.750000),
    ([0, 2, 5], 3, 0.677778, 0.722222, 0.722222, 0.727273),
    ([0, 2], 3, 0.527778, 0.555556, 0.555556, 0.545455),
    ([4, 5, 6, 7], 4, 0.302976, 0.365476, 0.500000, 0.500000),
]
BINARY = [
    lambda r, n: average_precision(r, n),
    lambda r, n: average_precision_trapezoid(r, n),
    lambda r, n: average_precision_interpolated(r, n),
    lambda r, n: average_precision_11_point(r, n),
    lambda r, n: average_precision_at_k(r, n, 3, denominator="min"),
    lambda r, n: precision_at_k(r, n, 3),
    lambda r, n: recall_at_k(r, n, 3),
    lambda r, n: success_at_k(r, n, 3),
    lambda r, n: r_precision(r, n),
    lambda r, n: ndcg_at_k(r, n, 5),
    lambda r, n: revisitop_mp_at_k(r, n, 3),
]


@pytest.mark.parametrize(
    ("ranks", "n", "trapezoid", "standard", "interpolated", "eleven"), AP_TABLE
)
def test_the_four_average_precisions(ranks, n, trapezoid, standard, interpolated, eleven):
    assert average_precision_trapezoid(ranks, n) == pytest.approx(trapezoid, abs=5e-7)
    assert average_precision(ranks, n) == pytest.approx(standard, abs=5e-7)
    assert average_precision_interpolated(ranks, n) == pytest.approx(interpolated, abs=5e-7)
    assert average_precision_11_point(ranks, n) == pytest.approx(eleven, abs=5e-7)


def test_precision_recall_success_are_three_things():
    # positives at places 2 and 5 (1-based) of 4 in all; recall@k has been used for both others
    ranks, n = [1, 4], 4
    assert precision_at_k(ranks, n, 5) == 2 / 5
    assert recall_at_k(ranks, n, 5) == 2 / 4
    assert success_at_k(ranks, n, 5) == 1.0
    assert success_at_k(ranks, n, 1) == 0.0
    assert r_precision(ranks, n) == 1 / 4


def test_precision_divides_by_k_even_where_fewer_positives_exist():
    assert precision_at_k([0, 1, 2], 3, 10) == 3 / 10


def test_revisitop_precision_clips_k_to_the_last_positive():
    assert revisitop_mp_at_k([0, 1, 2], 3, 10) == 1.0
    assert revisitop_mp_at_k([0, 5], 2, 10) == 2 / 6
    assert revisitop_mp_at_k([0, 50], 2, 10) == 1 / 10
    assert revisitop_mp_at_k([], 2, 10) == 0.0


def test_average_precision_at_k_has_two_named_denominators():
    # 5 positives, places 1 and 2 found within k = 2
    assert average_precision_at_k([0, 1, 7], 5, 2, denominator="relevant") == 2 / 5
    assert average_precision_at_k([0, 1, 7], 5, 2, denominator="min") == 1.0
    with pytest.raises(ParameterError, match="'relevant' and 'min'"):
        average_precision_at_k([0], 1, 2, denominator="k")


def test_top_1_is_precision_at_1_and_no_average_precision():
    assert precision_at_k([0, 9], 2, 1) == 1.0
    assert average_precision([0, 9], 2) == (1 + 2 / 10) / 2


def test_ukbench_score_counts_four_places_self_included():
    assert ns_score([0, 1, 2, 3]) == 4.0
    assert ns_score([0, 4, 5, 6]) == 1.0  # only oneself: the floor
    assert ns_score([0, 1, 4, 5]) == 2.0  # the fifth place does not count
    assert accuracy([0, 4, 5, 6]) == 0.25
    assert accuracy([0, 1, 2, 9]) == 0.75 == recall_at_k([0, 1, 2, 9], 4, 4)
    assert ns_score_self_excluded([0, 1, 2]) == 3.0
    assert ns_score_self_excluded([0, 3]) == 1.0


def test_ukbench_score_refuses_other_group_sizes():
    with pytest.raises(ParameterError, match="has 3 positives; UKBench has 4"):
        ns_score([0, 1], 3)
    with pytest.raises(ParameterError, match="expected 3"):
        ns_score_self_excluded([0], 4)


def test_ndcg_by_hand():
    # grades 2, 3 found at places 1 and 3; a positive of grade 1 not found
    dcg = 2 / math.log2(2) + 3 / math.log2(4)
    ideal = 3 / math.log2(2) + 2 / math.log2(3) + 1 / math.log2(4)
    found = {"grades": [2, 3], "all_grades": [1, 2, 3]}
    assert ndcg_at_k([0, 2], 3, 10, **found) == pytest.approx(dcg / ideal)
    burges = (3 / 1 + 7 / 2) / (7 / 1 + 3 / math.log2(3) + 1 / 2)
    assert ndcg_at_k([0, 2], 3, 10, **found, gain="exponential") == pytest.approx(burges)
    assert ndcg_at_k([0, 2], 3, 1, **found) == pytest.approx(2 / 3)
    assert ndcg_at_k([0, 1, 2], 3, 2) == 1.0


@pytest.mark.parametrize("metric", BINARY)
def test_no_positives_no_score(metric):
    assert math.isnan(metric([], 0))


@pytest.mark.parametrize("metric", BINARY)
@given(data=st.data())
def test_bounds_and_monotonicity(metric, data):
    """In [0, 1], 1 for a perfect ranking, and a positive that moves up never lowers the score."""
    n = data.draw(st.integers(1, 12))
    ranks = sorted(data.draw(st.sets(st.integers(0, 30), max_size=n)))
    value = metric(ranks, n)
    assert 0 <= value <= 1 + 1e-12
    movable = [i for i, r in enumerate(ranks) if r > 0 and r - 1 not in ranks]
    if movable and metric is not BINARY[-1]:  # revisitop's divisor moves with the last positive
        i = data.draw(st.sampled_from(movable))
        better = [*ranks[:i], ranks[i] - 1, *ranks[i + 1 :]]
        assert metric(better, n) >= value - 1e-12
    if n == 3:
        assert metric(range(n), n) == pytest.approx(1.0)


@given(
    st.integers(1, 12).flatmap(
        lambda n: st.tuples(st.sets(st.integers(0, 40), max_size=n).map(sorted), st.just(n))
    )
)
def test_order_of_the_average_precisions(case):
    ranks, n = case
    assert average_precision_trapezoid(ranks, n) <= average_precision(ranks, n) + 1e-12
    assert average_precision(ranks, n) <= average_precision_interpolated(ranks, n) + 1e-12
    curve = interpolated_precision(ranks, n)
    assert (np.diff(curve) <= 1e-15).all()


def test_interpolated_precision_compares_recall_in_integers():
    # 3 of 10 positives reach recall .3 exactly, though 0.1 * 3 > 0.3 in floating point
    curve = interpolated_precision([0, 1, 2], 10, 11)
    assert curve.tolist() == [1.0] * 4 + [0.0] * 7


@pytest.mark.parametrize(
    ("ranks", "n", "message"),
    [
        ([0, 1], 1, "2 ranks, but only 1 positives"),
        ([2, 1], 2, "must rise"),
        ([1, 1], 2, "must rise"),
        ([-1], 1, "must rise from 0"),
        ([0.5], 1, "expected integers"),
    ],
)
def test_impossible_ranks_are_refused(ranks, n, message):
    with pytest.raises(ParameterError, match=message):
        average_precision(ranks, n)


def test_other_bad_arguments():
    with pytest.raises(DimensionError, match=r"expected \(m,\)"):
        average_precision([[0]], 1)
    with pytest.raises(ParameterError, match="k=0"):
        precision_at_k([0], 1, 0)
    with pytest.raises(ParameterError, match="give both"):
        ndcg_at_k([0], 1, 3, grades=[1])
    with pytest.raises(DimensionError, match="2 grades for 1 ranks"):
        ndcg_at_k([0], 1, 3, grades=[1, 2], all_grades=[1])
    with pytest.raises(ParameterError, match="not above 0"):
        ndcg_at_k([0], 1, 3, grades=[0], all_grades=[0])
    with pytest.raises(ParameterError, match="'linear' and 'exponential'"):
        ndcg_at_k([0], 1, 3, gain="log")
