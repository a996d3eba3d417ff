"""A recipe made alive: describe, answer, regions in the picture's own pixels, files, toys."""

import io
import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from cbir.errors import DimensionError, DTypeError, FormatError, NotTrainedError, ParameterError
from cbir.features import ColourHistogram, Sift
from cbir.images import resize
from cbir.pipeline import ArrayDatabase, Picture, Pipeline, Query, one_opencv_thread
from cbir.pipeline.query import in_image
from cbir.recipe import Recipe
from cbir.rerank import Original
from cbir.types import LocalFeatures
from tests.pipeline.toys import BLANK, PICTURES, RECIPES, Learner, dense, fitted, picture, register


@pytest.fixture(scope="module", params=sorted(RECIPES))
def made(request):
    """Fitted pipeline, what its features said of the pictures, and a database of them."""
    pipeline, described = fitted(Pipeline(RECIPES[request.param]))
    return pipeline, described, database_of(pipeline, described)


def database_of(pipeline, described):
    rows = pipeline.query(described).vectors
    indexes = {}
    for name, channel in pipeline.channels.items():
        indexes[name] = channel.new_index()
        indexes[name].add(rows[name])
    features = {
        name: [one[channel.feature_hash] for one in described]
        for name, channel in pipeline.channels.items()
    }
    return ArrayDatabase(indexes, features=features)


def bytes_of(query):
    return {name: dense(rows).tobytes() for name, rows in query.vectors.items()}


def test_every_picture_finds_itself(made):
    pipeline, _, database = made
    for i, image in enumerate(PICTURES):
        assert pipeline.answer(pipeline.describe(image), 3, database).I[0, 0] == i


def test_many_rows_at_once_are_the_rows_one_by_one(made):
    pipeline, described, database = made
    together = pipeline.answer(pipeline.query_of(pipeline.query(described).vectors), 5, database)
    for i, image in enumerate(PICTURES):
        one = pipeline.answer(pipeline.describe(image), 5, database)
        np.testing.assert_array_equal(one.I[0], together.I[i])
        np.testing.assert_array_equal(one.D[0], together.D[i])


def test_answer_for_k_is_a_prefix_and_d_is_monotone(made):
    pipeline, _, database = made
    query = pipeline.describe(PICTURES[2])
    longest = pipeline.answer(query, 15, database)
    assert (longest.I[0, 10:] == -1).all()
    sign = 1 if pipeline.ascending else -1
    assert (np.diff(sign * longest.D[0, :10]) >= 0).all()
    for k in range(1, 15):
        found = pipeline.answer(query, k, database)
        np.testing.assert_array_equal(found.I, longest.I[:, :k])
        np.testing.assert_array_equal(found.D, longest.D[:, :k])


def test_save_load(made, tmp_path):
    pipeline, _, _ = made
    pipeline.save(tmp_path, {"x": 1})
    assert {path.name for path in tmp_path.iterdir()} == set(pipeline.channels)
    back = Pipeline.load(tmp_path, pipeline.recipe)
    assert back.is_fitted
    assert bytes_of(back.describe(PICTURES[1])) == bytes_of(pipeline.describe(PICTURES[1]))
    assert Pipeline.facts(tmp_path) == {"x": 1}
    with pytest.raises(FormatError, match="another recipe"):
        Pipeline.load(tmp_path, Recipe.load(pipeline.recipe, ["seed=9"]))
    with pytest.raises(FormatError):
        Pipeline.load(tmp_path / "none", pipeline.recipe)
    with pytest.raises(FormatError, match="no model"):
        Pipeline.facts(tmp_path / "none")


def test_search_knobs_and_fusion_may_change_under_a_stored_model(tmp_path):
    pipeline, _ = fitted(Pipeline(RECIPES["bow-colour"]))
    pipeline.save(tmp_path)
    changed = [
        "fusion.weights.colour=2",
        "fusion.depth=7",
        'rerank=[{name="original",channel="bow"}]',
    ]
    Pipeline.load(tmp_path, Recipe.load(RECIPES["bow-colour"], changed))


