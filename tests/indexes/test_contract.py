"""What every index keeps, whatever its structure: one suite over the whole registry."""

import threading

import numpy as np
import pytest

from cbir.errors import DimensionError, DTypeError, ParameterError
from cbir.indexes import INDEXES, index_factory
from cbir.types import SearchResult, SparseVectors
from tests.indexes.cases import PAIRS, SPARSE, D, dense, equal, make, pick, random_rows, worst

pytestmark = pytest.mark.parametrize(("name", "metric"), PAIRS, ids=["-".join(p) for p in PAIRS])


def dense_only(name):
    if name in SPARSE:
        pytest.skip("takes SparseVectors, whose dtype and layout its own constructor fixes")


# ---- shape of an answer ----


def test_answer_is_a_search_result_of_float32_and_int64(name, metric):
    found = make(name, metric, 30).search(random_rows(name, 4, 1), 5)
    assert isinstance(found, SearchResult)
    assert found.D.shape == found.I.shape == (4, 5)
    assert (found.D.dtype, found.I.dtype) == (np.float32, np.int64)


def test_scores_run_from_best_to_worst(name, metric):
    D_ = make(name, metric, 60).search(random_rows(name, 6, 1), 20).D
    step = np.diff(D_, axis=1)
    assert (step >= 0).all() if metric in ("l2", "l1") else (step <= 0).all()


def test_a_row_finds_itself(name, metric):
    rows = random_rows(name, 50)
    found = make(name, metric, 50).search(rows, 1)
    if metric in ("l2", "l1", "cosine"):  # the others favour long rows
        np.testing.assert_array_equal(found.I[:, 0], np.arange(50))
        np.testing.assert_allclose(found.D, 1 if metric == "cosine" else 0, atol=1e-6)


def test_no_query_gives_empty_arrays(name, metric):
    found = make(name, metric, 5).search(random_rows(name, 0), 3)
    assert found.D.shape == found.I.shape == (0, 3)


@pytest.mark.parametrize("nq", [1, 5, 6, 7, 40])
def test_more_neighbours_than_rows_are_padded(name, metric, nq):
    found = make(name, metric, 3).search(random_rows(name, nq, 1), 5)
    assert (found.I[:, 3:] == -1).all() and (found.D[:, 3:] == worst(metric)).all()
    np.testing.assert_array_equal(np.sort(found.I[:, :3], axis=1), np.tile([0, 1, 2], (nq, 1)))
    assert np.isfinite(found.D[:, :3]).all()


def test_empty_index_gives_only_padding(name, metric):
    found = make(name, metric).search(random_rows(name, 2), 4)
    assert (found.I == -1).all() and (worst(metric) == found.D).all()


def test_k_equal_to_ntotal_gives_every_row_once(name, metric):
    found = make(name, metric, 33).search(random_rows(name, 3, 1), 33)
    np.testing.assert_array_equal(np.sort(found.I, axis=1), np.tile(np.arange(33), (3, 1)))


def test_smaller_k_is_a_prefix_of_larger_k(name, metric):
    index, q = make(name, metric, 80), random_rows(name, 9, 1)
    few, many = index.search(q, 4), index.search(q, 30)
    np.testing.assert_array_equal(few.I, many.I[:, :4])
    np.testing.assert_array_equal(few.D, many.D[:, :4])


def test_ties_go_to_the_smaller_id(name, metric):
    same = pick(random_rows(name, 1), [0] * 20)
    index = INDEXES[name](D, metric=metric)
    ids = np.random.default_rng(3).permutation(20) * 7
    index.add(same, ids=ids)
    for nq in (1, 12):
        found = index.search(pick(same, [0] * nq), 6)
        np.testing.assert_array_equal(found.I, np.tile(np.arange(6) * 7, (nq, 1)))


def test_zero_query_ranks_by_id_where_its_scores_are_equal(name, metric):
    index = make(name, metric, 10, ids=np.arange(10)[::-1])
    zero = np.zeros((1, D), np.float32)
    found = index.search(SparseVectors.from_dense(zero) if name in SPARSE else zero, 4)
    if metric in ("ip", "cosine", "histogram_intersection"):
        np.testing.assert_array_equal(found.I[0], [0, 1, 2, 3])
        np.testing.assert_array_equal(found.D[0], np.zeros(4))
        assert not np.signbit(found.D).any()
    assert np.isfinite(found.D).all()


