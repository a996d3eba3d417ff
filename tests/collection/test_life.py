"""A collection from pictures to answers and through its life."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from cbir.collection import Collection, extraction, scanning, writing
from cbir.errors import ImageError, ParameterError
from cbir.recipe import Recipe
from cbir.types import LocalFeatures
from tests.small import (
    RECIPES,
    content,
    picture,
    settle,
    tree,
    write_picture,
    write_pictures,
)

COLOUR = RECIPES["colour"]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(extraction, "PART_IMAGES", 4)  # ten pictures make three parts


@pytest.fixture
def root(tmp_path):
    folder = write_pictures(tmp_path / "photos")
    settle(folder)
    return folder


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_build_and_search(name, root, tmp_path):
    calls = []
    report = Collection.build(
        root, tmp_path / "c", RECIPES[name], progress=lambda *a: calls.append(a)
    )
    assert (report.seen, report.indexed, report.failed, report.generation) == (10, 10, [], 1)
    assert report.added == 10
    assert report.bytes_per_image > 0
    assert report.peak_memory_bytes > 0
    assert json.loads(report.to_json())["indexed"] == 10
    assert ("scan", 10, 10) in calls
    assert ("features", 10, 10) in calls
    c = Collection.open(tmp_path / "c")
    assert c.ntotal == 10
    np.testing.assert_array_equal(c.ids, np.arange(10))
    assert c.recipe == RECIPES[name]
    for i in (0, 7):
        file = c.image_path(i)
        for query in (file, str(file), file.read_bytes(), np.asarray(Image.open(file))):
            D, I = c.search(query, 3)
            assert (D.shape, I.shape, D.dtype, I.dtype) == ((1, 3), (1, 3), np.float32, np.int64)
            assert I[0, 0] == i
    stored = c.search_ids(c.ids, 10)
    assert stored.I.shape == (10, 10)
    np.testing.assert_array_equal(stored.I[:, 0], np.arange(10))
    D, I = c.search(file, 14)
    assert (I[0, 10:] == -1).all()
    assert c.paths(I[0, -1:]) == [""]
    assert c.search(file, 3, region=(0, 0, 40, 40)).I.shape == (1, 3)
    assert len(c.features(3)) > 0
    assert isinstance(c.features(3), LocalFeatures) == (name != "colour")
    json.dumps(c.info())
    assert c.info()["images"] == {"indexed": 10, "failed": 0, "removed": 0}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_same_bytes_for_any_number_of_threads(name, root, tmp_path):
    Collection.build(root, tmp_path / "a", RECIPES[name], n_threads=1)
    Collection.build(root, tmp_path / "b", RECIPES[name], n_threads=4)
    assert content(tmp_path / "a") == content(tmp_path / "b")


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_unchanged_build_does_nothing(name, root, tmp_path, monkeypatch):
    path = tmp_path / "c"
    Collection.build(root, path, RECIPES[name])
    before = {p: p.stat().st_mtime_ns for p in path.rglob("*") if p.name != "lock"}
    monkeypatch.setattr(writing, "extract", None)  # would fail if called
    monkeypatch.setattr(scanning, "hash_file", None)
    report = Collection.build(root, path, RECIPES[name])
    assert (report.generation, report.added, report.indexed) == (1, 0, 10)
    assert before == {p: p.stat().st_mtime_ns for p in path.rglob("*") if p.name != "lock"}


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_changes_are_picked_up_by_content(name, root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, RECIPES[name])
    opened = Collection.open(path)
    (root / "a/001.png").unlink()
    write_picture(root / "a/003.png", 103)
    write_picture(root / "c/new.png", 200)
    (root / "a/005.png").touch()
    report = Collection.build(root, path, RECIPES[name], prune=True)
    assert (report.seen, report.indexed, report.added, report.removed) == (10, 10, 2, 2)
    assert opened.ntotal == 10  # the old generation is still whole
    assert opened.search(root / "a/005.png", 1).I[0, 0] in opened.ids
    assert len(opened.features(3)) > 0
    assert opened.refresh()
    assert not opened.refresh()
    gone = {"a/001.png", "a/003.png"}
    assert set(opened.ids) == {*range(10), 10, 11} - {
        i for i in range(10) if opened.paths([i])[0] in gone and i < 10
    }
    for new in ("a/003.png", "c/new.png"):
        i = opened.search(root / new, 1).I[0, 0]
        assert opened.paths([i]) == [new]
        assert i >= 10
        assert opened.find([new, "nowhere"]).tolist() == [i, -1]
    assert opened.info()["images"]["removed"] == 2
    for seed in (300, 301):
        write_picture(root / "c/new.png", seed)
        Collection.build(root, path, RECIPES[name])
    assert Collection.open(path).ntotal == 10
    assert Collection.check(path).problems == []


def test_add_remove_update(root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, COLOUR)
    c = Collection.open(path)
    write_picture(tmp_path / "elsewhere/x.png", 50)
    write_picture(root / "a/late.png", 51)
    report = c.add([tmp_path / "elsewhere/x.png", root / "a/late.png"])
    assert (report.added, c.ntotal) == (2, 12)
    assert c.paths([11]) == ["a/late.png"]
    assert c.image_path(10) == tmp_path / "elsewhere/x.png"
    assert c.search(tmp_path / "elsewhere/x.png", 1).I[0, 0] == 10
    assert c.add(tmp_path / "elsewhere").added == 0
    c.remove([0, 10])
    assert c.ntotal == 10
    assert 0 not in c.ids
    assert 10 not in c.search(tmp_path / "elsewhere/x.png", 12).I
    for bad in ([0], [99]):
        with pytest.raises(ParameterError, match=f"no image {bad[0]}"):
            c.remove(bad)
    report = c.update()  # the file of image 0 is still in the folder: a new id, never the old one
    assert (report.added, c.ntotal) == (1, 11)
    assert c.ids.max() == 12
    assert c.paths([12]) == c.paths([0])
    with pytest.raises(ParameterError, match="image 0 is not in the index"):
        c.search_ids([0], 2)
    twice = c.search_ids([3, 3, 1], 2)
    np.testing.assert_array_equal(twice.I[:, 0], [3, 3, 1])
    c.remove(c.ids)
    assert c.ntotal == 0
    assert len(c.ids) == 0
    assert (c.search(root / "a/001.png", 2).I == -1).all()
    assert Collection.check(path).ok


def test_labels(root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, COLOUR)
    assert Collection.open(path).labels([0]) == [None]
    Collection.build(root, path, COLOUR, labels="folders")
    c = Collection.open(path)
    assert c.generation == 2
    assert sorted(set(c.label_array)) == ["a", "b ü"]
    assert len(list((path / "index/main").iterdir())) == 1  # the index did not change
    assert c.labels([0, -1]) == [c.paths([0])[0].split("/")[0], None]


def test_broken_pictures_are_recorded_and_skipped(root, tmp_path):
    whole = (root / "a/001.png").read_bytes()
    broken = {"cut.png": whole[:200], "empty.jpg": b"", "text.jpg": b"not a picture"}
    for name, data in broken.items():
        (root / name).write_bytes(data)
    (root / "dangling.png").symlink_to(root / "nowhere.png")
    path = tmp_path / "c"
    report = Collection.build(root, path, COLOUR)
    assert report.indexed == 10
    failed = dict(report.failed)
    assert set(broken) <= set(failed)
    assert all(failed.values())
    c = Collection.open(path)
    assert dict(c.failed) == failed
    assert c.ntotal == 10
    again = Collection.build(root, path, COLOUR)
    assert (again.generation, again.failed) == (1, report.failed)
    with pytest.raises(ImageError, match=r"cut\.png"):
        Collection.build(root, path, COLOUR, strict=True)
    with pytest.raises(ImageError, match=r"cut\.png"):
        Collection.build(root, tmp_path / "d", COLOUR, strict=True)
    write_picture(root / "cut.png", 77)
    assert Collection.build(root, path, COLOUR).indexed == 11


@pytest.mark.parametrize("name", sorted(RECIPES))
def test_blank_picture_has_a_defined_rank(name, root, tmp_path):
    Image.new("RGB", (50, 40), "white").save(root / "blank.png")
    Image.new("RGB", (1, 1)).save(root / "dot.png")
    Collection.build(root, tmp_path / "c", RECIPES[name])
    c = Collection.open(tmp_path / "c")
    assert c.ntotal == 12
    D, I = c.search(root / "blank.png", 12)
    assert np.isfinite(D).all()
    assert set(I[0]) == set(range(12))
    if name != "colour":  # similarity 0 to all: by id
        np.testing.assert_array_equal(I[0], np.arange(12))
    assert c.search(root / "a/001.png", 12).I.shape == (1, 12)


def test_nothing_to_build_from(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ParameterError, match="holds no pictures"):
        Collection.build(tmp_path / "empty", tmp_path / "c", COLOUR)
    with pytest.raises(ParameterError, match="no such folder"):
        Collection.build(tmp_path / "nowhere", tmp_path / "c", COLOUR)
    for i in range(7):
        (tmp_path / "empty" / f"{i}.jpg").write_bytes(b"x")
    with pytest.raises(ImageError, match=r"none of the 7 pictures.*0\.jpg.*and 2 more"):
        Collection.build(tmp_path / "empty", tmp_path / "c", COLOUR)
    write_picture(tmp_path / "empty/8.png", 1)
    assert Collection.build(tmp_path / "empty", tmp_path / "c", COLOUR).indexed == 1
    Collection.build(tmp_path / "empty", tmp_path / "d", COLOUR)
    assert content(tmp_path / "c") == content(tmp_path / "d")


def test_a_folder_that_became_empty_loses_nothing(root, tmp_path):
    Collection.build(root, tmp_path / "c", COLOUR)
    shutil.rmtree(root)
    root.mkdir()
    with pytest.raises(ParameterError, match="holds no pictures"):
        Collection.build(root, tmp_path / "c", COLOUR)
    assert Collection.open(tmp_path / "c").ntotal == 10


def test_another_recipe_or_folder_is_refused(root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, COLOUR)
    before = tree(path)
    other = Recipe.load(COLOUR, ["feature.grid=2"])
    with pytest.raises(ParameterError, match=r"another recipe.*feature\.grid=2 instead of 1"):
        Collection.build(root, path, other)
    with pytest.raises(ParameterError, match="was built from"):
        Collection.build(write_pictures(tmp_path / "other", 3), path, COLOUR)
    assert tree(path) == before
    Collection.build(root, path, Recipe.load(COLOUR, ["name=renamed"]))


def test_too_few_descriptors_then_cured_in_the_same_folder(root, tmp_path):
    many = Recipe.load("bow", ["vocabulary.n_words=20000"])
    with pytest.raises(ParameterError, match=r"--set vocabulary\.n_words="):
        Collection.build(root, tmp_path / "c", many)
    Collection.build(root, tmp_path / "c", RECIPES["bow"])
    Collection.build(root, tmp_path / "d", RECIPES["bow"])
    assert content(tmp_path / "c") == content(tmp_path / "d")


def test_pictures_are_found_after_both_moved(root, tmp_path):
    Collection.build(root, tmp_path / "c", COLOUR)
    (tmp_path / "new").mkdir()
    root.rename(tmp_path / "new/photos")
    (tmp_path / "c").rename(tmp_path / "new/c")
    c = Collection.open(tmp_path / "new/c")
    assert c.image_path(0).is_file()
    assert c.update().added == 0


def test_a_collection_built_anew_under_an_open_one(root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, RECIPES["vlad"])
    c = Collection.open(path)
    shutil.rmtree(path)
    for i in range(3):
        write_picture(root / f"{i}.png", 70 + i)
    Collection.build(root, path, RECIPES["vlad"])
    assert c.ntotal == 10
    with pytest.raises(ParameterError, match=r"built anew since it was opened.*open it again"):
        c.add(root / "a/001.png")
    assert c.refresh()
    assert c.ntotal == 13
    expected = Collection.open(path).search(picture(1), 5)
    np.testing.assert_array_equal(c.search(picture(1), 5).D, expected.D)
    assert c.add(root / "a/001.png").added == 0


def test_searches_from_many_threads_while_it_changes(root, tmp_path):
    Collection.build(root, tmp_path / "c", RECIPES["bow"])
    c = Collection.open(tmp_path / "c")
    queries = [picture(i) for i in range(10)]
    expected = [c.search(q, 3).I[0, 0] for q in queries]
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(c.search, q, 3) for q in queries * 4]
        write_picture(tmp_path / "x.png", 90)
        c.add(tmp_path / "x.png")
        for answer, i in zip(answers, expected * 4, strict=True):
            assert answer.result().I[0, 0] == i
    assert c.ntotal == 11


def test_bad_queries(root, tmp_path):
    Collection.build(root, tmp_path / "c", COLOUR)
    c = Collection.open(tmp_path / "c")
    with pytest.raises(ImageError, match=r"nowhere\.png"):
        c.search(root / "nowhere.png", 3)
    with pytest.raises(ImageError):
        c.search(b"", 3)
    with pytest.raises(ParameterError, match="k=0"):
        c.search(root / "a/001.png", 0)
    with pytest.raises(ParameterError, match="no image 55"):
        c.paths([55])
