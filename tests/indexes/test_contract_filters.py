"""Filters, radius and given pairs: what every index answers about some of its rows."""

import numpy as np
import pytest

from cbir.errors import DimensionError, DTypeError, ParameterError
from cbir.indexes import INDEXES
from cbir.types import RangeResult
from tests.indexes.cases import PAIRS, D, equal, make, pick, random_rows, worst

pytestmark = pytest.mark.parametrize(("name", "metric"), PAIRS, ids=["-".join(p) for p in PAIRS])

# Queries for every way of searching: one by one, in tiles, by 8-bit codes.
COUNTS = [1, 5, 6, 33, 96, 130]


def only(name, metric, rows, ids, left):
    """An index that holds nothing but the rows `left` of `rows`."""
    index = INDEXES[name](D, metric=metric)
    index.add(pick(rows, left), ids=ids[left])
    return index


# ---- allowed ----


@pytest.mark.parametrize("nq", COUNTS)
@pytest.mark.parametrize("share", [0.002, 0.02, 0.2, 0.6, 1])
def test_allowed_is_as_if_the_others_were_not_there(name, metric, nq, share):
    rng = np.random.default_rng(5)
    rows, q, ids = random_rows(name, 2000), random_rows(name, nq, 1), rng.permutation(6000)[:2000]
    index = INDEXES[name](D, metric=metric)
    index.add(rows, ids=ids)
    left = np.sort(rng.choice(2000, max(1, int(2000 * share)), replace=False))
    expected = only(name, metric, rows, ids, left).search(q, 9)
    mask = np.zeros(6000, bool)
    mask[ids[left]] = True
    for allowed in (ids[left], ids[left][::-1].tolist(), mask):
        equal(index.search(q, 9, allowed=allowed), expected)
    index.remove(ids[left[::2]])
    expected = only(name, metric, rows, ids, left[1::2]).search(q, 9)
    equal(index.search(q, 9, allowed=mask), expected)
    equal(index.search(q, 9, allowed=ids[left]), expected)


def test_what_allowed_may_hold(name, metric):
    index, q = make(name, metric, 5, ids=[0, 1, 2, 7, 9]), random_rows(name, 2, 1)
    expected = index.search(q, 3, allowed=[2, 7])
    assert set(expected.I.ravel()) == {2, 7, -1} and (expected.D[:, 2] == worst(metric)).all()
    for allowed in (
        [7, 2, 7, 2],
        [2, 7, 8, 10**12, -1],  # ids that aren't held, and the -1 of an answer, are passed over
        np.array([2, 7], np.int32),
        np.isin(np.arange(8), [2, 7]),  # an id past the end of a mask is not allowed
        np.isin(np.arange(100), [2, 7, 50]),
    ):
        equal(index.search(q, 3, allowed=allowed), expected)
    for allowed in ([], np.zeros(0, bool), np.zeros(50, bool), [3]):
        assert (index.search(q, 3, allowed=allowed).I == -1).all()


@pytest.mark.parametrize(
    ("allowed", "error"),
    [
        ([0.5], DTypeError),
        (["a"], DTypeError),
        ([[0]], DimensionError),
        (0, DimensionError),
    ],
)
def test_wrong_allowed_is_refused(name, metric, allowed, error):
    index, q = make(name, metric, 3), random_rows(name, 1)
    with pytest.raises(error, match="allowed"):
        index.search(q, 1, allowed=allowed)
    with pytest.raises(error, match="allowed"):
        index.range_search(q, 1.0, allowed=allowed)


def test_smaller_k_is_a_prefix_of_larger_k_under_a_filter(name, metric):
    index, q = make(name, metric, 900), random_rows(name, 9, 1)
    for allowed in (np.arange(0, 900, 2), np.arange(900) % 3 > 0, np.arange(0, 900, 80)):
        few, many = (index.search(q, k, allowed=allowed) for k in (2, 300))
        equal(few, (many.D[:, :2], many.I[:, :2]))


# ---- radius ----