def test_zero_row_is_held_and_found(name, metric):
    x = dense(random_rows(name, 5)).copy()
    x[2] = 0
    index = INDEXES[name](D, metric=metric)
    index.add(SparseVectors.from_dense(x) if name in SPARSE else x)
    found = index.search(random_rows(name, 8, 1), 5)
    assert (np.sort(found.I, axis=1) == np.arange(5)).all() and np.isfinite(found.D).all()
    if metric != "l2" and metric != "l1":
        np.testing.assert_array_equal(found.D[found.I == 2], 0)


# ---- threads and batches ----


def test_answer_does_not_depend_on_threads(name, metric):
    """Enough rows for several pieces of work, and queries for every way of searching."""
    index, q = make(name, metric, 20_000), random_rows(name, 100, 1)
    few = np.random.default_rng(0).choice(20_000, 3000, replace=False)
    for nq in (1, 37, 100):
        some = pick(q, np.arange(nq))
        one, near = index.search(some, 10, n_threads=1), index.search(some, 3, n_threads=1).D[0, 2]
        for n_threads in (0, 2, 4):
            equal(index.search(some, 10, n_threads=n_threads), one)
            for allowed in (few, np.arange(20_000) % 3 > 0):
                a, b = (
                    index.search(some, 10, allowed=allowed, n_threads=n) for n in (n_threads, 1)
                )
                equal(a, b)
            a, b = (index.range_search(some, near, n_threads=n) for n in (n_threads, 1))
            equal(a, b)
            scores = index.score(some, few, n_threads=n_threads)
            np.testing.assert_array_equal(scores, index.score(some, few, n_threads=1))


def test_what_is_held_does_not_depend_on_threads(name, metric, tmp_path):
    rows = random_rows(name, 20_000)
    for n_threads in (1, 4):
        index = INDEXES[name](D, metric=metric)
        index.train(rows, n_threads=n_threads)
        index.add(rows, n_threads=n_threads)
        index.remove(np.arange(100))
        index.compact(n_threads=n_threads)
        index.save(tmp_path / str(n_threads))
    for file in (tmp_path / "1").iterdir():
        assert file.read_bytes() == (tmp_path / "4" / file.name).read_bytes()


def test_answer_does_not_depend_on_how_queries_are_cut(name, metric):
    index, q = make(name, metric, 400), random_rows(name, 41, 1)
    whole = index.search(q, 10)
    for cut in (1, 5, 7, 33):
        parts = [
            index.search(pick(q, np.arange(i, min(41, i + cut))), 10) for i in range(0, 41, cut)
        ]
        equal(SearchResult(*map(np.concatenate, zip(*parts, strict=True))), whole)


def test_answer_does_not_depend_on_how_rows_were_added(name, metric):
    rows, q = random_rows(name, 90), random_rows(name, 8, 1)
    index = INDEXES[name](D, metric=metric)
    for begin, end in ((0, 1), (1, 2), (2, 50), (50, 50), (50, 90)):
        index.add(pick(rows, np.arange(begin, end)))
    equal(index.search(q, 12), make(name, metric, 90).search(q, 12))


def test_searches_may_run_side_by_side(name, metric):
    index, q = make(name, metric, 300), random_rows(name, 20, 1)
    expected, answers = index.search(q, 5), []
    threads = [
        threading.Thread(target=lambda: answers.append(index.search(q, 5, n_threads=2)))
        for _ in range(6)
    ]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(answers) == 6
    for answer in answers:
        equal(answer, expected)


# ---- ids, add, remove, reconstruct ----


def test_own_ids_need_not_be_contiguous(name, metric):
    ids = np.array([2**40, 7, 99, 0])
    index = make(name, metric, 4, ids=ids)
    np.testing.assert_array_equal(index.ids, ids)
    np.testing.assert_array_equal(np.sort(index.search(random_rows(name, 1), 4).I[0]), np.sort(ids))


def test_default_ids_go_on_after_the_largest(name, metric):
    index = make(name, metric, 3)
    index.add(random_rows(name, 1), ids=[10])
    index.add(random_rows(name, 2))
    np.testing.assert_array_equal(index.ids, [0, 1, 2, 10, 11, 12])
    index.remove([11, 12])
    index.add(random_rows(name, 1))
    assert index.ids[-1] == 13, "ids are never given out twice"


