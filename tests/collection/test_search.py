"""What a collection answers: several channels, filters, regions, stored features, compaction."""

import numpy as np
import pytest
from PIL import Image

from cbir.collection import Collection, extraction, indexing, writing
from cbir.errors import ParameterError
from cbir.pipeline import ArrayDatabase
from cbir.recipe import Recipe
from cbir.types import LocalFeatures
from tests.small import RECIPES, picture, settle, write_picture, write_pictures

COLOUR = RECIPES["colour"]
TWO = Recipe.load(
    "bow-colour",
    [
        "channels.bow.vocabulary.n_words=16",
        "channels.bow.vocabulary.n_iter=3",
        "channels.colour.feature.bins=[4, 4, 4]",
    ],
)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch):
    monkeypatch.setattr(extraction, "PART_IMAGES", 4)


@pytest.fixture
def root(tmp_path):
    folder = write_pictures(tmp_path / "photos")
    settle(folder)
    return folder


@pytest.fixture
def more(tmp_path):
    return [_written(tmp_path / f"more/{i}.png", 40 + i) for i in range(6)]


def _written(path, seed):
    write_picture(path, seed)
    return path


def assert_same(a, b):
    np.testing.assert_array_equal(a.I, b.I)
    np.testing.assert_array_equal(a.D, b.D)


def test_two_channels_share_a_life(root, tmp_path, more):
    path = tmp_path / "c"
    Collection.build(root, path, TWO)
    c = Collection.open(path)
    c.add(more)
    c.remove([2, 11])
    assert Collection.check(path).problems == []
    assert sorted(p.name for p in (path / "index").iterdir()) == ["bow", "colour"]
    assert len(list((path / "features").iterdir())) == 2
    info = c.info()
    assert set(info["channels"]) == {"bow", "colour"}
    assert "index" not in info
    for i in (0, 12):
        assert c.search(c.image_path(i), 1).I[0, 0] == i
    stored = c.search_ids([0, 12, 0], 3)
    np.testing.assert_array_equal(stored.I[:, 0], [0, 12, 0])
    assert isinstance(c.features(3, "bow"), LocalFeatures)
    assert c.features(3, "colour").shape == (64,)
    with pytest.raises(ParameterError, match="name a channel: bow, colour"):
        c.features(3)
    with pytest.raises(ParameterError, match="no channel 'red'"):
        c.features(3, "red")


def test_a_later_build_may_change_how_answers_are_made(root, tmp_path):
    path = tmp_path / "c"
    Collection.build(root, path, TWO)
    c = Collection.open(path)
    before = c.search(picture(3), 5)
    files = {p: p.stat().st_mtime_ns for p in path.rglob("*.npy")}
    other = Recipe.load(TWO, ["fusion.weights.colour=3.0"])
    assert Collection.build(root, path, other).added == 0
    assert files == {p: p.stat().st_mtime_ns for p in path.rglob("*.npy")}
    assert_same(c.search(picture(3), 5), before)
    assert c.refresh()
    assert c.recipe.fusion.weights["colour"] == 3.0
    assert (c.search(picture(3), 5).D > before.D).all()
    assert_same(Collection.open(path).search(picture(3), 5), c.search(picture(3), 5))
    assert Collection.check(path).problems == []
    assert c.add(root / "a/001.png").added == 0


@pytest.mark.parametrize("killed_in", ["write", "second"])
def test_killed_while_the_recipe_changes(killed_in, root, tmp_path, monkeypatch):
    path = tmp_path / "c"
    Collection.build(root, path, TWO)
    other = Recipe.load(TWO, ["fusion.weights.colour=3.0"])
    real, calls = writing.Publication, []

    def die(*args):
        raise KeyboardInterrupt

    def publication(file):
        calls.append(file)
        return real(file) if len(calls) == 1 else die()

    with monkeypatch.context() as m:
        if killed_in == "write":
            m.setattr(writing, "atomic_write", die)
        else:
            m.setattr(writing, "Publication", publication)
        with pytest.raises(KeyboardInterrupt):
            Collection.build(root, path, other)
    c = Collection.open(path)
    assert c.recipe.fusion.weights["colour"] == (3.0 if killed_in == "second" else 0.25)
    assert Collection.check(path).problems == []
    Collection.build(root, path, other)
    assert Collection.open(path).recipe.fusion.weights["colour"] == 3.0
    Collection.build(root, path, TWO)
    assert Collection.open(path).recipe == TWO


