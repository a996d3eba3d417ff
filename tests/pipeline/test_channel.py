"""A channel: fitted to batches that nobody holds, each descriptor assigned once, saved, refused."""

import shutil

import numpy as np
import pytest

from cbir.errors import FormatError, NotTrainedError, ParameterError
from cbir.indexes import Flat
from cbir.pipeline import Batches, Channel, Pipeline, batch_of
from cbir.pipeline import batches as batches_module
from cbir.recipe import Recipe
from cbir.types import Bags
from cbir.vocabulary import KMeans
from tests.pipeline.toys import (
    BLANK,
    PICTURES,
    RECIPES,
    Learner,
    Pooled,
    dense,
    register,
)

ONE_CHANNEL = ["bow", "colour", "vlad", "vlad-128"]


def batches_for(channel, pictures=PICTURES, size=3):
    """Batches of a few pictures each, made anew at each walk."""
    described = [channel.feature.describe(image) for image in pictures]
    parts = [
        batch_of(channel.feature, described[i : i + size]) for i in range(0, len(described), size)
    ]
    made = Batches.of(*parts)
    return Batches(lambda: iter(made), made.counts, made.n_images)


def with_blanks():
    return [BLANK, *PICTURES[:4], BLANK, *PICTURES[4:], BLANK]


@pytest.mark.parametrize("name", ONE_CHANNEL)
@pytest.mark.parametrize("spilled", [True, False])
def test_fitted_vectors_are_the_vectors(name, spilled, tmp_path):
    channel = Channel(RECIPES[name], "main")
    batches = batches_for(channel, with_blanks())
    channel.fit(batches, spill=tmp_path if spilled else None)
    for batch, vectors in zip(batches, channel.fitted_vectors(), strict=True):
        np.testing.assert_array_equal(dense(vectors), dense(channel.vectors(batch)))


@pytest.mark.parametrize("name", ONE_CHANNEL)
def test_bytes_depend_neither_on_the_cut_nor_on_threads(name):
    made = []
    for size, n_threads in ((1, 1), (4, 4), (100, 2)):
        channel = Channel(RECIPES[name], "main", n_threads=n_threads)
        batches = batches_for(channel, size=size)
        channel.fit(batches)
        made.append(np.concatenate([dense(channel.vectors(b)) for b in batches]).tobytes())
    assert len(set(made)) == 1


def test_each_descriptor_is_assigned_once(tmp_path, monkeypatch):
    """Twice at most by a road without a spill file; the vocabulary's own turns don't count."""
    channel = Channel(RECIPES["bow"], "main")
    batches = batches_for(channel)
    assigned = []
    predict = KMeans.predict

    def counted(self, x, **more):
        assigned.append(len(x))
        return predict(self, x, **more)

    monkeypatch.setattr(KMeans, "predict", counted)
    channel.fit(batches, spill=tmp_path)
    list(channel.fitted_vectors())
    assert sum(assigned) == batches.total


def test_word_counts_lie_on_disk_not_in_memory(tmp_path):
    channel = Channel(RECIPES["bow"], "main").fit(
        batches_for(Channel(RECIPES["bow"], "main")), spill=tmp_path
    )
    (file,) = tmp_path.iterdir()
    assert file.name == "main.counts"
    assert file.stat().st_size > 1000
    assert len(list(channel.fitted_vectors())) == 4


def test_idf_of_batches_is_the_idf_of_all():
    channel = Channel(RECIPES["bow"], "main").fit(batches_for(Channel(RECIPES["bow"], "main")))
    whole = Channel(RECIPES["bow"], "main").fit(
        batches_for(Channel(RECIPES["bow"], "main"), size=100)
    )
    np.testing.assert_array_equal(
        channel._encoding.aggregation.idf_, whole._encoding.aggregation.idf_
    )


def test_what_learns_nothing_costs_no_pass():
    channel = Channel(RECIPES["vlad"], "main")
    batches = batches_for(channel)
    walks = []

    def make():
        walks.append(1)
        return iter(batches)

    channel.fit(Batches(make, batches.counts, batches.n_images))
    assert len(walks) == 1  # for the vocabulary's sample
    colour, x = Channel(RECIPES["colour"], "main"), np.eye(64, dtype=np.float32)
    colour.fit(Batches(lambda: pytest.fail("read for nothing"), [64], 64))
    assert colour.vectors(x).shape == (64, 64)