@pytest.mark.parametrize(
    ("ids", "error"),
    [
        ([1, 1], "appears twice"),
        ([-1, 4], "holds -1"),
        ([0, 9], "in the index already"),
        ([5], "expected"),
        ([0.5, 2.0], "expected int64"),
    ],
)
def test_wrong_ids_are_refused_and_change_nothing(name, metric, ids, error):
    index = make(name, metric, 3)
    with pytest.raises((ParameterError, DimensionError, DTypeError), match=error):
        index.add(random_rows(name, 2), ids=ids)
    assert index.ntotal == 3


def test_removed_rows_are_not_found(name, metric):
    index, q = make(name, metric, 40), random_rows(name, 9, 1)
    assert index.remove([3, 39, 0, 17]) == 4
    assert index.ntotal == 36
    left = np.setdiff1d(np.arange(40), [3, 39, 0, 17])
    fresh = INDEXES[name](D, metric=metric)
    fresh.add(pick(random_rows(name, 40), left), ids=left)
    equal(index.search(q, 36), fresh.search(q, 36))


def test_remove_passes_over_unknown_ids(name, metric):
    index = make(name, metric, 5)
    assert index.remove([2, 77]) == 1
    assert index.remove([2]) == 0
    assert index.remove([]) == 0
    assert index.remove(np.arange(100)) == 4 and index.ntotal == 0
    assert (index.search(random_rows(name, 1), 1).I == -1).all()


def test_a_removed_id_may_be_added_again(name, metric):
    index = make(name, metric, 5)
    index.remove([2])
    index.add(random_rows(name, 1, 9), ids=[2])
    np.testing.assert_array_equal(dense(index.reconstruct([2])), dense(random_rows(name, 1, 9)))


def test_reconstruct_gives_rows_in_the_order_asked(name, metric):
    index = make(name, metric, 6, ids=[50, 40, 30, 20, 10, 0])
    rows = index.reconstruct([10, 50, 20, 50])
    np.testing.assert_array_equal(dense(rows), dense(random_rows(name, 6))[[4, 0, 3, 0]])
    assert len(index.reconstruct([])) == 0
    with pytest.raises(ParameterError, match="id 11 is not in the index"):
        index.reconstruct([10, 11])


def test_properties(name, metric):
    index = make(name, metric, 7)
    assert (index.d, index.metric, index.ntotal, len(index)) == (D, metric, 7, 7)
    assert index.is_trained and index.train(random_rows(name, 3)) is index
    assert index.nbytes >= 7 * 8
    assert "ntotal=7" in repr(index)


def test_what_was_added_is_a_copy(name, metric):
    rows, q = random_rows(name, 20), random_rows(name, 3, 1)
    index = INDEXES[name](D, metric=metric)
    index.add(rows)
    before = index.search(q, 5)
    (rows.weights if name in SPARSE else rows)[:] = 9
    index.ids[:] = 3
    equal(index.search(q, 5), before)


# ---- wrong arguments ----


def test_wrong_width_names_both_numbers(name, metric):
    index = make(name, metric, 3)
    for call in (lambda x: index.search(x, 1), index.add, index.train):
        with pytest.raises(DimensionError, match=rf"{D - 1}, expected (d=)?{D}"):
            call(random_rows(name, 2, d=D - 1))


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite_values_are_refused(name, metric, bad):
    index, rows = make(name, metric, 3), random_rows(name, 2)
    (rows.weights if name in SPARSE else rows).flat[1] = bad
    with pytest.raises(ParameterError, match="NaN or infinity"):
        index.search(rows, 1)
    with pytest.raises(ParameterError, match="NaN or infinity"):
        index.add(rows)
    assert index.ntotal == 3


def test_values_that_overflow_float32_are_refused(name, metric):
    rows = random_rows(name, 2)
    (rows.weights if name in SPARSE else rows).flat[1] = 1e30
    with pytest.raises(ParameterError, match="scale the"):
        make(name, metric).add(rows)


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "3"])
def test_wrong_k_is_refused(name, metric, k):
    with pytest.raises(ParameterError, match="k="):
        make(name, metric, 3).search(random_rows(name, 1), k)


