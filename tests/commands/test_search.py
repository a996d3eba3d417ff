import json

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
    assert len(json.loads(done.out)["queries"]) == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["a.cbir"], ["-k", "0", "a.cbir", "q.jpg"], ["a.cbir", "q.jpg", "--region", "1,2,3"],
     ["a.cbir", "q.jpg", "--region", "0,0,0,5"]],
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