@pytest.mark.parametrize("nq", COUNTS)
@pytest.mark.parametrize("allowed", [None, np.arange(0, 3000, 300), np.arange(700) % 3 == 0])
def test_range_search_gives_what_a_full_search_has_within_the_radius(name, metric, nq, allowed):
    index, q = make(name, metric, 700, ids=np.arange(700) * 3), random_rows(name, nq, 1)
    index.remove([0, 300, 3])
    whole = index.search(q, 700, allowed=allowed)
    real = whole.D[0][whole.I[0] >= 0]
    for radius in (real[0], real[len(real) // 2], real[-1], 0, np.inf, -np.inf):
        found = index.range_search(q, radius, allowed=allowed)
        assert isinstance(found, RangeResult)
        assert (found.lims.dtype, found.D.dtype, found.I.dtype) == (np.int64, np.float32, np.int64)
        assert found.lims.shape == (nq + 1,) and found.lims[0] == 0
        assert found.lims[-1] == len(found.D) == len(found.I)
        sign = 1 if metric in ("l2", "l1") else -1
        within = (sign * whole.D <= sign * radius) & (whole.I >= 0)
        np.testing.assert_array_equal(np.diff(found.lims), within.sum(1))
        np.testing.assert_array_equal(found.D, whole.D[within])
        np.testing.assert_array_equal(found.I, whole.I[within])


def test_the_radius_itself_is_within_it(name, metric):
    same = pick(random_rows(name, 1), [0] * 3)
    index = INDEXES[name](D, metric=metric)
    index.add(same)
    D_ = index.search(same, 1).D[0, 0]
    assert index.range_search(same, D_).I.tolist() == [0, 1, 2] * 3
    outside = np.nextafter(D_, np.float32(-worst(metric)))
    assert len(index.range_search(same, outside).I) == 0


def test_range_search_of_nothing(name, metric):
    for index, nq in ((make(name, metric), 2), (make(name, metric, 4), 0)):
        found = index.range_search(random_rows(name, nq), 1.0)
        assert found.lims.tolist() == [0] * (nq + 1) and len(found.D) == len(found.I) == 0


@pytest.mark.parametrize("radius", [np.nan, "near", None, True, [1.0]])
def test_wrong_radius_is_refused(name, metric, radius):
    with pytest.raises(ParameterError, match="radius="):
        make(name, metric, 3).range_search(random_rows(name, 1), radius)


# ---- given pairs ----


@pytest.mark.parametrize("nq", COUNTS)
def test_score_gives_the_bits_of_search(name, metric, nq):
    ids = np.random.default_rng(3).permutation(3000)[:1500]
    index, q = make(name, metric, 1500, ids=ids), random_rows(name, nq, 1)
    index.remove(ids[:7])
    found = index.search(q, 1493)
    np.testing.assert_array_equal(index.score(q, found.I), found.D)
    some = found.I[0, ::50]
    expected = index.search(q, 1493, allowed=some)
    scores = index.score(q, some)
    assert scores.shape == (nq, len(some)) and scores.dtype == np.float32
    for i in range(nq):
        place = {int(name): at for at, name in enumerate(expected.I[i])}
        at = [place[int(name)] for name in some]
        np.testing.assert_array_equal(scores[i], expected.D[i, at])


def test_score_of_repeats_and_of_no_row(name, metric):
    index, q = make(name, metric, 5), random_rows(name, 3, 1)
    scores = index.score(q, [4, -1, 4, 0])
    np.testing.assert_array_equal(scores[:, 0], scores[:, 2])
    np.testing.assert_array_equal(scores[:, 1], np.full(3, worst(metric)))
    np.testing.assert_array_equal(index.score(q, [[4], [-1], [0]])[:, 0],
                                  [scores[0, 0], worst(metric), scores[2, 3]])  # fmt: skip
    assert index.score(q, []).shape == (3, 0) and index.score(q, np.zeros((3, 0))).shape == (3, 0)
    assert index.score(random_rows(name, 0), [1, 2]).shape == (0, 2)


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([0, 9], ParameterError, "id 9 is not in the index"),
        ([0, -2], ParameterError, "id -2 is not in the index"),
        ([1], ParameterError, "id 1 is not in the index"),  # removed
        ([[0], [2]], DimensionError, r"expected \(m,\) or \(3, m\)"),
        (0, DimensionError, r"expected \(m,\)"),
        ([0.5], DTypeError, "expected int64"),
    ],
)
def test_wrong_ids_are_not_scored(name, metric, ids, error, message):
    index = make(name, metric, 5)
    index.remove([1])
    with pytest.raises(error, match=message):
        index.score(random_rows(name, 3, 1), ids)


def test_knobs_that_are_not_there_are_refused(name, metric):
    index, q = make(name, metric, 3), random_rows(name, 1)
    for call in (
        lambda: index.search(q, 1, speed=3),
        lambda: index.range_search(q, 1.0, speed=3),
    ):
        with pytest.raises(ParameterError, match="speed is not a knob of this index; it has no"):
            call()