@pytest.mark.parametrize("n_threads", [-1, 2.0])
def test_wrong_n_threads_is_refused(name, metric, n_threads):
    index, x = make(name, metric, 3), random_rows(name, 1)
    for call in (
        lambda **k: index.search(x, 1, **k),
        lambda **k: index.range_search(x, 1.0, **k),
        lambda **k: index.score(x, [0], **k),
        lambda **k: index.add(x, **k),
        lambda **k: index.absorb(make(name, metric, 9), [8], **k),
        lambda **k: index.train(x, **k),
        index.compact,
    ):
        with pytest.raises(ParameterError, match="n_threads="):
            call(n_threads=n_threads)
    assert index.ntotal == 3


@pytest.mark.parametrize("d", [0, -3, 2.5])
def test_wrong_d_is_refused(name, metric, d):
    with pytest.raises(ParameterError, match="d="):
        INDEXES[name](d, metric=metric)


def test_unknown_metric_is_refused_with_the_ones_there_are(name, metric):
    with pytest.raises(ParameterError, match=rf"'chebyshev', allowed is one of .*{metric}"):
        INDEXES[name](D, metric="chebyshev")


def test_one_axis_is_an_error_with_a_hint(name, metric):
    dense_only(name)
    with pytest.raises(DimensionError, match=r"x\[None, :\]"):
        make(name, metric, 3).search(random_rows(name, 1)[0], 1)


@pytest.mark.parametrize("dtype", [np.float16, np.int32, np.uint8, object, bool])
def test_other_dtypes_are_refused(name, metric, dtype):
    dense_only(name)
    index = make(name, metric, 3)
    with pytest.raises(DTypeError, match="expected float32"):
        index.search(random_rows(name, 2).astype(dtype), 1)


def test_float64_is_cast(name, metric):
    dense_only(name)
    index, q = make(name, metric, 30), random_rows(name, 8, 1)
    equal(index.search(q.astype(np.float64), 3), index.search(q, 3))


def test_any_memory_layout_gives_the_same_answer(name, metric):
    dense_only(name)
    x, q = random_rows(name, 60), random_rows(name, 10, 1)
    expected = make(name, metric, 60).search(q, 5)
    wide = np.repeat(np.repeat(x, 2, axis=0), 2, axis=1)
    frozen = x.copy()
    frozen.flags.writeable = False
    for layout in (wide[::2, ::2], np.asfortranarray(x), frozen, x[::-1].copy()[::-1]):
        index = INDEXES[name](D, metric=metric)
        index.add(layout)
        equal(index.search(q, 5), expected)
        equal(index.search(np.asfortranarray(q), 5), expected)


def test_dense_rows_for_a_sparse_index_are_refused_with_a_cure(name, metric):
    if name not in SPARSE:
        pytest.skip("takes dense rows")
    with pytest.raises(DTypeError, match="from_dense"):
        make(name, metric).add(np.zeros((2, D), np.float32))


def test_the_factory_knows_flat(name, metric):
    if name != "flat":
        pytest.skip("faiss has no such structure")
    index = index_factory(D, "Flat", metric=metric)
    assert type(index) is INDEXES["flat"] and index.metric == metric
    with pytest.raises(ParameterError, match="'IVF7,Flat' is not known"):
        index_factory(D, "IVF7,Flat")


def test_a_view_without_some_rows_and_its_index_grow_apart(name, metric):
    rows = random_rows(name, 44)
    index = make(name, metric, 40)  # its own rows 0 to 39
    index.add(pick(rows, [40]))  # now there is room behind the rows
    view = index.without([0])
    index.add(pick(rows, [41]))
    view.add(pick(rows, [42]))
    index.add(pick(rows, [43]))
    for held, expected in ((index, [41, 43]), (view, [42])):
        ids = np.arange(41, 41 + len(expected))
        np.testing.assert_array_equal(dense(held.reconstruct(ids)), dense(pick(rows, expected)))
        alone = make(name, metric, 40)
        alone.add(pick(rows, [40, *expected]))
        found = alone.search(rows, 9) if held is index else alone.without([0]).search(rows, 9)
        np.testing.assert_array_equal(held.search(rows, 9).I, found.I)
