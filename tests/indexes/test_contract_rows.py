"""Rows that come and go: marks, compaction, copies, and an `add` that is cut off."""

import signal
from contextlib import contextmanager

import numpy as np
import pytest

from cbir.errors import DTypeError, ParameterError
from cbir.indexes import INDEXES
from tests.indexes.cases import PAIRS, D, dense, equal, make, pick, random_rows

pytestmark = pytest.mark.parametrize(("name", "metric"), PAIRS, ids=["-".join(p) for p in PAIRS])


# ---- marks ----


def test_remove_marks_and_compact_drops(name, metric):
    index, q = make(name, metric, 300, ids=np.arange(300)[::-1]), random_rows(name, 9, 1)
    before = index.nbytes
    assert index.remove(np.arange(0, 300, 3)) == 100
    assert (index.ntotal, index.n_removed, len(index)) == (200, 100, 200)
    assert index.nbytes == before
    answer, ids = index.search(q, 250), index.ids
    assert not np.isin(answer.I, np.arange(0, 300, 3)).any()
    assert index.compact() == 100
    assert (index.ntotal, index.n_removed) == (200, 0) and index.nbytes < before
    equal(index.search(q, 250), answer)
    np.testing.assert_array_equal(index.ids, ids)
    assert index.compact() == 0


def test_a_removed_row_is_nowhere(name, metric):
    index, q = make(name, metric, 5), random_rows(name, 1)
    index.remove([2])
    assert 2 not in index.ids
    assert 2 not in index.range_search(q, worst_radius(metric)).I
    assert 2 not in index.search(q, 5, allowed=[1, 2]).I
    for call in (index.reconstruct, lambda ids: index.score(q, ids)):
        with pytest.raises(ParameterError, match="id 2 is not in the index"):
            call([2])
    index.add(random_rows(name, 1))
    assert index.ids[-1] == 5, "the id of a removed row is not given out by default"


def worst_radius(metric):
    return np.inf if metric in ("l2", "l1") else -np.inf


def test_a_removed_id_that_came_back_is_another_row(name, metric):
    index, new, q = make(name, metric, 40), random_rows(name, 1, 9), random_rows(name, 3, 1)
    index.remove([7, 8])
    index.add(new, ids=[7])
    np.testing.assert_array_equal(dense(index.reconstruct([7])), dense(new))
    fresh = INDEXES[name](D, metric=metric)
    left = [i for i in range(40) if i not in (7, 8)]
    fresh.add(pick(random_rows(name, 40), left), ids=left)
    fresh.add(new, ids=[7])
    equal(index.search(q, 40), fresh.search(q, 40))
    np.testing.assert_array_equal(index.score(q, [7, 9]), fresh.score(q, [7, 9]))
    assert index.remove([7]) == 1 and index.ntotal == 38
    index.compact()
    assert 7 not in index.ids


def test_without_is_a_view_and_changes_nothing(name, metric):
    index, q = make(name, metric, 30), random_rows(name, 4, 1)
    before = index.search(q, 30)
    view = index.without([3, 99])
    assert (view.ntotal, view.n_removed, index.ntotal) == (29, 1, 30)
    equal(index.search(q, 30), before)
    index.remove([3])
    equal(index.search(q, 30), view.search(q, 30))
    np.testing.assert_array_equal(view.without([3, 4]).ids, np.setdiff1d(np.arange(30), [3, 4]))


# ---- add: all or nothing ----


@contextmanager
def failing(index, error, when):
    """Let the class fail inside `add`, before or after it has done its work."""
    real = index._extended

    def extended(rows, n_threads):
        if when == "after":
            real(rows, n_threads)
        raise error

    index._extended = extended
    yield
    del index._extended


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_an_add_that_fails_leaves_no_trace(name, metric, error, when):
    index, q, more = make(name, metric, 50), random_rows(name, 9, 1), random_rows(name, 30, 2)
    before = index.search(q, 90)
    with failing(index, error, when), pytest.raises(error):
        index.add(more)
    assert index.ntotal == 50
    equal(index.search(q, 90), before)
    index.add(more)
    again = make(name, metric, 50)
    again.add(more)
    equal(index.search(q, 90), again.search(q, 90))
    np.testing.assert_array_equal(index.ids, again.ids)


