"""Differences of two recipes, in few words."""

import pytest

from cbir.recipe import Recipe


@pytest.mark.parametrize(
    ("one", "two", "said"),
    [
        (("bow",), ("bow",), []),
        (("bow",), ("bow", "name=x", 'rerank=[{name="original"}]'), []),
        (
            ("bow", "vocabulary.n_words=5", "seed=1"),
            ("bow",),
            ["seed=1 instead of 0", 'vocabulary.n_words=5 instead of "auto"'],
        ),
        (
            ("bow",),
            (
                "vlad",
                "feature.max_keypoints=1000",
                "vocabulary.max_points_per_word=256",
                "vocabulary.n_iter=6",
                "vocabulary.n_words=auto",
            ),
            [
                'aggregation.name="bow" instead of "vlad"',
                'index.name="inverted_file" instead of "flat"',
            ],
        ),
        (
            ("vlad-128", "transforms.pca.d=64"),
            ("vlad-128",),
            ["transforms.pca.d=64 instead of 128"],
        ),
        (
            ("vlad-128", "transforms=none"),
            ("vlad-128",),
            ['transforms=none instead of ["pca", "l2"]'],
        ),
        (
            ("vlad-128", "transforms.l2=none"),
            ("vlad-128",),
            ['transforms=["pca"] instead of ["pca", "l2"]'],
        ),
        (
            ("vlad", 'transforms=[{name="power",alpha=0.3},{name="l2"},{name="power"}]'),
            ("vlad", 'transforms=[{name="power"},{name="l2"},{name="power",alpha=0.8}]'),
            [
                "transforms.power.alpha=0.3 instead of 0.5",
                "transforms.power[2].alpha=0.5 instead of 0.8",
            ],
        ),
        (
            ("bow-colour", "feature.grid=2"),
            ("bow-colour",),
            ["channels.colour.feature.grid=2 instead of 1"],
        ),
        (
            ("bow-colour", "channels.bow=none"),
            ("bow-colour", "feature.grid=2"),
            [
                'channels=["colour"] instead of ["bow", "colour"]',
                "channels.colour.feature.grid=1 instead of 2",
            ],
        ),
        (
            ("colour",),
            ("bow-colour",),
            ['channels=["main"] instead of ["bow", "colour"]', "image.max_side=0 instead of 640"],
        ),
    ],
)
def test_differences(one, two, said):
    mine, other = (Recipe.load(name, overrides) for name, *overrides in (one, two))
    assert mine.differences(other) == said
    assert bool(said) == (mine.hash != other.hash)
