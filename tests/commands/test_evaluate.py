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


# ------------------------------------------------------------------------ which protocol is taken


@pytest.fixture(scope="module")
def unlabelled(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("plain") / "a.cbir"
    assert run("build", pictures, "-o", out, "--recipe", "colour").code == 0
    return out


def test_without_labels(unlabelled):
    done = run("evaluate", unlabelled)
    assert done.code == 1
    assert "--labels" in done.error and len(done.error) < 250


def test_ukbench_by_the_names_of_a_collection_without_labels(unlabelled):
    done = run("evaluate", unlabelled, "--protocol", "ukbench", "--json")
    assert done.code == 0, done.err
    assert done.json["n_queries"] == 32 and done.json["metrics"]["precision@1"] == 1


def test_ukbench_without_labels_and_with_other_names(tmp_path):
    folder = save_views(tmp_path / "set", n_things=1)
    view(2, 0).save(folder / "cat.jpg")
    assert run("build", folder, "-o", tmp_path / "a.cbir", "--recipe", "colour").code == 0
    done = run("evaluate", tmp_path / "a.cbir", "--protocol", "ukbench")
    assert done.code == 1 and "cat.jpg" in done.error


def test_the_labels_decide(built, tmp_path):
    done = run("evaluate", built, "--json")
    assert done.json["protocol"] == "ukbench" and "protocol ukbench" in done.err
    folder = save_views(tmp_path / "set", n_things=3)
    for i, path in enumerate(sorted(folder.glob("*.jpg"))):
        (folder / f"class{i % 2}").mkdir(exist_ok=True)
        path.rename(folder / f"class{i % 2}" / path.name)
    out = tmp_path / "a.cbir"
    assert run("build", folder, "-o", out, "--recipe", "colour", "--labels", "folders").code == 0
    assert run("evaluate", out, "--json").json["protocol"] == "leave-one-out"


def test_a_broken_picture_counts_as_not_found(tmp_path):
    folder = save_views(tmp_path / "set", n_things=3)
    (folder / "ukbench00005.jpg").write_bytes(b"no picture")
    out = tmp_path / "a.cbir"
    assert run("build", folder, "-o", out, *TINY, "--labels", "ukbench").code == 0
    done = run("evaluate", out, "--json")  # which still takes it for UKBench
    assert done.code == 0, done.err
    assert done.json["protocol"] == "ukbench" and done.json["n_queries"] == 11
    assert done.json["notes"] == ["images not in the index, counted as not found: 1"]
    assert done.json["metrics"]["ns_score"] <= (8 * 4 + 3 * 3) / 11
    assert "note: images not in the index" in run("evaluate", out).out
    assert run("remove", out, "ukbench00000.jpg").code == 0
    refused = run("evaluate", out, "--protocol", "ukbench")  # of two gaps only one was broken
    assert refused.code == 1 and "4" in refused.error
    counted = run("evaluate", out, "--protocol", "ukbench", "--missing", "count", "--json")
    assert counted.json["n_queries"] == 10


# ------------------------------------------------------------------------------- the data sets' own


def holidays(folder, n_groups=4, per_group=3):
    """Pictures named as INRIA Holidays names them: the first of each hundred asks."""
    folder.mkdir(parents=True)
    for group in range(n_groups):
        for i in range(per_group):
            view(group, i).save(folder / f"{100_000 + 100 * group + i}.jpg", quality=90)
    return folder


def test_the_queries_of_a_data_set(tmp_path):
    out = tmp_path / "a.cbir"
    folder = holidays(tmp_path / "holidays" / "jpg")
    assert run("build", folder, "-o", out, *TINY).code == 0
    done = run("evaluate", out, "--protocol", "holidays", "--json")
    assert done.code == 0, done.err
    facts = done.json
    assert facts["protocol"] == "holidays" and facts["n_queries"] == 4
    assert facts["metrics"]["map"] > 0.8 and "ns_score" not in facts["metrics"]
    # by hand: the query leaves its ranking, the two others of its group are right
    answers = run("search", out, folder / "100100.jpg", "--exclude-self", "--json").json
    names = [one["path"] for one in answers["queries"][0]["results"]]
    right = [names.index(name) for name in ("100101.jpg", "100102.jpg")]
    assert max(right) < len(names)
    rooted = run("evaluate", out, "--protocol", "holidays", "--root", folder.parent, "--json")
    assert rooted.json["metrics"] == facts["metrics"]


def test_queries_beside_the_indexed_folder_ask_with_their_files(tmp_path):
    """As the DVD covers lie: the covers are indexed, the photographs of them only ask."""
    root = tmp_path / "dvd"
    for name, number in (("reference", 0), ("canon", 1)):
        (root / name).mkdir(parents=True)
        for thing in range(6):
            view(thing, number).save(root / name / f"{thing:03d}.jpg", quality=95)
    out = tmp_path / "covers.cbir"
    assert run("build", root / "reference", "-o", out, *TINY).code == 0
    done = run("evaluate", out, "--protocol", "smvs_dvd", "--report", tmp_path / "r", "--json")
    assert done.code == 0, done.err
    assert done.json["n_queries"] == 6 and done.json["metrics"]["precision@1"] > 0.6
    both = tmp_path / "both.cbir"  # photographs that are indexed too must not answer
    assert run("build", root, "-o", both, *TINY).code == 0
    done = run("evaluate", both, "--protocol", "smvs_dvd", "--json")
    assert done.json["n_queries"] == 6 and done.json["metrics"]["precision@1"] > 0.6


def test_regions_of_a_data_set_and_pictures_that_could_not_be_read(tmp_path):
    root = tmp_path / "oxford"
    (root / "jpg").mkdir(parents=True)
    (root / "gt").mkdir()
    for i in range(3):
        view(1, i).save(root / "jpg" / f"hall_{i}.jpg", quality=95)
        view(2, i).save(root / "jpg" / f"other_{i}.jpg", quality=95)
    (root / "jpg" / "broken.jpg").write_bytes(b"")
    lists = {
        "hall_1_query": "oxc1_hall_0 10.5 10 180 130",
        "hall_1_good": "hall_1\nbroken",
        "hall_1_ok": "hall_2",
        "hall_1_junk": "other_0",
    }
    for name, text in lists.items():
        (root / "gt" / f"{name}.txt").write_text(text)
    out = tmp_path / "a.cbir"
    assert run("build", root / "jpg", "-o", out, *TINY).code == 0
    done = run("evaluate", out, "--protocol", "oxford5k", "--json")
    assert done.code == 0, done.err
    assert done.json["n_queries"] == 1
    assert done.json["notes"] == ["images not in the index, counted as not found: 1"]
    assert done.json["metrics"]["map"] == pytest.approx(2 / 3)


def test_a_query_that_its_data_set_lists_as_right_counts_and_a_missing_one_is_told(tmp_path):
    root = tmp_path / "oxford"
    (root / "jpg").mkdir(parents=True)
    (root / "gt").mkdir()
    for i in range(2):
        view(1, i).save(root / "jpg" / f"hall_{i}.jpg", quality=95)
        view(2, i).save(root / "jpg" / f"other_{i}.jpg", quality=95)
    lists = {
        "hall_1_query": "oxc1_hall_0 0 0 200 150",
        "hall_1_good": "hall_0",
        "hall_1_ok": "hall_1",
        "hall_1_junk": "",
        "other_1_query": "oxc1_other_0 0 0 200 150",
        "other_1_good": "other_1",
        "other_1_ok": "",
        "other_1_junk": "",
    }
    for name, text in lists.items():
        (root / "gt" / f"{name}.txt").write_text(text)
    out = tmp_path / "a.cbir"
    assert run("build", root / "jpg", "-o", out, *TINY).code == 0
    done = run("evaluate", out, "--protocol", "oxford5k", "--json")
    assert done.code == 0, done.err
    # hall_0 finds itself and hall_1; other_0 isn't right itself, leaves, and other_1 moves up.
    assert done.json["metrics"]["map"] == pytest.approx(1.0)
    assert done.json["metrics"]["recall@1"] == pytest.approx((0.5 + 1) / 2)
    (root / "gt" / "hall_1_ok.txt").write_text("hall_1 hall_7")
    done = run("evaluate", out, "--protocol", "oxford5k")
    assert done.code == 1 and "hall_7" in done.error
    done = run("evaluate", out, "--protocol", "oxford5k", "--missing", "count", "--json")
    assert done.code == 0 and done.json["metrics"]["map"] < 0.9
    (root / "gt" / "hall_1_query.txt").write_text("nothing")
    done = run("evaluate", out, "--protocol", "oxford5k")
    assert done.code == 1 and "hall_1_query" in done.error


def test_holidays_on_other_pictures_is_refused(unlabelled):
    done = run("evaluate", unlabelled, "--protocol", "holidays")
    assert done.code == 1 and "six digits" in done.error


def test_a_data_set_that_is_not_there(unlabelled, tmp_path):
    done = run("evaluate", unlabelled, "--protocol", "oxford5k")
    assert done.code == 1 and "--root" in done.error
    done = run("evaluate", unlabelled, "--protocol", "holidays", "--root", tmp_path)
    assert done.code == 1 and "holidays" in done.error


# ------------------------------------------------------------------------------- fewer, shallower


def test_some_queries_and_a_shallow_ranking(built):
    whole = run("evaluate", built, "--protocol", "leave-one-out", "--json").json
    assert whole["lower_bounds"] == [] and whole["depth"] == 32
    options = ["--protocol", "leave-one-out", "--queries", 32, "--depth", 5]
    short = run("evaluate", built, *options, "--json").json
    assert short["depth"] == 5 and "map" in short["lower_bounds"]
    assert "precision@4" not in short["lower_bounds"]
    for name, value in short["metrics"].items():
        if name in short["lower_bounds"]:
            assert value <= whole["metrics"][name]
        else:
            assert value == whole["metrics"][name]
    plain = run("evaluate", built, *options).out
    assert ">= " in plain and "lower bounds" in plain
    few = run("evaluate", built, "--queries", 5, "--json").json
    assert few["n_queries"] == 5 and few["metrics"]["precision@1"] == 1


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
    assert run("evaluate", built, "--queries", "0").code == 2
    assert run("evaluate", built, "--depth", "0").code == 2


def test_a_region_outside_its_query_names_the_picture(built, tmp_path):
    view(1, 0).save(tmp_path / "outside.png")
    one = {"query": "outside.png", "relevant": ["ukbench00004.jpg"], "region": [900, 0, 5, 5]}
    (tmp_path / "q.json").write_text(json.dumps({"queries": [one]}))
    done = run("evaluate", built, "--protocol", tmp_path / "q.json")
    assert done.code == 1 and "outside.png" in done.error and "no pixel" in done.error


@pytest.mark.parametrize("protocol", [[], ["--protocol", "ukbench"]])
def test_a_root_without_a_data_set_is_refused(built, tmp_path, protocol):
    done = run("evaluate", built, *protocol, "--root", tmp_path)
    assert done.code == 1 and "holidays" in done.error and "leave it out" in done.error


def test_a_report_that_cannot_be_written_is_told_before_the_work(built, tmp_path):
    (tmp_path / "taken").write_text("x")
    done = run("evaluate", built, "--report", tmp_path / "taken")
    assert done.code == 1 and "taken" in done.error and "rank" not in done.err
