import json
import shutil

import pytest

from tests.command_line import TINY, run, save_views, view


def test_ukbench_json(built):
    done = run("evaluate", built, "--protocol", "ukbench", "--json")
    assert done.code == 0, done.err
    facts = done.json
    assert facts["protocol"] == "ukbench" and facts["n_queries"] == 32
    for name in ("ns_score", "accuracy", "map", "map_trapezoid", "precision@1", "recall@4"):
        assert name in facts["metrics"]
    assert facts["metrics"]["precision@1"] == 1  # the query itself
    assert facts["metrics"]["ns_score"] == pytest.approx(4 * facts["metrics"]["accuracy"])
    assert facts["metrics"]["ns_score"] > 3
    assert 0 < facts["query_ms"]["p50"] <= facts["query_ms"]["p95"]
    assert facts["recipe"]["name"] == "bow"


def test_leave_one_out_plain(built):
    done = run("evaluate", "-f", built, "--protocol", "leave-one-out", "--quiet")
    assert done.code == 0 and done.err == ""
    assert "map " in done.out and "query time" in done.out and "32 queries" in done.out


def test_query_file_with_queries_in_and_out_of_the_collection(built, tmp_path):
    view(6, 0.5).save(tmp_path / "outside.png")
    right = [f"ukbench{i:05d}.jpg" for i in range(24, 28)]
    queries = [
        {"query": "outside.png", "relevant": right},
        {"query": right[0], "relevant": right[1:]},
        {"query": right[0], "relevant": right[1:], "region": [0, 0, 150, 150]},
    ]
    (tmp_path / "mine.json").write_text(json.dumps({"queries": queries}))
    done = run("evaluate", built, "--protocol", tmp_path / "mine.json", "--json")
    assert done.code == 0, done.err
    assert done.json["protocol"] == "mine" and done.json["n_queries"] == 3
    assert done.json["metrics"]["map"] > 0.6
    assert "ns_score" not in done.json["metrics"]


def test_report(built, tmp_path):
    done = run("evaluate", built, "--protocol", "ukbench", "--report", tmp_path / "r", "--json")
    assert done.code == 0, done.err
    page = (tmp_path / "r" / "index.html").read_text()
    assert done.json["report"].endswith("index.html")
    assert "data:image" in page and "n_words" in page and "<html" in page


def test_images_that_have_gone_cost_the_timing_only(tmp_path):
    folder = save_views(tmp_path / "set", n_things=2)
    run("build", folder, "-o", tmp_path / "a.cbir", *TINY, "--labels", "ukbench")
    shutil.rmtree(folder)
    done = run("evaluate", tmp_path / "a.cbir", "--json")
    assert done.code == 0, done.err
    assert done.json["metrics"]["precision@1"] == 1
    assert done.json["query_ms"]["p50"] is None and done.json["query_ms"]["n"] == 0


def test_without_labels(pictures, tmp_path):
    run("build", pictures, "-o", tmp_path / "a.cbir", *TINY)
    done = run("evaluate", tmp_path / "a.cbir")
    assert done.code == 1
    assert "--labels" in done.error


def test_bad_protocols(built, tmp_path):
    assert "nonsense" in run("evaluate", built, "--protocol", "nonsense").error
    done = run("evaluate", built, "--protocol", tmp_path / "missing.json")
    assert done.code == 1 and "missing.json" in done.error
    text = json.dumps({"queries": [{"query": "ukbench00000.jpg", "relevant": ["nobody.jpg"]}]})
    (tmp_path / "typo.json").write_text(text)
    done = run("evaluate", built, "--protocol", tmp_path / "typo.json")
    assert done.code == 1 and "nobody.jpg" in done.error
    counted = run("evaluate", built, "--protocol", tmp_path / "typo.json", "--missing", "count")
    assert counted.code == 0, counted.err


def test_a_wrong_command_line_is_exit_code_2(built):
    assert run("evaluate").code == 2
    assert run("evaluate", built, "-f", built).code == 2
    assert run("evaluate", built, "--missing", "perhaps").code == 2
