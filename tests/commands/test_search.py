import os
import shutil

import pytest
from PIL import Image

from tests.command_line import run, view


def test_json(built, pictures):
    query = pictures / "ukbench00009.jpg"
    done = run("search", built, query, "-k", 4, "--json")
    assert done.code == 0, done.err
    (answer,) = done.json["queries"]
    assert answer["path"] == str(query)
    assert [one["rank"] for one in answer["results"]] == [1, 2, 3, 4]
    first = answer["results"][0]
    assert first["path"] == "ukbench00009.jpg"
    assert set(first) == {"rank", "id", "path", "score", "label"}
    assert {one["label"] for one in answer["results"]} == {first["label"]}


def test_plain_table(built, pictures):
    done = run("search", built, pictures / "ukbench00000.jpg", "-k", 3)
    assert done.code == 0 and done.err == ""
    lines = done.out.splitlines()
    assert lines[1].split() == ["rank", "score", "id", "label", "path"]
    assert len(lines) == 5 and lines[2].split()[-1] == "ukbench00000.jpg"


def test_walk_through_flags_mean_the_same(built, pictures):
    query = pictures / "ukbench00005.jpg"
    flags = run("search", "-f", built, "-i", query, "--json")
    assert flags.json == run("search", built, query, "--json").json


def test_a_query_from_outside(built, tmp_path):
    view(3, 1.5).save(tmp_path / "new.png")
    done = run("search", built, tmp_path / "new.png", "-k", 4, "--json")
    (answer,) = done.json["queries"]
    assert answer["label"] is None
    assert sum(one["path"] in {f"ukbench{i:05d}.jpg" for i in range(12, 16)}
               for one in answer["results"]) >= 3  # fmt: skip


def test_a_region_looks_only_there(built, tmp_path):
    both = Image.new("RGB", (460, 150))
    both.paste(view(3, 0), (0, 0))
    both.paste(view(6, 0), (260, 0))
    both.save(tmp_path / "both.png")
    for box, label in (("0,0,200,150", "3"), ("260,0,200,150", "6")):
        done = run("search", built, tmp_path / "both.png", "--region", box, "--json")
        assert done.json["queries"][0]["results"][0]["label"] == label


def test_montage_of_one_and_of_several(built, pictures, tmp_path):
    queries = [pictures / "ukbench00000.jpg", pictures / "ukbench00004.jpg"]
    assert run("search", built, queries[0], "--montage", tmp_path / "sub" / "one.png").code == 0
    assert Image.open(tmp_path / "sub" / "one.png").size[0] > 400
    assert run("search", built, *queries, "--montage", tmp_path / "m.png").code == 0
    assert (tmp_path / "m-1.png").exists() and (tmp_path / "m-2.png").exists()


def test_one_bad_query_of_two(built, pictures, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"")
    done = run("search", built, tmp_path / "bad.jpg", pictures / "ukbench00000.jpg", "--json")
    assert done.code == 1
    assert "bad.jpg" in done.error
    bad, good = done.json["queries"]
    assert set(bad) == {"path", "error"} and bad["path"] == str(tmp_path / "bad.jpg")
    assert "empty" in bad["error"]
    assert good["results"][0]["path"] == "ukbench00000.jpg"


def test_threshold_leaves_out_what_is_less_like(built, pictures):
    query = pictures / "ukbench00000.jpg"
    (whole,) = run("search", built, query, "-k", 8, "--json").json["queries"]
    limit = whole["results"][3]["score"]
    (some,) = run("search", built, query, "-k", 8, "--threshold", limit, "--json").json["queries"]
    assert some["results"] == [one for one in whole["results"] if one["score"] >= limit]
    assert 4 <= len(some["results"]) < 8
    none = run("search", built, query, "--threshold", 2)
    assert none.code == 0 and "no results" in none.out


def test_threshold_of_a_distance_is_the_farthest(pictures, tmp_path):
    out = tmp_path / "a.cbir"
    made = run("build", pictures, "-o", out, "--recipe", "colour", "--set", "index.metric=l2")
    assert made.code == 0, made.err
    query = pictures / "ukbench00000.jpg"
    answer = run("search", out, query, "-k", 8, "--json").json
    assert answer["metric"] == "l2"
    scores = [one["score"] for one in answer["queries"][0]["results"]]
    done = run("search", out, query, "-k", 8, "--threshold", scores[2], "--json")
    assert [one["score"] for one in done.json["queries"][0]["results"]] == scores[:3]


def test_exclude_self_leaves_out_the_query_and_nothing_else(built, pictures, tmp_path):
    query = pictures / "ukbench00009.jpg"
    (whole,) = run("search", built, query, "-k", 6, "--json").json["queries"]
    (rest,) = run("search", built, query, "-k", 5, "--exclude-self", "--json").json["queries"]
    assert [one["path"] for one in rest["results"]] == [
        one["path"] for one in whole["results"] if one["path"] != "ukbench00009.jpg"
    ]
    assert rest["label"] == whole["label"]
    view(2, 1.5).save(tmp_path / "outside.png")  # isn't indexed: nothing to leave out
    (outside,) = run(
        "search", built, tmp_path / "outside.png", "--exclude-self", "-k", 5, "--json"
    ).json["queries"]
    assert len(outside["results"]) == 5


