"""Neighbours that don't fit are refused by name, type and cure."""

from typing import Annotated, Any, ClassVar

import pytest
from pydantic import Field

from cbir.aggregation import AGGREGATIONS
from cbir.features import FEATURES
from cbir.recipe import Recipe, RecipeError
from cbir.types import Maps, Vectors


def refused(name, *overrides):
    with pytest.raises(RecipeError) as error:
        Recipe.load(name, overrides)
    assert len(str(error.value)) <= 200
    return str(error.value)


def test_the_cure_that_is_told_cures():
    assert refused("bow", "feature.name=colour") == (
        "recipe bow: feature colour gives Vectors, aggregation bow takes Bags; take it away: "
        "--set vocabulary=none --set aggregation=none --set index.name=flat"
    )
    told = ["vocabulary=none", "aggregation=none", "index.name=flat"]
    Recipe.load("bow", ["feature.name=colour", *told])


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        (
            "bow",
            ["index.name=flat"],
            "aggregation bow gives SparseVectors, index flat takes Vectors; "
            "choose --set index.name=inverted_file",
        ),
        (
            "vlad",
            ["index.name=inverted_file"],
            "aggregation vlad gives Vectors, index inverted_file takes SparseVectors; "
            "choose --set index.name=flat",
        ),
        (
            "colour",
            ["feature.name=sift"],
            "feature sift gives Bags, index flat takes Vectors; "
            "put an aggregation between them: --set aggregation.name=bow|vlad",
        ),
        (
            "vlad-128",
            ["aggregation=none", "vocabulary=none"],
            "feature sift gives Bags, transforms pca takes Vectors; put an aggregation between",
        ),
        (
            "bow",
            ['transforms=[{name="l2"}]'],
            "aggregation bow gives SparseVectors, transforms l2 takes Vectors; "
            "take it away: --set transforms.l2=none",
        ),
        (
            "colour",
            ['descriptor_transforms=[{name="pca", d=4}]'],
            "feature colour gives Vectors, descriptor_transforms pca takes Bags; "
            "take it away: --set descriptor_transforms.pca=none",
        ),
        (
            "bow",
            ["vocabulary=none"],
            "aggregation bow needs a vocabulary; choose --set vocabulary.name=kmeans",
        ),
        (
            "colour",
            ["vocabulary.name=kmeans", "vocabulary.n_words=5"],
            "vocabulary kmeans serves nothing: there is no aggregation to use it; "
            "take it away: --set vocabulary=none",
        ),
        (
            "bow-colour",
            ["channels.colour.index.name=inverted_file"],
            "channels.colour.feature colour gives Vectors, channels.colour.index inverted_file "
            "takes SparseVectors; choose --set channels.colour.index.name=flat",
        ),
    ],
)
def test_both_neighbours_are_named(name, overrides, message):
    assert message in refused(name, *overrides)


class Convolutions:
    """A feature that gives maps."""

    gives: ClassVar[Any] = Maps


class Pooling:
    """An aggregation of maps alone, without words."""

    takes: ClassVar[Any] = Maps
    gives: ClassVar[Any] = Vectors

    def __init__(self, p: Annotated[float, Field(gt=0, description="power")] = 3.0) -> None: ...


def test_maps_are_bags_but_bags_are_no_maps(monkeypatch):
    monkeypatch.setitem(FEATURES, "cnn", Convolutions)
    monkeypatch.setitem(AGGREGATIONS, "gem", Pooling)
    Recipe.load("vlad", ["feature.name=cnn"])
    pooled = ["aggregation.name=gem", "vocabulary=none"]
    assert Recipe.load("vlad", ["feature.name=cnn", *pooled]).channel.aggregation.p == 3.0
    assert "feature sift gives Bags, aggregation gem takes Maps" in refused("vlad", *pooled)
    assert "vocabulary kmeans serves nothing: there is aggregation gem to use it" in refused(
        "vlad", "feature.name=cnn", "aggregation.name=gem"
    )