class Alarm(Exception):
    pass


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs signal.setitimer")
def test_an_add_interrupted_at_any_moment_is_whole_or_not_there(name, metric):
    """Native loops ask for signals too; whatever was cut off, the same add then goes through."""
    rows, more, q = random_rows(name, 9000), random_rows(name, 12_000, 2), random_rows(name, 2, 1)
    start = INDEXES[name](D, metric=metric)
    start.add(rows)
    before = start.search(q, 20)
    full = start.without([])
    full.absorb(of(name, metric, more), np.arange(9000, 21_000))
    after = full.search(q, 20)
    armed, cut = [False], 0

    def ring(signum, frame):
        if armed[0]:
            armed[0] = False
            raise Alarm

    old = signal.signal(signal.SIGALRM, ring)
    try:
        for delay in np.geomspace(1e-5, 0.05, 25):
            index = INDEXES[name](D, metric=metric)
            index.add(rows)
            armed[0] = True
            try:
                signal.setitimer(signal.ITIMER_REAL, delay)
                index.add(more, n_threads=2)
                armed[0] = False
            except Alarm:
                cut += 1
            signal.setitimer(signal.ITIMER_REAL, 0)
            if index.ntotal == 9000:
                equal(index.search(q, 20), before)
                index.add(more)
            equal(index.search(q, 20), after)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    assert cut, "no moment fell into an add"


def of(name, metric, rows):
    """An index of rows with the ids from 9000 on."""
    index = INDEXES[name](D, metric=metric)
    index.add(rows, ids=np.arange(9000, 9000 + len(rows)))
    return index


# ---- empty, absorb ----


def test_empty_is_like_it_without_rows(name, metric):
    index = make(name, metric, 5)
    empty = index.empty()
    assert type(empty) is type(index) and (empty.ntotal, empty.metric, empty.d) == (0, metric, D)
    empty.add(random_rows(name, 2))
    assert (index.ntotal, empty.ntotal) == (5, 2) and empty.ids.tolist() == [0, 1]


def test_absorb_takes_rows_as_they_are_kept(name, metric):
    other, q = make(name, metric, 60, ids=np.arange(60) * 2), random_rows(name, 5, 1)
    other.remove([4])
    index = other.empty()
    index.absorb(other, [118, 0, 6])
    np.testing.assert_array_equal(index.ids, [118, 0, 6])
    np.testing.assert_array_equal(index.score(q, [0, 118]), other.score(q, [0, 118]))
    index.absorb(other, [])
    for wrong in ([4], [1]):
        with pytest.raises(ParameterError, match=f"id {wrong[0]} is not in the index"):
            index.absorb(other, wrong)
    with pytest.raises(ParameterError, match="id 0 is in the index already"):
        index.absorb(other, [2, 0])
    assert index.ntotal == 3


def test_absorb_refuses_an_index_of_another_kind(name, metric):
    index = make(name, metric)
    other = next(m for n, m in PAIRS if n == name and m != metric)
    kind = next(n for n, _ in PAIRS if n != name)
    for stranger in (make(name, other, 2), make(kind, INDEXES[kind].METRICS[0], 2)):
        with pytest.raises(ParameterError, match="differs from"):
            index.absorb(stranger, [0])


def test_lookups_do_not_sort_rising_ids(name, metric, monkeypatch):
    index = make(name, metric, 50, ids=np.arange(50) * 2)

    def never(*args, **kwargs):
        raise AssertionError("ids that rise were sorted")

    monkeypatch.setattr("cbir.indexes._ids.np.argsort", never)
    assert len(index.reconstruct([2, 0, 98, 2])) == 4
    assert index.score(random_rows(name, 1), [4, 2]).shape == (1, 2)
    index.remove([4])
    index.search(random_rows(name, 1), 3, allowed=[2, 6])


def test_wrong_ids_to_reconstruct(name, metric):
    with pytest.raises(DTypeError, match="ids are float64"):
        make(name, metric, 3).reconstruct([0.5])


def test_a_view_and_its_index_may_both_grow(name, metric):
    """They share the space behind their rows: neither may write where the other has."""
    index, q = make(name, metric, 40), random_rows(name, 4, 1)
    index.add(random_rows(name, 5, 2))  # now there is space
    view = index.without([3])
    index.add(random_rows(name, 6, 3))
    before = index.search(q, 60)
    view.add(random_rows(name, 6, 4))
    view.add(random_rows(name, 6, 5))
    equal(index.search(q, 60), before)
    np.testing.assert_array_equal(
        dense(view.reconstruct(np.arange(45, 51))), dense(random_rows(name, 6, 4))
    )
