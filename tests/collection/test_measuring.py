"""Evaluating a collection: what must not change the numbers, and what may be left out."""

import numpy as np
import pytest

from cbir.collection import Collection, measuring
from cbir.collection.asking import make_protocol
from cbir.errors import ParameterError
from cbir.evaluation import evaluate


@pytest.fixture(scope="module")
def things(built):
    return Collection.open(built)


def test_the_numbers_are_those_of_one_whole_ranking(things):
    protocol = make_protocol(things, "leave-one-out")
    found = things.search_ids(protocol.query_ids, things.ntotal)
    whole = evaluate(protocol, found.I)
    result = measuring.evaluate_collection(things, protocol, timed_queries=0)
    assert result.metrics == {k: v for k, v in whole.items() if not k.startswith("n_")}
    assert (result.n_queries, result.n_queries_skipped) == (32, 0)
    assert result.exact == list(result.metrics) and result.depth == 32
    np.testing.assert_array_equal(result.head_ids, found.I[:, : measuring.HEAD])
    assert result.query_summary() == {"p50": None, "p95": None, "n": 0, "threads": 1}


@pytest.mark.parametrize("size", [1, 32 * 5, 10**6])
def test_blocks_of_any_size_give_the_same(things, monkeypatch, size):
    monkeypatch.setattr(measuring, "BLOCK_IDS", size)
    told = []
    protocol = make_protocol(things, "ukbench")
    result = measuring.evaluate_collection(
        things, protocol, timed_queries=3, progress=lambda *step: told.append(step)
    )
    assert (
        result.metrics == measuring.evaluate_collection(things, protocol, timed_queries=0).metrics
    )
    assert [step for step in told if step[0] == "rank"][-1] == ("rank", 32, 32)
    assert len(result.query_ms) == 3


def test_what_a_shallow_ranking_cannot_say_is_left_out(things):
    result = measuring.evaluate_collection(
        things, make_protocol(things, "leave-one-out"), depth=6, timed_queries=0
    )
    assert "revisitop_mP@10" not in result.metrics
    assert "precision@4" in result.exact and "map" not in result.exact


def test_a_shallow_ranking_that_holds_every_right_answer_says_all(things):
    protocol = make_protocol(things, "ukbench")
    found = things.search_ids(protocol.query_ids, 31).I
    whole = [set(right) <= set(row) for right, row in zip(protocol.relevant, found, strict=True)]
    some = protocol.subset(np.flatnonzero(whole)[:5])
    short = measuring.evaluate_collection(things, some, depth=31, timed_queries=0)
    exact = measuring.evaluate_collection(things, some, timed_queries=0)
    assert short.metrics == exact.metrics and short.exact == exact.exact
    assert not some.exact_at("map", 31)


def test_queries_are_spread_evenly_and_few_enough():
    assert measuring.spread(1000, 3).tolist() == [0, 500, 999]
    assert measuring.spread(3, 10).tolist() == [0, 1, 2]
    assert measuring.spread(5, 0).tolist() == []


def test_best_and_worst_queries_show_each_object_once(things):
    result = measuring.evaluate_collection(
        things, make_protocol(things, "ukbench"), timed_queries=0
    )
    for worst in (True, False):
        chosen = measuring.pick_queries(result, 100, worst=worst)
        assert sorted(i // 4 for i in chosen) == list(range(8))
        scores = result.per_query["ns_score"][chosen]
        assert (np.diff(scores) >= 0).all() if worst else (np.diff(scores) <= 0).all()


def test_an_empty_collection_has_nothing_to_measure(pictures, tmp_path):
    Collection.build(pictures, tmp_path / "a.cbir", "colour")
    emptied = Collection.open(tmp_path / "a.cbir")
    emptied.remove(emptied.ids)
    with pytest.raises(ParameterError, match="holds no images"):
        make_protocol(emptied)
