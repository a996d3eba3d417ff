"""Small pictures, recipes, and parts that only tests know: what the plan must carry."""

from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Field

from cbir.aggregation import AGGREGATIONS
from cbir.features import FEATURES, Feature
from cbir.indexes import INDEXES, Flat
from cbir.recipe import Recipe
from cbir.types import Maps, SparseVectors, Vectors


def picture(seed, size=96):
    """Coloured rectangles over one another: corners for SIFT, colours for a histogram."""
    rng = np.random.default_rng(seed)
    image = np.full((size, size + 8, 3), rng.integers(0, 255, 3), np.uint8)
    for _ in range(25):
        y, x, h, w = rng.integers(0, size - 12), rng.integers(0, size - 12), *rng.integers(6, 40, 2)
        image[y : y + h, x : x + w] = rng.integers(0, 255, 3)
    return image


PICTURES = [picture(i) for i in range(10)]
BLANK = np.full((40, 40, 3), 200, np.uint8)

RECIPES = {
    "bow": Recipe.load("bow", ["vocabulary.n_words=16", "vocabulary.n_iter=3"]),
    "vlad": Recipe.load("vlad", ["vocabulary.n_words=4", "vocabulary.n_iter=3"]),
    "colour": Recipe.load("colour", ["feature.bins=[4, 4, 4]"]),
    "vlad-128": Recipe.load(
        "vlad-128",
        [
            "vocabulary.n_words=4",
            "transforms.pca.d=5",
            'descriptor_transforms=[{name = "pca", d = 32}, {name = "l2"}]',
        ],
    ),
    "bow-colour": Recipe.load(
        "bow-colour", ["vocabulary.n_words=16", "channels.colour.feature.bins=[4, 4, 4]"]
    ),
}


def dense(vectors):
    return vectors.to_dense() if isinstance(vectors, SparseVectors) else vectors


class Means(Feature[Any]):
    """Toy global feature that likes eight pictures at once: means of the three colours."""

    gives: ClassVar[Any] = Vectors
    d = 3
    batch_size: ClassVar[int] = 8

    def __init__(self) -> None:
        self.asked: list[int] = []

    def extract(self, image, region=None):
        return self.extract_batch([image])[0]

    def extract_batch(self, images):
        self.asked.append(len(images))
        return [image.mean(axis=(0, 1)).astype(np.float32) for image in images]


class Cells(Feature[Any]):
    """Toy map: the mean colours of square cells, stored as bytes."""

    gives: ClassVar[Any] = Maps
    d = 3

    def __init__(self, cell: Annotated[int, Field(ge=1, description="pixels a side")] = 16) -> None:
        self.cell = cell

    def extract(self, image, region=None):
        h, w = image.shape[0] // self.cell, image.shape[1] // self.cell
        cut = image[: h * self.cell, : w * self.cell].reshape(h, self.cell, w, self.cell, 3)
        return cut.mean(axis=(1, 3)).astype(np.uint8)

    def unpack(self, stored):
        return np.float32(stored) / np.float32(255)


class Pooled:
    """Toy aggregation without vocabulary: the largest of each number, less what `fit` saw."""

    takes: ClassVar[Any] = Maps
    gives: ClassVar[Any] = Vectors
    learns: ClassVar[bool] = True
    seen: ClassVar[list[Any]] = []

    def fit(self, bags):
        type(self).seen.append(bags)
        self.lowest_ = bags.descriptors.min(axis=0)
        return self

    def transform(self, bags, *, n_threads=0):
        rows = [bag.max(axis=0) - self.lowest_ for bag in bags]
        return np.array(rows, np.float32).reshape(-1, bags.d)

    def save(self, folder):
        folder.mkdir()
        np.save(folder / "lowest.npy", self.lowest_)

    @classmethod
    def load(cls, folder):
        loaded = cls()
        loaded.lowest_ = np.load(folder / "lowest.npy")
        return loaded


class Learner(Flat):
    """Toy index that has to be trained, and has a knob."""

    kind: ClassVar[str] = "learner"
    KNOBS: ClassVar[tuple[str, ...]] = ("effort",)
    needs_training: ClassVar[bool] = True
    searched: ClassVar[list[Any]] = []

    def __init__(
        self,
        d,
        metric: Annotated[str, Field(description="metric")] = "l2",
        effort: Annotated[int, Field(ge=1, description="toy knob")] = 1,
    ) -> None:
        super().__init__(d, metric)
        self.effort = effort
        self.trained_on = None

    @property
    def is_trained(self):
        return self.trained_on is not None

    def _train(self, rows, n_threads):
        self.trained_on = rows

    def _trained_arrays(self):
        return {"seen": self.trained_on}

    def _adopt_trained(self, arrays, folder):
        self.trained_on = arrays["seen"]

    def search(self, xq, k, *, allowed=None, n_threads=0, effort=None):
        type(self).searched.append(effort)
        return super().search(xq, k, allowed=allowed, n_threads=n_threads)


def register(monkeypatch):
    """Put the toys into their registries for one test."""
    monkeypatch.setitem(FEATURES, "means", Means)
    monkeypatch.setitem(FEATURES, "cells", Cells)
    monkeypatch.setitem(AGGREGATIONS, "pooled", Pooled)
    monkeypatch.setitem(INDEXES, "learner", Learner)
    monkeypatch.setattr(Pooled, "seen", [])
    monkeypatch.setattr(Learner, "searched", [])


def fitted(pipeline, pictures=PICTURES, **more):
    """Fit a pipeline to pictures; give it and what its features said of them."""
    described = [pipeline.features_of(image) for image in pictures]
    return pipeline.fit(pipeline.batches(described), **more), described