def test_channels_of_different_models_are_noticed(tmp_path):
    pipeline, _ = fitted(Pipeline(RECIPES["bow-colour"]))
    pipeline.save(tmp_path, {"parts": "a"})
    manifest = tmp_path / "bow" / "channel" / "manifest.json"
    text = json.loads(manifest.read_text())
    text["params"]["parts"] = "b"
    manifest.write_text(json.dumps(text))
    with pytest.raises(FormatError, match="different"):
        Pipeline.facts(tmp_path)


def test_not_fitted():
    pipeline = Pipeline(RECIPES["bow"])
    assert not pipeline.is_fitted
    with pytest.raises(NotTrainedError, match="fit"):
        pipeline.describe(BLANK)


# ---- decoding, regions, keypoints


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "png")
    return file.getvalue()


def test_decode_knows_the_size_before_it_was_shrunk():
    pipeline = Pipeline(Recipe.load(RECIPES["bow"], ["image.max_side=32"]))
    big = picture(0, size=300)
    for source in (big, png(big)):
        decoded = pipeline.decode(source)
        assert decoded.image.shape == (31, 32, 3)
        assert (decoded.width, decoded.height) == (308, 300)
        np.testing.assert_array_equal(decoded.image, resize(big, 32))
    whole = Pipeline(RECIPES["colour"]).decode(png(big))
    np.testing.assert_array_equal(whole.image, big)


def test_region_is_in_the_pictures_own_pixels():
    """It was counted after shrinking: 700,500,500,400 lay outside a picture of 1280 x 960."""
    recipe = Recipe.load(RECIPES["colour"], ["image.max_side=640"])
    pipeline, _ = fitted(Pipeline(recipe))
    big = picture(1, size=960)[:, :960].repeat(2, axis=1)[:, :1280]
    region = (700, 500, 500, 400)
    for source in (big, png(big)):
        found = pipeline.describe(pipeline.decode(source), region)
        small = resize(big, 640)
        np.testing.assert_array_equal(
            found.vectors["main"][0],
            ColourHistogram(bins=(4, 4, 4)).describe(small, (350, 250, 250, 200)),
        )
        np.testing.assert_array_equal(
            pipeline.describe(source if source is big else pipeline.decode(source), region).vectors[
                "main"
            ],
            found.vectors["main"],
        )


@given(
    st.integers(1, 4000),
    st.integers(1, 3000),
    st.integers(1, 700),
    st.tuples(*[st.floats(-100, 5000)] * 2, *[st.floats(0.01, 5000)] * 2),
)
def test_region_covers_what_it_covered(width, height, side, region):
    """Rounded outward, cut to the picture, never empty: every pixel it touches is in it."""
    longest = max(width, height)
    scale = min(1.0, side / longest)
    w, h = max(1, round(width * scale)), max(1, round(height * scale))
    shown = Picture(np.zeros((h, w, 3), np.uint8), width, height)
    x, y, rw, rh = region
    if x >= width or y >= height or x + rw <= 0 or y + rh <= 0:
        with pytest.raises(ParameterError, match=f"{width} x {height}"):
            in_image(region, shown)
        return
    left, top, cw, ch = in_image(region, shown)
    assert min(left, top) >= 0
    assert min(cw, ch) >= 1
    assert left + cw <= w
    assert top + ch <= h
    slack = 1e-9 * longest
    assert left <= max(x, 0) * w / width + slack
    assert left + cw >= min(x + rw, width) * w / width - slack
    assert left > max(x, 0) * w / width - 1 - slack
    assert left + cw < min(x + rw, width) * w / width + 1 + slack


def test_whole_numbers_stay_what_they_are():
    shown = Picture(np.zeros((480, 640, 3), np.uint8), 640, 480)
    assert in_image((10, 20, 30, 40), shown) == (10, 20, 30, 40)
    shown = Picture(np.zeros((77, 100, 3), np.uint8), 1000, 770)
    assert in_image((30, 70, 10, 140), shown) == (3, 7, 1, 14)
    assert in_image((-50, -50, 5000, 5000), shown) == (0, 0, 100, 77)


