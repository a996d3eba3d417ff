"""Bad input, end to end: what a person gets who hands the commands something wrong.

Each case ends in a defined answer or in one line that names the culprit; never in a traceback.
"""

import json
import shutil
import sqlite3

import numpy as np
import pytest
from PIL import Image

from tests.command_line import TINY, run, save_views, view

RECIPES = {"bow": TINY, "vlad": ["--recipe", "vlad", "--set", "vocabulary.n_words=8"],
           "colour": ["--recipe", "colour"]}  # fmt: skip


@pytest.fixture
def command():
    """Run a command; what it raises beyond its own errors fails the test."""
    return run


@pytest.fixture
def folder(tmp_path):
    return save_views(tmp_path / "set", n_things=3)


def save_odd_images(folder):
    """Images that are fine, and still the ones that break programs."""
    Image.new("RGB", (160, 120), (255, 255, 255)).save(folder / "blank.png")
    Image.new("RGB", (1, 1), (200, 30, 30)).save(folder / "dot.png")
    Image.new("RGB", (1, 10_000), (30, 200, 30)).save(folder / "line.png")
    Image.new("RGB", (10_000, 1), (30, 30, 200)).save(folder / "row.png")


# ------------------------------------------------------------------------------------------ build


def test_folder_that_is_missing_a_file_or_empty(command, tmp_path):
    out = tmp_path / "a.cbir"
    done = command("build", tmp_path / "nowhere", "-o", out)
    assert done.code == 1 and "nowhere" in done.error
    (tmp_path / "file.txt").write_text("x")
    done = command("build", tmp_path / "file.txt", "-o", out)
    assert done.code == 1 and "file.txt" in done.error
    (tmp_path / "empty").mkdir()
    done = command("build", tmp_path / "empty", "-o", out)
    assert done.code == 1 and "empty" in done.error
    assert command("info", out).code == 1  # nothing half-built is left that opens


def test_folder_where_all_fail(command, tmp_path):
    (tmp_path / "set").mkdir()
    for i in range(3):
        (tmp_path / "set" / f"{i}.jpg").write_bytes(b"\xff\xd8 not really")
    done = command("build", tmp_path / "set", "-o", tmp_path / "a.cbir")
    assert done.code == 1
    assert "3" in done.error


def test_bad_files_are_skipped_with_a_reason_each(command, folder, tmp_path):
    whole = (folder / "ukbench00000.jpg").read_bytes()
    (folder / "zero.jpg").write_bytes(b"")
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 3])
    (folder / "text.jpg").write_text("these are not pixels")
    (folder / "notes.txt").write_text("no image by its name: not even looked at")
    view(1, 2).save(folder / "really.png", format="JPEG")  # wrong extension, good picture
    done = command("build", folder, "-o", tmp_path / "a.cbir", *TINY, "--json")
    assert done.code == 0, done.err
    assert done.json["images"] == {"seen": 16, "indexed": 13, "failed": 3}
    failed = {one["path"]: one["reason"] for one in done.json["failed"]}
    assert set(failed) == {"zero.jpg", "cut.jpg", "text.jpg"} and all(failed.values())
    assert "zero.jpg" in command("info", tmp_path / "a.cbir").out


@pytest.mark.parametrize("recipe", RECIPES)
def test_odd_images_are_indexed_and_found(command, folder, tmp_path, recipe):
    save_odd_images(folder)
    out = tmp_path / "a.cbir"
    done = command("build", folder, "-o", out, *RECIPES[recipe], "--json")
    assert done.code == 0, done.err
    assert done.json["images"]["indexed"] == 16
    for name in ("blank.png", "dot.png", "line.png", "row.png"):
        answer = command("search", out, folder / name, "-k", 16, "--json")
        assert answer.code == 0, answer.err
        results = answer.json["queries"][0]["results"]
        if recipe != "colour" and answer.json["queries"][0]["keypoints"] == 0:
            assert results == [] and "no keypoints" in answer.err
            continue
        assert len(results) == 16
        assert len({one["id"] for one in results}) == 16
        assert all(np.isfinite(one["score"]) for one in results)


def test_only_blank_images(command, tmp_path):
    (tmp_path / "set").mkdir()
    save_odd_images(tmp_path / "set")
    done = command("build", tmp_path / "set", "-o", tmp_path / "a.cbir", *TINY)
    assert done.code == 1  # no descriptor to learn words from
    assert "descriptor" in done.error or "word" in done.error


