"""A recipe made alive: every recipe gives a row its index takes; same numbers stored and fresh."""

import numpy as np
import pytest

from cbir import pipeline as module
from cbir.errors import FormatError, NotTrainedError, ParameterError
from cbir.pipeline import Pipeline, joined_sparse
from cbir.recipe import Recipe
from cbir.types import Bags, LocalFeatures, SparseVectors
from tests.small import RECIPES, picture

PICTURES = [picture(i) for i in range(6)]
BLANK = np.full((40, 40, 3), 200, np.uint8)


@pytest.fixture(params=sorted(RECIPES))
def fitted(request):
    pipeline = Pipeline(RECIPES[request.param])
    return pipeline.fit([pipeline.features(image) for image in PICTURES])


def dense(vectors):
    return vectors.to_dense() if isinstance(vectors, SparseVectors) else vectors


def test_index_takes_what_describe_gives(fitted):
    index = fitted.new_index()
    index.add(fitted.vectors([fitted.features(image) for image in PICTURES]))
    for i, image in enumerate(PICTURES):
        _, ids = index.search(fitted.describe(image), 3)
        assert ids[0, 0] == i


def test_one_by_one_equals_all_at_once(fitted):
    features = [fitted.features(image) for image in [*PICTURES, BLANK]]
    together = dense(fitted.vectors(features))
    single = np.concatenate([dense(fitted.describe(image)) for image in [*PICTURES, BLANK]])
    np.testing.assert_array_equal(together, single)


def test_region_describes_less(fitted):
    whole, part = fitted.describe(PICTURES[0]), fitted.describe(PICTURES[0], (0, 0, 50, 50))
    assert not np.array_equal(dense(whole), dense(part))


def test_save_load(fitted, tmp_path):
    fitted.save(tmp_path, {"x": 1})
    back = Pipeline.load(tmp_path, fitted.recipe)
    np.testing.assert_array_equal(
        dense(back.describe(PICTURES[1])), dense(fitted.describe(PICTURES[1]))
    )
    assert Pipeline.facts(tmp_path)["x"] == 1
    with pytest.raises(FormatError, match="another recipe"):
        Pipeline.load(tmp_path, Recipe.load(fitted.recipe, ["seed=9"]))
    with pytest.raises(FormatError):
        Pipeline.load(tmp_path / "none", fitted.recipe)


@pytest.mark.parametrize("name", ["bow", "vlad"])
def test_not_fitted(name):
    with pytest.raises(NotTrainedError, match="fit"):
        Pipeline(RECIPES[name]).describe(BLANK)


def test_stored_sift_is_uint8_and_exact():
    from cbir.features import Sift

    pipeline = Pipeline(RECIPES["bow"])
    stored = pipeline.describe_stored(PICTURES[0])
    assert stored.descriptors.dtype == np.uint8
    direct = Sift().describe(PICTURES[0])
    np.testing.assert_array_equal(pipeline.features(PICTURES[0]).descriptors, direct.descriptors)
    batch = pipeline.batch(stored.descriptors, np.array([0, len(stored)], np.int64))
    np.testing.assert_array_equal(batch.descriptors, direct.descriptors)


def test_more_words_than_descriptors_names_the_cure():
    pipeline = Pipeline(Recipe.load("bow"))
    with pytest.raises(ParameterError, match=r"--set vocabulary\.n_words="):
        pipeline.fit([pipeline.features(PICTURES[0])])


def test_sample_is_seeded_and_bounded(monkeypatch):
    x = np.arange(1000, dtype=np.float32).repeat(128).reshape(1000, 128)
    parts = [Bags.of([x[:300], x[300:400]]), Bags.of([x[400:]])]
    pipeline = Pipeline(RECIPES["bow"])

    def sample(most):
        return pipeline._sample(lambda: iter(parts), [400, 600], most)

    np.testing.assert_array_equal(sample(5000), x)
    some = sample(100)
    assert some.shape == (100, 128)
    assert np.all(np.diff(some[:, 0]) > 0)
    np.testing.assert_array_equal(some, sample(100))
    monkeypatch.setattr(module, "SAMPLE", 50)
    assert len(sample(100)) == 50


def test_joined_sparse():
    a = SparseVectors.from_dense(np.float32([[0, 1, 2], [0, 0, 0]]))
    b = SparseVectors.from_dense(np.float32([[3, 0, 0]]))
    np.testing.assert_array_equal(
        joined_sparse([a, b], 3).to_dense(), [[0, 1, 2], [0, 0, 0], [3, 0, 0]]
    )
    assert len(joined_sparse([], 3)) == 0


def test_array_query_is_resized_as_a_file_would_be():
    pipeline = Pipeline(Recipe.load(RECIPES["bow"], ["image.max_side=32"]))
    assert max(pipeline.decode(PICTURES[0]).shape) == 32
    assert isinstance(pipeline.features(PICTURES[0]), LocalFeatures)