def test_aggregation_without_counts_is_fitted_to_images(monkeypatch):
    """It was fitted to a batch without any."""
    register(monkeypatch)
    recipe = Recipe.from_dict(
        {
            "name": "toy",
            "feature": {"name": "cells"},
            "aggregation": {"name": "pooled"},
            "index": {"name": "flat"},
        }
    )
    channel = Channel(recipe, "main")
    channel.fit(batches_for(channel))
    (seen,) = Pooled.seen
    assert len(seen) == len(PICTURES)
    monkeypatch.setattr(batches_module, "SAMPLE_BYTES", 4 * 3 * 100)  # of 36 rows a picture
    channel.fit(batches_for(channel))
    assert len(Pooled.seen[1]) == 2


def test_index_is_trained_on_vectors_and_shared(monkeypatch, tmp_path):
    register(monkeypatch)
    recipe = Recipe.load(RECIPES["vlad-128"], ["index.name=learner"])
    channel = Channel(recipe, "main")
    batches = batches_for(channel)
    channel.fit(batches)
    index = channel.new_index()
    expected = np.concatenate([channel.vectors(batch) for batch in batches])
    np.testing.assert_array_equal(index.trained_on, expected)
    assert index.is_trained
    assert index.ntotal == 0
    assert channel.new_index() is not index
    assert channel.new_index().trained_on is index.trained_on
    assert isinstance(index, Learner)


def test_samples_are_bounded(monkeypatch):
    """Of 512 MB by default; here of 40 descriptors, and of 8 vectors of 20 x 32 numbers."""
    channel = Channel(Recipe.load(RECIPES["vlad-128"], ["vocabulary.n_words=20"]), "main")
    monkeypatch.setattr(batches_module, "SAMPLE_BYTES", 4 * 128 * 40)
    sizes = []
    sample, sample_images = Batches.sample, Batches.sample_images

    def watched(self, n, seed):
        sizes.append(n)
        return sample(self, n, seed)

    def watched_images(self, n, seed):
        sizes.append(n)
        return sample_images(self, n, seed)

    monkeypatch.setattr(Batches, "sample", watched)
    monkeypatch.setattr(Batches, "sample_images", watched_images)
    channel.fit(batches_for(channel))
    assert sizes == [40, 8]


def test_a_blank_picture_stays_like_nothing():
    """Reducing and whitening must not move it next to anything."""
    channel = Channel(RECIPES["vlad-128"], "main")
    channel.fit(batches_for(channel, with_blanks()))
    blank = channel.vectors(Bags.of([np.zeros((0, 128), np.float32)]))
    assert blank.shape == (1, 5)
    assert not blank.any()


@pytest.mark.parametrize("name", ONE_CHANNEL)
def test_save_and_load(name, tmp_path):
    channel = Channel(RECIPES[name], "main")
    batches = batches_for(channel)
    channel.fit(batches)
    channel.save(tmp_path, {"x": 1})
    back = Channel.load(tmp_path, RECIPES[name], "main")
    for batch in batches:
        np.testing.assert_array_equal(dense(back.vectors(batch)), dense(channel.vectors(batch)))
    assert isinstance(back.new_index(), type(channel.new_index()))
    assert back.metric == channel.metric
    assert Channel.facts(tmp_path) == {"channel_hash": channel.hash, "x": 1}
    with pytest.raises(NotTrainedError, match="fitted_vectors"):
        back.fitted_vectors()


def test_load_refuses_another_recipe(tmp_path):
    channel = Channel(RECIPES["colour"], "main").fit(Batches.of(np.eye(64, dtype=np.float32)))
    channel.save(tmp_path)
    for other in ("seed=9", "feature.bins=[4, 4, 5]", "index.metric=l2"):
        with pytest.raises(FormatError, match="another recipe"):
            Channel.load(tmp_path, Recipe.load(RECIPES["colour"], [other]), "main")
    with pytest.raises(FormatError, match="channel"):
        Channel.load(tmp_path / "none", RECIPES["colour"], "main")