def test_more_words_than_descriptors(command, folder, tmp_path):
    out = tmp_path / "a.cbir"
    done = command("build", folder, "-o", out, "--set", "vocabulary.n_words=1000000")
    assert done.code == 1
    assert "1000000" in done.error.replace(",", "") and "descriptors" in done.error


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("vocabulary.n_word=5", ["vocabulary.n_word", "n_words"]),
        ("nothing=5", ["nothing"]),
        ("vocabulary.n_words=0", ["vocabulary.n_words", "0"]),
        ("vocabulary.n_words=many", ["vocabulary.n_words", "many"]),
        ("feature.name=surff", ["feature", "surff", "sift"]),
        ("index.metric=hamming", ["index.metric", "hamming", "cosine"]),
        ("index.name=flat", ["flat", "inverted_file"]),
        ("vocabulary.n_words", ["vocabulary.n_words"]),
    ],
)
def test_recipe_key_or_value_that_is_wrong(command, folder, tmp_path, change, words):
    done = command("build", folder, "-o", tmp_path / "a.cbir", "--set", change)
    assert done.code == 1
    for word in words:
        assert word in done.error
    assert not (tmp_path / "a.cbir").exists()


def test_recipe_that_is_not_there(command, folder, tmp_path):
    done = command("build", folder, "-o", tmp_path / "a.cbir", "--recipe", "bovw")
    assert done.code == 1
    assert "bovw" in done.error and "bow" in done.error


def test_another_recipe_than_the_collection_was_built_with(command, folder, tmp_path):
    out = tmp_path / "a.cbir"
    assert command("build", folder, "-o", out, *TINY).code == 0
    before = command("search", out, folder / "ukbench00000.jpg", "--json").out
    done = command("build", folder, "-o", out, "--set", "vocabulary.n_words=32")
    assert done.code == 1
    assert "recipe" in done.error
    assert command("search", out, folder / "ukbench00000.jpg", "--json").out == before


def test_output_that_is_something_else(command, folder, tmp_path):
    (tmp_path / "file").write_text("mine")
    done = command("build", folder, "-o", tmp_path / "file", *TINY)
    assert done.code == 1 and (tmp_path / "file").read_text() == "mine"
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "letter.txt").write_text("mine")
    done = command("build", folder, "-o", tmp_path / "folder", *TINY)
    assert done.code == 1 and (tmp_path / "folder" / "letter.txt").read_text() == "mine"


def test_labels_that_do_not_fit(command, folder, tmp_path):
    out = tmp_path / "a.cbir"
    done = command("build", folder, "-o", out, *TINY, "--labels", tmp_path / "none.csv")
    assert done.code == 1 and "none.csv" in done.error
    done = command("build", folder, "-o", out, *TINY, "--labels", "guess")
    assert done.code == 1 and "guess" in done.error


def test_names_that_are_hard(command, tmp_path):
    folder = tmp_path / "set"
    names = [
        "new\nline.png",
        "tab\there.png",
        "späce and ünïcode 図.png",
        "a/same.png",
        "b/same.png",
    ]
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        view(i, 0).save(folder / name)
    out = tmp_path / "a.cbir"
    assert command("build", folder, "-o", out, "--recipe", "colour").code == 0
    for name in names:
        done = command("search", out, folder / name, "-k", 1, "--json")
        assert done.json["queries"][0]["results"][0]["path"] == name
    plain = command("search", out, folder / names[0], "-k", 5).out
    assert "new\\nline.png" in plain and len(plain.splitlines()) == 7


# ----------------------------------------------------------------------------------------- search


def test_query_that_is_not_an_image(command, built, tmp_path):
    (tmp_path / "query.jpg").write_text("words")
    for query in (tmp_path / "query.jpg", tmp_path / "missing.jpg", tmp_path):
        done = command("search", built, query)
        assert done.code == 1
        assert str(query) in done.error


def test_query_that_is_a_bomb(command, built, tmp_path):
    Image.new("1", (30_000, 30_000)).save(tmp_path / "bomb.png")
    done = command("search", built, tmp_path / "bomb.png")
    assert done.code == 1
    assert "bomb.png" in done.error and "pixels" in done.error


def test_k_above_the_number_of_images(command, built, pictures):
    done = command("search", built, pictures / "ukbench00000.jpg", "-k", 1000, "--json")
    assert done.code == 0
    assert len(done.json["queries"][0]["results"]) == 32


def test_region_outside_the_query(command, built, pictures):
    query = pictures / "ukbench00000.jpg"
    done = command("search", built, query, "--region", "5000,5000,10,10")
    assert done.code == 1
    assert "region" in done.error