@pytest.mark.parametrize("region", [(0, 0, 5), 7, "abcd", (0, 0, np.nan, 5), (0, 0, np.inf, 2)])
def test_no_region(region):
    pipeline, _ = fitted(Pipeline(RECIPES["colour"]))
    with pytest.raises(ParameterError, match="region="):
        pipeline.describe(PICTURES[0], region)


def test_region_describes_less(made):
    pipeline, _, _ = made
    assert bytes_of(pipeline.describe(PICTURES[0])) != bytes_of(
        pipeline.describe(PICTURES[0], (0, 0, 50, 50))
    )


def test_what_is_no_picture():
    pipeline, _ = fitted(Pipeline(RECIPES["bow"]))
    with pytest.raises(DTypeError):
        pipeline.describe(PICTURES[0] / 255)
    with pytest.raises(DimensionError):
        pipeline.describe(PICTURES[0][..., 0])


def test_query_says_how_many_keypoints(made):
    pipeline, _, database = made
    query = pipeline.describe(PICTURES[0])
    blank = pipeline.describe(BLANK)
    local = [x for x in query.features.values() if isinstance(x, LocalFeatures)]
    if not local:
        assert query.n_keypoints is None
        return
    assert query.n_keypoints == len(local[0]) > 10
    assert blank.n_keypoints == 0
    assert len(blank) == 1
    for name, channel in pipeline.channels.items():
        if isinstance(channel.feature, Sift):
            assert not dense(blank.vectors[name]).any()
            assert not database.index(name).search(blank.vectors[name], 3).D.any()


def test_features_are_made_once():
    pipeline = Pipeline(RECIPES["bow-colour"])
    assert set(pipeline.features) == {c.feature_hash for c in pipeline.channels.values()}
    described = pipeline.features_of(PICTURES[0])
    for name, key in ((n, c.feature_hash) for n, c in pipeline.channels.items()):
        expected = pipeline.channels[name].feature.describe(PICTURES[0])
        one, other = (getattr(x, "descriptors", x) for x in (described[key], expected))
        np.testing.assert_array_equal(one, other)


def test_query_of_wants_every_channel():
    pipeline, described = fitted(Pipeline(RECIPES["bow-colour"]))
    rows = pipeline.query(described).vectors
    assert len(pipeline.query_of(rows)) == len(PICTURES)
    with pytest.raises(ParameterError, match="bow, colour"):
        pipeline.query_of({"bow": rows["bow"]})
    with pytest.raises(ParameterError, match="'colour': 1"):
        pipeline.query_of({"bow": rows["bow"], "colour": rows["colour"][:1]})


# ---- answers: knobs, allowed, direction, re-ranking


def test_fused_scores_are_the_sum(made):
    pipeline, _, database = made
    query = pipeline.describe(PICTURES[3])
    found = pipeline.answer(query, 10, database)
    if len(pipeline.channels) == 1:
        expected = database.index("main").search(query.vectors["main"], 10)
        np.testing.assert_array_equal(found.D, expected.D)
        np.testing.assert_array_equal(found.I, expected.I)
        return
    total = sum(
        pipeline.recipe.fusion.weights[name] * database.index(name).score(rows, found.I[0])
        for name, rows in query.vectors.items()
    )
    np.testing.assert_allclose(found.D, total, rtol=1e-6)


def test_allowed(made):
    pipeline, _, database = made
    found = pipeline.answer(pipeline.describe(PICTURES[3]), 10, database, allowed=[2, 5])
    assert sorted(found.I[0, :2].tolist()) == [2, 5]
    assert (found.I[0, 2:] == -1).all()


def test_knobs_go_to_the_index_that_has_them(monkeypatch):
    register(monkeypatch)
    tables = RECIPES["bow-colour"].to_dict()
    tables["channels"]["toy"] = {
        "feature": {"name": "means"},
        "index": {"name": "learner", "search": {"effort": 3}},
    }
    del tables["fusion"]
    pipeline, described = fitted(Pipeline(Recipe.from_dict(tables)))
    database = database_of(pipeline, described)
    query = pipeline.describe(PICTURES[0])
    pipeline.answer(query, 3, database)
    pipeline.answer(query, 3, database, effort=9)
    assert Learner.searched == [3, 9]
    with pytest.raises(ParameterError, match=r"'nprobe' is no search knob .* there is effort"):
        pipeline.answer(query, 3, database, nprobe=4)