def test_channels_of_one_feature_store_it_once(root, tmp_path):
    tables = {name: RECIPES[name].to_dict() for name in ("bow", "vlad")}
    slots = ("vocabulary", "aggregation", "index")
    channels = {name: {slot: tables[name][slot] for slot in slots} for name in tables}
    for channel in channels.values():
        channel["feature"] = tables["bow"]["feature"]
    recipe = Recipe.from_dict({"name": "both", "channels": channels})
    Collection.build(root, tmp_path / "c", recipe)
    assert len(list((tmp_path / "c/features").iterdir())) == 1
    assert Collection.check(tmp_path / "c").problems == []


@pytest.mark.parametrize("recipe", [*RECIPES.values(), TWO], ids=lambda r: r.name)
def test_segments_answer_like_arrays_in_memory(recipe, root, tmp_path, more, monkeypatch):
    monkeypatch.setattr(indexing, "RATIO", 1)  # more segments
    Collection.build(root, tmp_path / "c", recipe)
    c = Collection.open(tmp_path / "c")
    c.add(more[:4])
    c.add(more[4:])
    c.remove([1, 10, 15])
    name = next(iter(c.pipeline.channels))
    assert len(c.database.catalogue.segments(name)) > 1
    indexes = {}
    for name, channel in c.pipeline.channels.items():
        indexes[name] = channel.new_index()
        indexes[name].add(c.vectors(c.ids, name), ids=c.ids)
    expected = c.pipeline.answer(c.describe(picture(3)), 20, ArrayDatabase(indexes))
    assert_same(c.search(picture(3), 20), expected)
    c.compact()
    assert_same(c.search(picture(3), 20), expected)
    assert_same(Collection.open(tmp_path / "c").search(picture(3), 20), expected)


def test_filters(root, tmp_path):
    Collection.build(root, tmp_path / "c", COLOUR)
    c = Collection.open(tmp_path / "c")
    whole = c.search(picture(4), 10)
    order = whole.I[0]
    some = order[[1, 4, 7]]
    found = c.search(picture(4), 5, allowed=some)
    np.testing.assert_array_equal(found.I[0], [*some, -1, -1])
    mask = np.zeros(10, np.bool_)
    mask[some] = True
    assert_same(c.search(picture(4), 5, allowed=mask), found)
    out = c.search(picture(4), 3, exclude=order[[0, 2]])
    np.testing.assert_array_equal(out.I[0], order[[1, 3, 4]])
    np.testing.assert_array_equal(out.D[0], whole.D[0, [1, 3, 4]])
    out = c.search(picture(4), 10, exclude=order[:4])
    np.testing.assert_array_equal(out.I[0], [*order[4:], -1, -1, -1, -1])
    assert np.isinf(out.D[0, 6:]).all()
    ids = c.search_ids([0, 5], 2, exclude=[0])
    assert ids.I[1, 0] == 5
    assert 0 not in ids.I


def test_regions_are_in_the_query_s_own_pixels(root, tmp_path):
    recipe = Recipe.load(COLOUR, ["image.max_side=48"])  # pictures are 104 x 96
    Collection.build(root, tmp_path / "c", recipe)
    c = Collection.open(tmp_path / "c")
    wide = np.concatenate([picture(50), picture(3)], axis=1)
    assert c.search(wide, 1, region=(104, 0, 104, 96)).I[0, 0] == c.search(picture(3), 1).I[0, 0]
    with pytest.raises(ParameterError, match="208 x 96"):
        c.search(wide, 1, region=(208, 0, 10, 10))


def test_a_described_query_is_searched(root, tmp_path):
    Collection.build(root, tmp_path / "c", RECIPES["bow"])
    c = Collection.open(tmp_path / "c")
    query = c.describe(root / "a/001.png")
    assert query.n_keypoints > 0
    assert_same(c.search(query, 5), c.search(root / "a/001.png", 5))
    assert c.describe(np.full((50, 50, 3), 9, np.uint8)).n_keypoints == 0
    with pytest.raises(ParameterError, match="give the region to describe"):
        c.search(query, 5, region=(0, 0, 9, 9))
    with pytest.raises(ParameterError, match="nprobe"):
        c.search(query, 5, nprobe=3)


