"""A result without commit, CPU, SIMD level, threads, versions or settings is void."""

import copy
import json

import numpy as np
import pytest

from benchmarks import schema


@pytest.fixture
def good(monkeypatch):
    monkeypatch.setattr(schema, "commit", lambda: "a" * 40)
    rows = [{"name": "one", "median_s": np.float64(0.5), "n": np.int64(3)}]
    return schema.document("speed_one", rows, {"threads": 1, "seed": 0})


def test_document_is_plain_json(good):
    assert json.loads(json.dumps(good)) == good
    assert good["rows"][0]["median_s"] == 0.5


@pytest.mark.parametrize("key", ["commit", "cpu", "simd_level", "compiler", "date", "versions"])
def test_a_missing_fact_voids(good, key):
    for value in (None, ""):
        bad = copy.deepcopy(good)
        bad["environment"][key] = value
        with pytest.raises(schema.SchemaError, match=key):
            schema.validate(bad)
    del bad["environment"][key]
    with pytest.raises(schema.SchemaError, match=key):
        schema.validate(bad)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("schema", 0),
        ("name", "../x"),
        ("environment", None),
        ("config", {}),
        ("rows", []),
        ("rows", [{}]),
    ],
)
def test_a_missing_part_voids(good, key, value):
    with pytest.raises(schema.SchemaError):
        schema.validate({**good, key: value})


@pytest.mark.parametrize("threads", [None, 0, "2", 1.5])
def test_threads_must_be_known(good, threads):
    good["config"]["threads"] = threads
    with pytest.raises(schema.SchemaError, match="threads"):
        schema.validate(good)
    good["rows"][0]["threads"] = 2
    schema.validate(good)


def test_nan_is_refused(good):
    good["rows"][0]["median_s"] = float("nan")
    with pytest.raises(schema.SchemaError, match="median_s"):
        schema.validate(good)


def test_short_commit_is_refused(good):
    good["environment"]["commit"] = "abc123"
    with pytest.raises(schema.SchemaError, match="full hash"):
        schema.validate(good)


def test_write_leaves_one_file(good, tmp_path):
    path = schema.write("speed_one", good["rows"], good["config"], folder=tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["speed_one.json"]
    schema.validate(json.loads(path.read_text()))


def test_measure_interleaves():
    calls = []
    cases = {"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}
    seconds = schema.measure(cases, repeats=3, warm_up=1)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"
    assert {k: v.shape for k, v in seconds.items()} == {"a": (3,), "b": (3,)}


def test_summaries():
    # sorted 1 2 3 4 5: quartiles 2 and 4
    row = schema.timing_row("x", np.array([5.0, 1, 2, 4, 3]), threads=1)
    assert (row["median_s"], row["iqr_s"], row["repeats"], row["threads"]) == (3, 2, 5, 1)
    # rounds 2/1, 2/1, 9/3: the median is 2, although the medians' quotient is 2 as well
    assert schema.speedup(np.array([1.0, 1, 3]), np.array([2.0, 2, 9])) == 2
    lines = schema.table([{"a": 1, "b": 0.123456}, {"a": 22}]).splitlines()
    assert lines == ["| a  | b      |", "| -- | ------ |", "| 1  | 0.1235 |", "| 22 |        |"]


def test_published_results_are_complete():
    for path in sorted(schema.RESULTS.glob("*.json")):
        result = json.loads(path.read_text())
        schema.validate(result)
        assert result["name"] == path.stem