def test_unknown_knob(made):
    pipeline, _, database = made
    with pytest.raises(ParameterError, match="'nprobe' is no search knob"):
        pipeline.answer(pipeline.describe(PICTURES[0]), 3, database, nprobe=4)


@pytest.mark.parametrize(
    ("name", "changes", "ascending"),
    [
        ("colour", [], False),
        ("colour", ["index.metric=l2"], True),
        ("bow", ["index.metric=l1"], True),
        ("bow-colour", ["channels.colour.index.metric=l2"], False),
        ("colour", ["index.metric=l2", 'rerank=[{name="original"}]'], True),
        (
            "bow-colour",
            ["channels.colour.index.metric=l2", 'rerank=[{name="original",channel="colour"}]'],
            True,
        ),
    ],
)
def test_ascending_says_which_way_d_goes(name, changes, ascending):
    pipeline, described = fitted(Pipeline(Recipe.load(RECIPES[name], changes)))
    assert pipeline.ascending is ascending
    found = pipeline.answer(pipeline.describe(PICTURES[4]), 12, database_of(pipeline, described))
    steps = np.diff(found.D[0, :10])
    assert (steps >= 0).all() if ascending else (steps <= 0).all()
    assert (found.D[0, 10:] == (np.inf if ascending else -np.inf)).all()
    assert found.I[0, 0] == 4


def test_reranking_the_best_few_of_a_fused_list():
    """Whatever k: the same three are looked at again, and the rest keeps its order behind them."""
    changes = ['rerank=[{name="original",channel="colour",depth=3}]', "fusion.depth=4"]
    pipeline, described = fitted(Pipeline(Recipe.load(RECIPES["bow-colour"], changes)))
    plain, _ = fitted(Pipeline(Recipe.load(RECIPES["bow-colour"], ["fusion.depth=4"])))
    database = database_of(pipeline, described)
    query = pipeline.describe(PICTURES[5], (0, 0, 60, 60))
    before, after = (p.answer(query, 10, database) for p in (plain, pipeline))
    assert set(before.I[0, :3]) == set(after.I[0, :3])
    np.testing.assert_array_equal(before.I[0, 3:], after.I[0, 3:])
    exact = database.index("colour").score(query.vectors["colour"], after.I[0, :3])[0]
    np.testing.assert_allclose(after.D[0, :3], exact, rtol=1e-6)
    assert (np.diff(exact) <= 0).all()
    assert (np.diff(after.D[0]) <= 0).all()
    for k in range(1, 10):
        some = pipeline.answer(query, k, database)
        np.testing.assert_array_equal(some.I, after.I[:, :k])
        np.testing.assert_array_equal(some.D, after.D[:, :k])


def test_rerankers_work_in_order(monkeypatch):
    order = []
    rerank = Original.rerank

    def watched(self, query, result, database, **more):
        order.append((self.depth, result.I.shape[1]))
        return rerank(self, query, result, database, **more)

    monkeypatch.setattr(Original, "rerank", watched)
    changes = ['rerank=[{name="original",depth=8},{name="original",depth=5}]']
    pipeline, described = fitted(Pipeline(Recipe.load(RECIPES["colour"], changes)))
    found = pipeline.answer(pipeline.describe(PICTURES[1]), 2, database_of(pipeline, described))
    assert order == [(8, 8), (5, 8)]
    assert found.I.shape == (1, 2)


