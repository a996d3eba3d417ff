"""The named recipes on real photographs: what two channels, and few numbers, are worth."""

import numpy as np
import pytest

from cbir.images import decode
from cbir.pipeline import ArrayDatabase, Pipeline
from cbir.recipe import Recipe

N = 120  # pictures, four of each thing


@pytest.fixture(scope="module")
def photographs(cbir_data):
    paths = sorted((cbir_data / "ukbench1000/images").glob("*.jpg"))[:N]
    return [decode(path, max_side=240) for path in paths]


def searched(pipeline, described):
    """Vectors of all pictures, and a database of them."""
    vectors = pipeline.query(described).vectors
    indexes = {name: channel.new_index() for name, channel in pipeline.channels.items()}
    for name, index in indexes.items():
        index.add(vectors[name])
    return pipeline.query_of(vectors), ArrayDatabase(indexes)


def n_s(pipeline, query, database):
    """Of the four pictures of each thing, how many are among the first four: 4 at best."""
    found = pipeline.answer(query, 4, database).I
    return float((found // 4 == np.arange(N)[:, None] // 4).sum(axis=1).mean())


def test_two_channels_know_more_than_either(photographs, tmp_path):
    pipeline = Pipeline(Recipe.load("bow-colour"))
    described = [pipeline.features_of(image) for image in photographs]
    pipeline.fit(pipeline.batches(described)).save(tmp_path)
    asked = searched(pipeline, described)
    # Weights are in no hash, so the same model serves them all.
    alone = [
        n_s(
            Pipeline.load(tmp_path, Recipe.load("bow-colour", [f"fusion.weights.{mute}=0"])), *asked
        )
        for mute in pipeline.channels
    ]
    assert n_s(pipeline, *asked) > max(alone)


def test_few_numbers_keep_most_of_vlad(photographs):
    """40 instead of 8,192: a third of the directions that 120 pictures could span."""
    whole = Pipeline(Recipe.load("vlad"))
    changes = ["transforms.pca.d=40", "transforms.pca.whiten=false"]
    few = Pipeline(Recipe.load("vlad-128", changes))
    assert set(whole.features) == set(few.features)  # the same ones, described once
    described = [whole.features_of(image) for image in photographs]
    found = [
        n_s(one, *searched(one.fit(one.batches(described)), described)) for one in (whole, few)
    ]
    # Half a hit in four is what so few may cost at most; a wrong projection costs three.
    assert found[1] > found[0] - 0.5