def test_compaction_frees_what_was_removed(root, tmp_path, more):
    path = tmp_path / "c"
    Collection.build(root, path, RECIPES["vlad"])
    c = Collection.open(path)
    c.add(more)
    old = Collection.open(path)
    c.remove([0, 1, 2, 3, 9, 12])
    features = {i: c.features(i).descriptors for i in c.ids.tolist()}
    before = c.info()["bytes"]
    expected = c.search(picture(5), 12)
    report = c.compact()
    after = c.info()["bytes"]
    assert report.freed_bytes > 0
    assert before["features"] - after["features"] + before["index"] - after["index"] >= (
        report.freed_bytes
    )
    assert [p.name for p in (path / "index/main").iterdir()] == ["segment-000003"]
    assert_same(c.search(picture(5), 12), expected)
    for i, descriptors in features.items():
        np.testing.assert_array_equal(c.features(i).descriptors, descriptors)
    assert Collection.check(path).problems == []
    assert (c.compact().generation, c.compact().freed_bytes) == (c.generation, 0)
    # Whoever has the generation before open goes on; of what is gone only the features are.
    assert old.search(picture(0), 1).I[0, 0] in old.ids
    assert old.paths([0]) == ["a/001.png"]
    with pytest.raises(ParameterError, match="image 0 has no features"):
        old.features(0)
    # A picture that comes back is described again.
    assert c.update().added == 5
    assert Collection.check(path).problems == []


def test_compaction_joins_small_parts(root, tmp_path, more):
    path = tmp_path / "c"
    Collection.build(root, path, TWO)
    c = Collection.open(path)
    for one in more:
        c.add(one)
    before = [c.features(i, "colour") for i in c.ids.tolist()]
    assert len(list(path.glob("features/*/part-*"))) == 2 * (3 + 6)
    c.compact()
    assert len(list(path.glob("features/*/part-*"))) == 2 * (3 + 2)
    np.testing.assert_array_equal([c.features(i, "colour") for i in c.ids.tolist()], before)
    generation = c.generation
    c.compact()
    assert c.generation == generation
    assert Collection.check(path).problems == []


def test_stored_features_are_read_row_by_row(root, tmp_path, monkeypatch):
    from cbir.store import FeaturePart

    Collection.build(root, tmp_path / "c", RECIPES["bow"])
    c = Collection.open(tmp_path / "c")
    monkeypatch.setattr(FeaturePart, "read", None)
    many = c.database.features([7, 2, 7], "main")
    for i, one in zip((7, 2, 7), many, strict=True):
        expected = c.pipeline.features_of(np.asarray(Image.open(c.image_path(i))))
        (expected,) = expected.values()
        np.testing.assert_array_equal(one.descriptors, expected.descriptors)
        np.testing.assert_array_equal(one.keypoints, expected.keypoints)


def test_a_feature_that_takes_many_pictures_at_once(root, tmp_path, monkeypatch):
    from cbir.features import ColourHistogram

    Collection.build(root, tmp_path / "one", COLOUR)
    sizes = []

    def batch(self, images):
        sizes.append(len(images))
        if any(image.shape[0] == 33 for image in images) and len(images) > 1:
            raise MemoryError("one of them is too much")
        if images[0].shape[0] == 33:
            raise ValueError("this one")
        return [self.extract(image) for image in images]

    monkeypatch.setattr(ColourHistogram, "batch_size", 4)
    monkeypatch.setattr(ColourHistogram, "extract_batch", batch)
    for n_threads in (1, 3):
        path = tmp_path / f"many{n_threads}"
        Collection.build(root, path, COLOUR, n_threads=n_threads)
        assert sizes == [4, 4, 2]
        assert Collection.check(path).digest == Collection.check(tmp_path / "one").digest
        del sizes[:]
    Image.fromarray(picture(60)[:33]).save(root / "a/000.png")
    report = Collection.build(root, tmp_path / "bad", COLOUR)
    assert report.failed == [("a/000.png", "this one")]
    assert report.indexed == 10


def test_opencv_is_left_as_it_was(root, tmp_path):
    import cv2

    before = cv2.getNumThreads()
    Collection.build(root, tmp_path / "c", RECIPES["bow"], n_threads=2)
    assert cv2.getNumThreads() == before