def test_montage_of_an_unknown_kind(command, built, pictures, tmp_path):
    query = pictures / "ukbench00000.jpg"
    done = command("search", built, query, "--montage", tmp_path / "out.doc")
    assert done.code == 1
    assert "out.doc" in done.error


# ------------------------------------------------------------------------- a damaged collection


@pytest.mark.parametrize("name", ["search", "evaluate", "info"])
def test_what_is_no_collection(command, tmp_path, name):
    query = [tmp_path / "q.jpg"] if name == "search" else []
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    for path in ("nowhere", "empty", "file"):
        done = command(name, tmp_path / path, *query)
        assert done.code == 1
        assert path in done.error


def files_of(collection):
    """Every file a search reads; the features are read by the next build alone."""
    keep = [p for p in sorted(collection.rglob("*")) if p.is_file()]
    return [
        p for p in keep if p.suffix in (".npy", ".json", ".toml", ".sqlite") or p.name == "CURRENT"
    ]


def test_every_file_missing_cut_or_altered(command, built, pictures, tmp_path):
    """Search either answers as before or says in one line which file is wrong."""
    query = pictures / "ukbench00000.jpg"
    right = command("search", built, query, "-k", 5, "--json").json["queries"]
    assert len(files_of(built)) > 5
    for file in files_of(built):
        for harm in ("missing", "cut", "altered"):
            copy = tmp_path / "copy.cbir"
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(built, copy)
            victim = copy / file.relative_to(built)
            content = victim.read_bytes()
            if harm == "missing":
                victim.unlink()
            elif harm == "cut":
                victim.write_bytes(content[: len(content) // 2])
            else:
                at = len(content) // 2
                victim.write_bytes(content[:at] + bytes([content[at] ^ 0x15]) + content[at + 1 :])
            done = command("search", copy, query, "-k", 5, "--json")
            where = f"{harm} {file.name}: {done.out}{done.err}"
            if done.code == 0:
                assert done.json["queries"] == right, where
            else:
                assert done.code == 1 and done.error, where
                if file.suffix in (".npy", ".json"):
                    assert file.name in done.error, where


def test_a_recipe_that_lies(command, folder, tmp_path):
    out = tmp_path / "a.cbir"
    assert command("build", folder, "-o", out, *TINY).code == 0
    text = (out / "recipe.toml").read_text()
    (out / "recipe.toml").write_text(text.replace("n_words = 64", "n_words = 32"))
    done = command("search", out, folder / "ukbench00000.jpg")
    assert done.code == 1
    assert "recipe" in done.error


def test_a_catalogue_that_lies(command, folder, tmp_path):
    out = tmp_path / "a.cbir"
    assert command("build", folder, "-o", out, *TINY).code == 0
    with sqlite3.connect(out / "catalogue.sqlite") as base:
        (table,) = [
            name
            for (name,) in base.execute("select name from sqlite_master where type='table'")
            if "image" in name
        ]
        base.execute(f"delete from {table} where id = (select max(id) from {table})")
    base.close()
    done = command("search", out, folder / "ukbench00000.jpg", "-k", 12)
    assert done.code == 1
    assert "catalogue" in done.error


# --------------------------------------------------------------------------------------- evaluate


def test_ukbench_needs_four_of_each(command, folder, tmp_path):
    out = tmp_path / "a.cbir"
    assert command("build", folder, "-o", out, *TINY, "--labels", "ukbench").code == 0
    assert command("remove", out, "ukbench00003.jpg").code == 0
    done = command("evaluate", out, "--protocol", "ukbench")
    assert done.code == 1
    assert "4" in done.error
    assert command("evaluate", out, "--protocol", "leave-one-out").code == 0


@pytest.mark.parametrize(
    "content",
    ["", "[", "[]", "{}", '{"queries": []}', '{"queries": [{"query": 3}]}', '{"queris": []}'],
)
def test_a_query_file_that_is_wrong(command, built, tmp_path, content):
    (tmp_path / "q.json").write_text(content)
    done = command("evaluate", built, "--protocol", tmp_path / "q.json")
    assert done.code == 1
    assert "q.json" in done.error


def test_a_query_from_outside_that_is_broken(command, built, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"")
    entry = {"query": "bad.jpg", "relevant": ["ukbench00000.jpg"]}
    (tmp_path / "q.json").write_text(json.dumps({"queries": [entry]}))
    done = command("evaluate", built, "--protocol", tmp_path / "q.json")
    assert done.code == 1
    assert "bad.jpg" in done.error