@pytest.mark.parametrize(("name", "channel"), [("colour", ""), ("bow-colour", "colour")])
def test_a_deep_reranker_does_not_ask_for_more_than_there_is(name, channel, monkeypatch):
    widths = []
    rerank = Original.rerank

    def watched(self, query, result, database, **more):
        widths.append(result.I.shape[1])
        return rerank(self, query, result, database, **more)

    monkeypatch.setattr(Original, "rerank", watched)
    changes = [f'rerank=[{{name="original",channel="{channel}",depth=1_000_000}}]']
    pipeline, described = fitted(Pipeline(Recipe.load(RECIPES[name], changes)))
    database, query = database_of(pipeline, described), pipeline.describe(PICTURES[1])
    whole = pipeline.answer(query, len(PICTURES) + 3, database)
    few = pipeline.answer(query, 2, database)
    assert widths == [len(PICTURES) + 3, len(PICTURES)]
    np.testing.assert_array_equal(few.I, whole.I[:, :2])
    np.testing.assert_array_equal(few.D, whole.D[:, :2])


def test_array_database_gives_what_is_stored(made):
    pipeline, described, database = made
    for name, channel in pipeline.channels.items():
        rows = database.vectors([4, 1, 4], name)
        expected = dense(pipeline.query(described).vectors[name])[[4, 1, 4]]
        np.testing.assert_array_equal(dense(rows), expected)
        kept = ArrayDatabase({}, vectors={name: pipeline.query(described).vectors[name]})
        np.testing.assert_array_equal(dense(kept.vectors([4, 1, 4], name)), expected)
        (one,) = database.features([2], name)
        assert one is described[2][channel.feature_hash]
    with pytest.raises(ParameterError, match="no index of channel 'gist'"):
        database.index("gist")


# ---- what the plan must carry: parts that only tests know


def test_a_feature_in_batches_and_one_of_maps(monkeypatch, tmp_path):
    register(monkeypatch)
    recipe = Recipe.from_dict(
        {
            "name": "toys",
            "channels": {
                "means": {"feature": {"name": "means"}, "index": {"name": "flat"}},
                "cells": {
                    "feature": {"name": "cells", "cell": 8},
                    "descriptor_transforms": [{"name": "pca", "d": 2}],
                    "aggregation": {"name": "pooled"},
                    "transforms": [{"name": "power"}, {"name": "l2"}],
                    "index": {"name": "learner"},
                },
            },
        }
    )
    pipeline, described = fitted(Pipeline(recipe))
    database = database_of(pipeline, described)
    for i, image in enumerate(PICTURES):
        assert pipeline.answer(pipeline.describe(image), 1, database).I[0, 0] == i
    assert pipeline.describe(BLANK).n_keypoints is None
    pipeline.save(tmp_path)
    back = Pipeline.load(tmp_path, recipe)
    assert bytes_of(back.describe(PICTURES[0])) == bytes_of(pipeline.describe(PICTURES[0]))
    feature = pipeline.channels["means"].feature
    assert feature.batch_size == 8
    feature.asked.clear()
    assert len(feature.extract_batch(PICTURES[:8])) == 8
    assert feature.asked == [8]


# ---- OpenCV's threads


def test_the_hosts_opencv_is_left_alone():
    """Importing cbir set it to one thread for the whole program."""
    code = """
import cv2, numpy as np
cv2.setNumThreads(3)
from cbir.pipeline import Pipeline, one_opencv_thread
from cbir.recipe import Recipe
pipeline = Pipeline(Recipe.load("colour"))
pipeline.features_of(np.zeros((8, 8, 3), np.uint8))
print(cv2.getNumThreads())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "3"


def test_one_opencv_thread_inside():
    before = cv2.getNumThreads()
    with one_opencv_thread():
        with one_opencv_thread():
            assert cv2.getNumThreads() == 1
        assert cv2.getNumThreads() == 1
        with pytest.raises(ValueError, match="x"), one_opencv_thread():
            raise ValueError("x")
        assert cv2.getNumThreads() == 1
    assert cv2.getNumThreads() == before


def test_describing_uses_one_opencv_thread(monkeypatch):
    seen = []
    describe = ColourHistogram.describe

    def watched(self, image, region=None):
        seen.append(cv2.getNumThreads())
        return describe(self, image, region)

    monkeypatch.setattr(ColourHistogram, "describe", watched)
    Pipeline(RECIPES["colour"]).features_of(PICTURES[0])
    assert seen == [1]


def test_empty_query():
    assert len(Query({})) == 0
