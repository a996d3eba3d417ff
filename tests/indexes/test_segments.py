"""Segments: what several indexes answer is, bit by bit, what one index of all rows answers."""

import numpy as np
import pytest

from cbir.errors import DimensionError, ParameterError
from cbir.indexes import INDEXES, Segments
from tests.indexes.cases import PAIRS, D, dense, equal, make, pick, random_rows, worst

pytestmark = pytest.mark.parametrize(("name", "metric"), PAIRS, ids=["-".join(p) for p in PAIRS])

CUTS = ((0, 40), (40, 41), (41, 41), (41, 90), (90, 120))
GONE = [3, 40, 77, 119]


def rows_with_ties(name):
    """120 rows, many of them twice, the second time in another segment."""
    return pick(random_rows(name, 60), np.arange(120) % 60)


def both(name, metric, removed=(), ids=None):
    """(segments, one index of the same rows that lacks the removed ones)"""
    rows, ids = rows_with_ties(name), np.arange(120) * 3 if ids is None else ids
    one = INDEXES[name](D, metric=metric)
    one.add(rows, ids=ids)
    one.remove(removed)
    parts = []
    for begin, end in CUTS:
        parts.append(one.empty())
        parts[-1].add(pick(rows, np.arange(begin, end)), ids=ids[begin:end])
    return Segments(parts, removed=removed), one


@pytest.mark.parametrize("removed", [(), [3 * i for i in GONE]], ids=["all", "some removed"])
@pytest.mark.parametrize(
    "allowed",
    [None, [], [0, 9, 9, 120, 121, 357, 10**6], np.arange(360) % 2 == 0, np.ones(100, bool)],
    ids=["any", "none", "ids", "mask", "short mask"],
)
def test_search_and_range_search(name, metric, removed, allowed):
    segments, one = both(name, metric, removed)
    q = pick(rows_with_ties(name), np.arange(8))
    for k in (1, 2, 7, 130):
        equal(segments.search(q, k, allowed=allowed), one.search(q, k, allowed=allowed))
    for radius in [*one.search(q, 9).D[:, -1].tolist(), np.inf, -np.inf]:
        found = segments.range_search(q, radius, allowed=allowed, n_threads=2)
        equal(found, one.range_search(q, radius, allowed=allowed))


def test_score_and_reconstruct(name, metric):
    segments, one = both(name, metric, [9])
    q, ids = random_rows(name, 5, 1), np.array([357, 0, 120, 0, -1, 123])
    np.testing.assert_array_equal(segments.score(q, ids), one.score(q, ids))
    own = np.random.default_rng(0).choice(one.ids, (5, 7))
    own[2, 3] = -1
    np.testing.assert_array_equal(segments.score(q, own), one.score(q, own))
    assert segments.score(q, own)[2, 3] == worst(metric)
    ids = ids[ids >= 0]
    np.testing.assert_array_equal(dense(segments.reconstruct(ids)), dense(one.reconstruct(ids)))
    assert len(segments.reconstruct([])) == 0
    for call in (segments.reconstruct, lambda i: segments.score(q, i)):
        for unknown in ([0, 9], [1], [10**9], [-2], np.array([2**64 - 1], np.uint64)):
            with pytest.raises(ParameterError, match=f"id {unknown[-1]} is not in the index"):
                call(unknown)


def test_what_they_are_together(name, metric):
    segments, one = both(name, metric, [9, 10**9])
    np.testing.assert_array_equal(segments.ids, one.ids)
    assert (segments.d, segments.metric, segments.ntotal, len(segments)) == (D, metric, 119, 119)
    assert segments.nbytes > 0 and "119 rows" in repr(segments)


def test_nothing_is_removed_from_the_segments_themselves(name, metric):
    part = make(name, metric, 5)
    Segments([part], removed=[2])
    assert part.ntotal == 5


def test_segments_without_rows(name, metric):
    segments, q = Segments([make(name, metric)]), random_rows(name, 2, 1)
    assert (segments.search(q, 3).I == -1).all() and segments.ntotal == 0
    assert segments.range_search(q, 1.0).lims.tolist() == [0, 0, 0]
    assert (segments.score(q, [-1]) == worst(metric)).all()
    assert len(segments.reconstruct([])) == 0
    assert segments.search(random_rows(name, 0), 3).I.shape == (0, 3)


def test_segments_that_do_not_fit_are_refused(name, metric):
    a, b = make(name, metric, 5), make(name, metric, 5, ids=[4, 5, 6, 7, 8])
    falling = make(name, metric, 2, ids=[9, 8])
    other = next(m for n, m in PAIRS if n == name and m != metric)
    with pytest.raises(ParameterError, match="ids must rise"):
        Segments([a, b])
    with pytest.raises(ParameterError, match="ids must rise"):
        Segments([a, falling])
    with pytest.raises(ParameterError, match="differs from"):
        Segments([a, make(name, other, 2, ids=[8, 9])])
    with pytest.raises(ParameterError, match="an empty index will do"):
        Segments([])
    with pytest.raises(DimensionError):
        Segments([a]).score(random_rows(name, 2), [[1], [2], [3]])
