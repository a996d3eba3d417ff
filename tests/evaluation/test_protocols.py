"""Who asks, what is right, who leaves the ranking: protocols and their evaluation."""

import json

import numpy as np
import pytest

from cbir.errors import DimensionError, DTypeError, FormatError, ParameterError
from cbir.evaluation import (
    Evaluator,
    Protocol,
    evaluate,
    from_file,
    leave_one_out,
    per_query,
    precision_recall_curve,
    ukbench,
)
from cbir.evaluation.curves import mean_curve


def full_ranking(nq, n, seed=0):
    rng = np.random.default_rng(seed)
    return np.argsort(rng.random((nq, n)), axis=1).astype(np.int64)


def protocol(relevant, junk=None, own=None, **rest):
    nq = len(relevant)
    lists = {
        "relevant": [np.array(r, np.int64) for r in relevant],
        "junk": [np.array(j, np.int64) for j in junk or [[]] * nq],
    }
    ids = np.array([-1] * nq if own is None else own, np.int64)
    return Protocol(
        **{"name": "t", "query_ids": ids, "self_included": False, "n_database": 10} | lists | rest
    )


# --- UKBench


def test_ukbench_by_hand():
    p = ukbench(np.arange(8), [i // 4 for i in range(8)])
    ranked = full_ranking(8, 8)
    for q in range(8):  # itself first, then one sister, then strangers, then the two other sisters
        group = [i for i in range(q // 4 * 4, q // 4 * 4 + 4) if i != q]
        strangers = [i for i in range(8) if i // 4 != q // 4]
        ranked[q] = [q, group[0], *strangers, *group[1:]]
    m = evaluate(p, ranked)
    assert m["ns_score"] == 2.0
    assert m["accuracy"] == m["recall@4"] == 0.5
    assert m["ns_score_self_excluded"] == 1.0
    assert m["precision@1"] == 1.0
    assert m["map"] == pytest.approx((1 + 1 + 3 / 7 + 4 / 8) / 4)
    assert (m["n_queries"], m["n_queries_skipped"]) == (8, 0)
    assert p.depth == 8


def test_finding_only_oneself_gives_the_floor():
    p = ukbench(np.arange(8), [i // 4 for i in range(8)])
    ranked = np.array([[q, *range(4, 8)] if q < 4 else [q, *range(4)] for q in range(8)])
    m = evaluate(p, ranked)
    assert (m["ns_score"], m["accuracy"], m["ns_score_self_excluded"]) == (1.0, 0.25, 0.0)


def test_the_query_need_not_stand_first():
    p = ukbench(np.arange(4), ["a"] * 4)
    m = evaluate(p, [[3, 0, 1, 2], [3, 0, 1, 2], [3, 0, 1, 2], [3, 0, 1, 2]])
    assert (m["ns_score"], m["ns_score_self_excluded"]) == (4.0, 3.0)


def test_division_instead_of_floor_division_is_found():
    labels = np.arange(1000) / 4 + 1  # what Python 2 code does under Python 3
    with pytest.raises(ParameterError, match="made with / instead of //"):
        ukbench(np.arange(1000), labels.tolist())
    ukbench(np.arange(1000), (np.arange(1000) // 4).tolist())


@pytest.mark.parametrize(
    ("n", "labels", "message"),
    [
        (7, [0, 0, 0, 0, 1, 1, 1], "7 images are no multiple of 4"),
        (0, [], "0 images are no multiple of 4"),
        (8, [0, 0, 0, 1, 1, 1, 1, 1], "object 0 has 3 images"),
        (4, ["a", "a", "a", None], "1 of 4 images have no label"),
    ],
)
def test_ukbench_refuses_other_sets(n, labels, message):
    with pytest.raises(ParameterError, match=message):
        ukbench(np.arange(n), labels)


def test_a_broken_picture_is_an_absent_positive():
    p = ukbench(range(7), [0, 0, 0, 0, 1, 1, 1], missing="count")
    assert p.is_ukbench and len(p) == 7 and p.n_database == 7
    assert p.notes == ("images not in the index, counted as not found: 1",)
    ranked = np.array([[q, *(i for i in range(7) if i != q)] for q in range(7)])
    ranked[4:] = [[4, 5, 6, 0, 1, 2, 3], [5, 4, 6, 0, 1, 2, 3], [6, 4, 5, 0, 1, 2, 3]]
    m = evaluate(p, ranked)
    assert m["ns_score"] == (4 * 4 + 3 * 3) / 7  # three of the four are all that can be found
    assert m["ns_score_self_excluded"] == (4 * 3 + 3 * 2) / 7
    assert m["map"] == (4 * 1 + 3 * 3 / 4) / 7
    with pytest.raises(ParameterError, match="object 1 has 5 images"):
        ukbench(range(9), [0] * 4 + [1] * 5, missing="count")


def test_labels_must_fit_ids():
    with pytest.raises(DimensionError, match="3 labels for 4 ids"):
        ukbench(range(4), [1, 1, 1])


# --- leave one out


def test_the_query_leaves_by_id_not_by_rank():
    # 11 is an exact duplicate of 10 and stands before it: dropping rank 0 would drop the right one
    p = leave_one_out([10, 11, 12], ["a", "a", "b"])
    m = evaluate(p, [[11, 10, 12], [10, 11, 12], [12, 10, 11]])
    assert m["map"] == m["precision@1"] == 1.0
    assert (m["n_queries"], m["n_queries_skipped"]) == (2, 1)
    # ties by id put the query second here; a duplicate with another label is still wrong
    wrong = leave_one_out([10, 11, 12], ["a", "b", "a"])
    m = evaluate(wrong, [[10, 11, 12], [10, 11, 12], [10, 11, 12]])
    assert per_query(wrong, [[10, 11, 12], [10, 11, 12], [10, 11, 12]])["map"][0] == 0.5


def test_leave_one_out_distractors_and_missing():
    p = leave_one_out([1, 2, 3, 4, 5], ["a", "a", "a", None, "b"])
    assert p.query_ids.tolist() == [1, 2, 3, 5]
    assert p.depth == 5
    # 3 isn't returned: it adds 0 and n stays 2
    table = per_query(p, [[1, 4, 2, -1], [2, 1, 3, -1], [1, 2, -1, -1], [5, 1, -1, -1]])
    assert table["map"][:3].tolist() == [0.5 / 2, 1.0, 1.0]
    assert np.isnan(table["map"][3])
    assert table["n_found"].tolist() == [1, 2, 2, 0]


def test_leave_one_out_needs_a_pair():
    with pytest.raises(ParameterError, match="no two of the 2 images share a label"):
        leave_one_out([1, 2], ["a", "b"])


def test_no_ns_score_outside_ukbench():
    p = leave_one_out(range(8), [i // 4 for i in range(8)])
    assert "ns_score" not in evaluate(p, full_ranking(8, 8))


# --- rules that hold everywhere


def test_junk_does_not_use_up_k():
    p = protocol([[1, 2]], junk=[[8, 9]])
    m = evaluate(p, [[8, 1, 9, 2, 3]])
    assert m["map"] == m["precision@1"] == 1.0
    assert m["recall@4"] == 1.0
    assert evaluate(p, [[8, 1, 9, 2, 3]], ks=[2])["precision@2"] == 1.0


def test_queries_without_positives_are_skipped_and_counted():
    p = protocol([[1], [], [2]])
    m = evaluate(p, [[1, 2], [1, 2], [1, 2]])
    assert m["map"] == (1 + 0.5) / 2
    assert (m["n_queries"], m["n_queries_skipped"]) == (2, 1)
    with pytest.raises(ParameterError, match="none of the 1 queries has a positive"):
        evaluate(protocol([[]]), [[1]])


def test_missing_positives_count_in_the_denominator():
    m = evaluate(protocol([[1, 2, -2]]), [[1, 5, 2, -1]])
    assert m["map"] == pytest.approx(0.555556, abs=1e-6)
    assert m["map_trapezoid"] == pytest.approx(0.527778, abs=1e-6)


def test_graded():
    p = protocol([[5, 1]], grades=[np.array([1.0, 3.0])])
    expected = (1 / 1 + 3 / np.log2(3)) / (3 / 1 + 1 / np.log2(3))
    assert evaluate(p, [[5, 1]])["ndcg@10"] == pytest.approx(expected)
    assert evaluate(p, [[1, 5]])["ndcg@10"] == 1.0


def test_blocks_give_what_the_whole_gives():
    p = leave_one_out(range(600), [i // 5 for i in range(600)])
    ranked = full_ranking(600, 600)
    e = Evaluator(p)
    for start in (0, 1, 300):
        e.add(ranked[start : {0: 1, 1: 300, 300: 600}[start]])
    assert e.metrics() == evaluate(p, ranked)
    recall, precision = precision_recall_curve(p, ranked, n_points=11)
    assert recall.shape == precision.shape == (11,)
    np.testing.assert_array_equal(mean_curve(e, n_points=11)[1], precision)


def test_what_a_short_ranking_gives_exactly():
    """Every metric called exact at a depth is what the whole ranking gives; the rest is lower."""
    p = leave_one_out(range(60), [i // 6 for i in range(60)])
    ranked = full_ranking(60, 60)
    whole = evaluate(p, ranked)
    for depth in (4, 5, 6, 11, 60):
        short = evaluate(p, ranked[:, :depth])
        exact = {name for name in whole if p.exact_at(name, depth)}
        for name in whole.keys() - {"revisitop_mP@10", "n_queries", "n_queries_skipped"}:
            if name in exact:
                assert short[name] == whole[name], (name, depth)
            else:
                assert short[name] <= whole[name], (name, depth)
        if depth == 6:  # one place goes to the query itself
            assert {"precision@4", "recall@4", "r_precision"} <= exact and "map" not in exact
    assert not p.exact_at("precision@10", 10) and p.exact_at("precision@10", 11)
    four = ukbench(range(8), [i // 4 for i in range(8)])
    assert four.exact_at("ns_score", 4) and not four.exact_at("ns_score", 3)
    assert four.exact_at("ns_score_self_excluded", 4)
    only = protocol([[1]], candidates=[np.array([1])])
    assert not only.exact_at("precision@1", 5) and only.exact_at("map", 10)


def test_subset_keeps_the_library():
    p = leave_one_out(range(6), list("aabbcc"))
    m = evaluate(p.subset([1, 4]), [[1, 0, 2, 3, 4, 5], [4, 0, 1, 2, 3, 5]])
    assert m["n_queries"] == 2
    assert m["map"] == (1 + 1 / 5) / 2


def test_a_subset_says_that_it_is_one():
    whole = ukbench(range(8), [0] * 4 + [1] * 4)
    assert whole.subset(range(8)).description == whole.description
    assert "3 of the 8 queries" in whole.subset([0, 2, 5]).description


def test_renaming_ids_changes_nothing():
    labels = [i // 4 for i in range(40)]
    ranked = full_ranking(40, 40)
    new = np.random.default_rng(1).permutation(10**6)[:40].astype(np.int64)
    assert evaluate(ukbench(range(40), labels), ranked) == evaluate(
        ukbench(new, labels), new[ranked]
    )


def test_a_perfect_curve_is_flat():
    p = ukbench(range(8), [i // 4 for i in range(8)])
    ranked = [[*range(4), *range(4, 8)]] * 4 + [[*range(4, 8), *range(4)]] * 4
    assert precision_recall_curve(p, ranked)[1].tolist() == [1.0] * 101


def test_the_ranking_is_checked_and_left_alone():
    p = leave_one_out(range(4), list("aabb"))
    ranked = full_ranking(4, 4)
    before = ranked.copy()
    ranked.setflags(write=False)
    evaluate(p, np.asfortranarray(ranked))
    np.testing.assert_array_equal(ranked, before)
    with pytest.raises(DimensionError, match="3 rankings for 4 queries"):
        evaluate(p, ranked[:3])
    with pytest.raises(DimensionError, match="8 rankings for 4 queries"):
        evaluate(p, np.vstack([ranked, ranked]))
    with pytest.raises(DimensionError, match=r"expected \(nq, k\)"):
        evaluate(p, ranked[0])
    with pytest.raises(DTypeError, match="D instead of I"):
        evaluate(p, ranked.astype(np.float32))
    with pytest.raises(ParameterError, match="comes twice"):
        evaluate(p, np.zeros((4, 2), np.int64))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"relevant": [[1, 1]]}, "lists a relevant id twice"),
        ({"relevant": [[-1]]}, "lists -1 as relevant"),
        ({"relevant": [[1]], "junk": [[1]]}, "id 1 as relevant and as junk"),
        ({"relevant": [[1]], "own": [1]}, "relevant to itself, yet"),
        ({"relevant": [[1]], "own": [2], "self_included": True}, "neither relevant nor junk"),
        ({"relevant": [[1]], "candidates": [np.array([2])]}, "not among its candidates"),
        ({"relevant": [[1]], "grades": [np.ones(2)]}, "2 grades for 1 relevant"),
        ({"relevant": [[1]], "regions": []}, "0 lists in regions, 1 queries"),
    ],
)
def test_contradictory_protocols_are_refused(arguments, message):
    with pytest.raises((ParameterError, DimensionError), match=message):
        protocol(**arguments)


# --- query files

PATHS = {"a/1.jpg": 10, "a/2.jpg": 11, "b/1.jpg": 12, "b/2.jpg": 13}


def write(tmp_path, document):
    file = tmp_path / "queries.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return file


def test_query_file(tmp_path):
    (tmp_path / "outside.jpg").write_bytes(b"x")
    queries = [
        {"query": "a/1.jpg", "relevant": ["a/2.jpg"], "junk": ["b/1.jpg"], "grades": [2]},
        {"query": "outside.jpg", "relevant": ["b/2.jpg", "b/1.jpg"], "region": [0, 1, 20, 30]},
        {"query": "b/1.jpg", "relevant": [], "candidates": ["a/1.jpg", "b/2.jpg"]},
    ]
    p = from_file(write(tmp_path, {"name": "mine", "queries": queries}), PATHS)
    assert p.name == "mine" and p.depth == 4 and not p.self_included
    assert p.query_ids.tolist() == [10, -1, 12]
    assert p.query_paths == [None, str(tmp_path / "outside.jpg"), None]
    assert p.regions == [None, (0, 1, 20, 30), None]
    assert [g.tolist() for g in p.grades] == [[2], [1, 1], []]
    m = evaluate(p, [[10, 12, 11, 13], [10, 12, 11, 13], [10, 11, 12, 13]])
    assert (m["n_queries"], m["n_queries_skipped"]) == (2, 1)
    assert m["map"] == (1 + (1 / 2 + 2 / 4) / 2) / 2


def test_query_file_keeps_the_query_on_request(tmp_path):
    query = {"query": "a/1.jpg", "relevant": ["a/1.jpg", "a/2.jpg"]}
    p = from_file(write(tmp_path, {"self": "keep", "queries": [query]}), PATHS)
    assert evaluate(p, [[10, 11, 12, 13]])["map"] == 1.0
    with pytest.raises(FormatError, match="relevant to itself"):
        from_file(write(tmp_path, {"self": "drop", "queries": [query]}), PATHS)


def test_query_file_missing_images(tmp_path):
    query = {"query": "a/1.jpg", "relevant": ["a/2.jpg", "gone.jpg"]}
    file = write(tmp_path, {"queries": [query]})
    with pytest.raises(FormatError, match=r"query 0 \(a/1.jpg\): 1 of 2 paths in .*'gone.jpg'"):
        from_file(file, PATHS)
    assert evaluate(from_file(file, PATHS, missing="count"), [[10, 11, 12, 13]])["map"] == 0.5
    with pytest.raises(ParameterError, match="'error' and 'count'"):
        from_file(file, PATHS, missing="skip")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "is no JSON"),
        ([], "should be an object"),
        ({"queries": []}, "queries: .* at least 1 item"),
        ({"queries": [{}]}, "query 0: has no 'query'"),
        ({"queries": [1]}, "query 0: .* an object"),
        ({"queries": [{"query": "a/1.jpg"}]}, "query 0: has no 'relevant'"),
        ({"queries": [{"query": "x.jpg", "relevant": []}]}, "neither in the collection nor"),
        ({"queries": [{"query": "a/1.jpg", "relevant": "a/2.jpg"}]}, "query 0: relevant: .* array"),
        ({"queries": [{"query": "a/1.jpg", "relevant": [], "good": []}]}, "unknown key 'good'"),
        (
            {"queries": [{"query": "a/1.jpg", "relevant": ["a/2.jpg"], "grades": [0]}]},
            "query 0: grades: 0: .* greater than 0",
        ),
        (
            {"queries": [{"query": "a/1.jpg", "relevant": ["a/2.jpg"], "grades": []}]},
            "query 0: 0 grades for 1 relevant",
        ),
        (
            {"queries": [{"query": "a/1.jpg", "relevant": [], "region": [1, 2]}]},
            "query 0: region: too few",
        ),
        ({"queries": [{"query": "a/1.jpg", "relevant": ["a/2.jpg", "a/2.jpg"]}]}, "id twice"),
        ({"queries": [{"query": "a/1.jpg", "relevant": []}], "k": 3}, "unknown key 'k'"),
        (
            {"queries": [{"query": "a/1.jpg", "relevant": []}], "self": "no"},
            "self: .*'drop' or 'keep'",
        ),
        ({"queries": [{"query": "a/1.jpg", "relevant": []}], "name": 3}, "name: .* string"),
    ],
)
def test_bad_query_files(tmp_path, document, message):
    file = write(tmp_path, document)
    with pytest.raises(FormatError, match=message) as error:
        from_file(file, PATHS)
    assert str(file) in str(error.value)


def test_a_picture_that_failed_is_no_typo(tmp_path):
    queries = [
        {"query": "a/1.jpg", "relevant": ["a/2.jpg", "broken.jpg"]},
        {"query": "broken.jpg", "relevant": ["a/1.jpg"]},
    ]
    p = from_file(write(tmp_path, {"queries": queries}), PATHS, failed=["broken.jpg"])
    assert p.query_ids.tolist() == [10] and len(p.notes) == 2
    assert evaluate(p, [[10, 11, 12, 13]])["map"] == 0.5


def test_a_region_may_have_fractions(tmp_path):
    query = {"query": "a/1.jpg", "relevant": ["a/2.jpg"], "region": [0.5, 1, 20.25, 30]}
    assert from_file(write(tmp_path, {"queries": [query]}), PATHS).regions == [(0.5, 1, 20.25, 30)]


def test_query_file_that_is_not_there(tmp_path):
    with pytest.raises(FormatError, match="can't be read"):
        from_file(tmp_path / "none.json", PATHS)