@pytest.mark.parametrize("name", ONE_CHANNEL)
def test_every_damaged_file_is_refused(name, tmp_path):
    channel = Channel(RECIPES[name], "main")
    channel.fit(batches_for(channel))
    channel.save(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 1
    for path in files:
        whole = path.read_bytes()
        for damaged in (whole[: len(whole) // 2], b"", None):
            path.unlink()
            if damaged is not None:
                path.write_bytes(damaged)
            with pytest.raises(FormatError):
                Channel.load(tmp_path, RECIPES[name], "main")
            path.write_bytes(whole)
    Channel.load(tmp_path, RECIPES[name], "main")


def test_another_index_in_the_model(tmp_path):
    channel = Channel(RECIPES["bow"], "main")
    channel.fit(batches_for(channel))
    channel.save(tmp_path)
    Flat(3).save_trained(tmp_path / "index")
    with pytest.raises(FormatError, match="holds Flat, expected InvertedFile"):
        Channel.load(tmp_path, RECIPES["bow"], "main")


@pytest.mark.parametrize("part", ["descriptor_transform-1-pca", "vocabulary", "index"])
def test_parts_of_another_model(part, tmp_path):
    """Whole in themselves, but not of one width."""
    for folder, changes in (("a", []), ("b", ["descriptor_transforms.pca.d=30"])):
        recipe = Recipe.load(RECIPES["vlad-128"], [*changes, "transforms=none"])
        channel = Channel(recipe, "main")
        channel.fit(batches_for(channel))
        (tmp_path / folder).mkdir()
        channel.save(tmp_path / folder)
    shutil.rmtree(tmp_path / "b" / part)
    shutil.copytree(tmp_path / "a" / part, tmp_path / "b" / part)
    with pytest.raises(FormatError, match=r"fit together|has d="):
        Channel.load(tmp_path / "b", recipe, "main")


def test_more_words_than_descriptors_names_the_cure():
    recipe = Recipe.load("bow", ["vocabulary.n_words=20000"])
    channel = Channel(recipe, "main")
    with pytest.raises(ParameterError, match=r"gave only \d+ .* --set vocabulary\.n_words=\d+"):
        channel.fit(batches_for(channel))
    several = Recipe.load("bow-colour", ["vocabulary.n_words=20000"])
    channel = Channel(several, "bow")
    with pytest.raises(ParameterError, match=r"--set channels\.bow\.vocabulary\.n_words=\d+"):
        channel.fit(batches_for(channel))


def test_no_descriptors_at_all():
    channel = Channel(Recipe.load("bow"), "main")
    with pytest.raises(ParameterError, match="vocabulary: the images gave no descriptors at all"):
        channel.fit(batches_for(channel, [BLANK, BLANK]))


def test_words_follow_the_descriptors():
    channel = Channel(Recipe.load("bow"), "main")
    batches = batches_for(channel)
    assert channel.fit(batches).vectors(next(iter(batches))).n_words == batches.total // 10


def test_too_few_pictures_for_a_pca():
    channel = Channel(Recipe.load("vlad-128", ["vocabulary.n_words=4"]), "main")
    with pytest.raises(ParameterError, match=r"^transforms\.pca: PCA.*d=128, but the 10 rows"):
        channel.fit(batches_for(channel))
    several = ["channels.bow.descriptor_transforms=[{name='pca',d=129}]"]
    channel = Channel(Recipe.load("bow-colour", several), "bow")
    with pytest.raises(ParameterError, match=r"^channels\.bow\.descriptor_transforms\.pca: PCA"):
        channel.fit(batches_for(channel))


def test_unknown_channel():
    with pytest.raises(ParameterError, match="name='gist', there is main"):
        Channel(RECIPES["bow"], "gist")


@pytest.mark.parametrize("method", ["vectors", "new_index", "save"])
def test_not_fitted(method, tmp_path):
    channel = Channel(RECIPES["bow"], "main")
    assert not channel.is_fitted
    argument = {"vectors": [Bags.of([], d=128)], "new_index": [], "save": [tmp_path]}[method]
    with pytest.raises(NotTrainedError, match=f"Channel.{method}"):
        getattr(channel, method)(*argument)


@pytest.mark.parametrize("name", ["bow", "vlad", "vlad-128"])
def test_progress_ends_when_a_stage_ends(name):
    calls = []
    channel = Channel(RECIPES[name], "main")
    batches = batches_for(channel)
    channel.fit(batches, progress=lambda *call: calls.append(call))
    stages = list(dict.fromkeys(stage for stage, _, _ in calls))
    assert stages == ["vocabulary", "aggregation"]
    for stage in stages:
        done = [(d, total) for s, d, total in calls if s == stage]
        assert [d for d, _ in done] == sorted(d for d, _ in done)
        assert [d == total for d, total in done].count(True) == 1
        assert done[-1][0] == done[-1][1]


def test_channels_of_one_feature_share_it():
    tables = {
        name: {
            key: value
            for key, value in RECIPES[source].to_dict().items()
            if key in ("feature", "vocabulary", "aggregation", "index")
        }
        for name, source in (("words", "bow"), ("sums", "vlad"))
    }
    tables["sums"]["feature"] = tables["words"]["feature"]
    pipeline = Pipeline(Recipe.from_dict({"name": "two", "channels": tables}))
    assert len(pipeline.features) == 1
    assert pipeline.channels["words"].feature is pipeline.channels["sums"].feature