@pytest.mark.skipif(os.name == "nt", reason="names are bytes on POSIX")
def test_names_that_are_not_utf_8(built, pictures, tmp_path):
    query = tmp_path / os.fsdecode(b"caf\xe9.jpg")
    shutil.copy(pictures / "ukbench00003.jpg", query)
    done = run("search", built, query, "-k", 1, "--exclude-self", "--json")
    assert done.code == 0, done.err
    assert done.json["queries"][0]["results"][0]["path"] == "ukbench00003.jpg"
    copy = tmp_path / "a.cbir"
    shutil.copytree(built, copy)
    added = run("add", copy, query)
    assert added.code == 0 and "UTF-8" in added.err and "nothing changed" in added.out


def test_a_query_without_keypoints_says_so(built, tmp_path):
    Image.new("RGB", (160, 120), "white").save(tmp_path / "blank.png")
    done = run("search", built, tmp_path / "blank.png", "--json")
    assert done.code == 0
    assert "no keypoints" in done.err and done.err.startswith("warning: ")
    (answer,) = done.json["queries"]
    assert answer["keypoints"] == 0 and answer["results"] == []
    plain = run("search", built, tmp_path / "blank.png", "--montage", tmp_path / "m.png")
    assert "no results" in plain.out and (tmp_path / "m.png").exists()


def test_fused_recipes_show_a_score_and_answer_a_blank_query_by_the_rest(pictures, tmp_path):
    out = tmp_path / "both.cbir"
    words = ["--set", "vocabulary.n_words=64"]
    made = run("build", pictures, "-o", out, "--recipe", "bow-colour", *words)
    assert made.code == 0, made.err
    plain = run("search", out, pictures / "ukbench00000.jpg", "-k", 3)
    assert plain.out.splitlines()[1].split()[:3] == ["rank", "score", "id"]
    Image.new("RGB", (160, 120), "white").save(tmp_path / "blank.png")
    done = run("search", out, tmp_path / "blank.png", "-k", 3, "--json")
    assert done.json["metric"] == "score" and "no keypoints" in done.err
    assert len(done.json["queries"][0]["results"]) == 3


def test_a_region_is_counted_in_the_querys_own_pixels(built, tmp_path):
    """Twice the size that the recipe takes pictures at: half the numbers would miss."""
    both = Image.new("RGB", (460, 150))
    both.paste(view(3, 0), (0, 0))
    both.paste(view(6, 0), (260, 0))
    both.resize((1840, 600), Image.Resampling.BICUBIC).save(tmp_path / "large.png")
    for box, label in (("0,0,800,600", "3"), ("1040.5,0,799,600", "6")):
        done = run("search", built, tmp_path / "large.png", "--region", box, "--json")
        assert done.code == 0, done.err
        assert done.json["queries"][0]["results"][0]["label"] == label


@pytest.mark.parametrize(
    "arguments",
    [[], ["a.cbir"], ["-k", "0", "a.cbir", "q.jpg"], ["a.cbir", "q.jpg", "--region", "1,2,3"],
     ["a.cbir", "q.jpg", "--region", "0,0,0,5"], ["a.cbir", "q.jpg", "--region", "0,0,inf,5"],
     ["a.cbir", "q.jpg", "--region", "nan,0,5,5"],
     ["a.cbir", "q.jpg", "--threshold", "nan"]],
)  # fmt: skip
def test_a_wrong_command_line_is_exit_code_2(arguments):
    done = run("search", *arguments)
    assert done.code == 2
    assert done.error


def test_help():
    done = run("search", "--help")
    assert done.code == 0
    for text in ("--montage", "--region", "-k", "Exit codes"):
        assert text in done.out


def test_a_region_outside_one_picture_does_not_cost_the_others(built, pictures, tmp_path):
    view(1, 0, (400, 300)).save(tmp_path / "wide.png")
    queries = [pictures / "ukbench00000.jpg", tmp_path / "wide.png"]
    done = run("search", built, *queries, "--region", "220,10,150,250", "-k", 2, "--json")
    assert done.code == 1
    first, second = done.json["queries"]
    assert str(queries[0]) in first["error"] and "no pixel" in first["error"]
    assert len(second["results"]) == 2
    assert str(queries[0]) in run("search", built, queries[0], "--region", "220,10,9,9").error


@pytest.mark.parametrize("name", ["m", "m.xyz"])
def test_a_montage_that_cannot_be_written_is_refused_before_the_search(built, pictures, name):
    done = run("search", built, pictures / "ukbench00000.jpg", "--montage", name)
    assert done.code == 2 and done.out == "" and ".png" in done.error


def test_k_beyond_all_measure_gives_all(built, pictures):
    done = run("search", built, pictures / "ukbench00000.jpg", "-k", 10**23, "--json")
    assert done.code == 0, done.err
    assert len(done.json["queries"][0]["results"]) == 32
