"""A recipe made alive: its channels, fitted; a picture described; a query answered.

`Pipeline` opens no collection and writes nothing but its own fitted state. What it is searched in
is a `Database`: a collection on disk, or arrays (`ArrayDatabase`).

Channels whose features have equal hashes share one feature object, and a query is described by it
once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from cbir import images
from cbir.errors import FormatError, NotTrainedError, ParameterError
from cbir.pipeline.answer import answer
from cbir.pipeline.batches import Batches, batch_of
from cbir.pipeline.channel import Channel
from cbir.pipeline.query import Picture, Query, in_image
from cbir.pipeline.stage import Progress
from cbir.pipeline.threads import one_opencv_thread
from cbir.recipe import Recipe
from cbir.rerank import RERANKERS, Database
from cbir.types import (
    DISTANCES,
    Features,
    Image,
    LocalFeatures,
    Region,
    SearchResult,
    SparseVectors,
    Vectors,
)


class Pipeline:
    """The channels of a recipe.

    Parameters
    ----------
    recipe : what to do.
    n_threads : threads inside the parts; 0 takes all this process may use. Results do not depend
        on it, and it is not saved.

    Attributes
    ----------
    channels : name -> `Channel`.
    features : hash -> feature, each only once.

    Raises
    ------
    ParameterError if a re-ranker of the recipe doesn't fit its channels.

    Examples
    --------
    >>> import numpy as np
    >>> from cbir.pipeline import ArrayDatabase
    >>> from cbir.recipe import Recipe
    >>> pipeline = Pipeline(Recipe.load("colour", ["feature.bins=[4, 4, 4]"]))
    >>> pictures = [np.full((8, 8, 3), gray, np.uint8) for gray in (0, 128, 255)]
    >>> described = [pipeline.features_of(picture) for picture in pictures]
    >>> pipeline.fit(pipeline.batches(described)).is_fitted
    True
    >>> index = pipeline.channels["main"].new_index()
    >>> index.add(pipeline.query(described).vectors["main"])
    >>> query = pipeline.describe(pictures[1])
    >>> pipeline.answer(query, 1, ArrayDatabase({"main": index})).I.tolist()
    [[1]]
    """

    def __init__(self, recipe: Recipe, *, n_threads: int = 0) -> None:
        self.recipe = recipe
        self.n_threads = n_threads
        self.features: dict[str, Any] = {}
        self.channels: dict[str, Channel] = {}
        for name in recipe.channels:
            self._put(Channel(recipe, name, feature=self._shared(name), n_threads=n_threads))
        self.rerankers = tuple(RERANKERS[one.name](**one.arguments()) for one in recipe.rerank)
        self._metrics = {name: channel.metric for name, channel in self.channels.items()}
        for one in self.rerankers:
            one.ascending(self._metrics)  # says now, not at the first query, what doesn't fit

    @property
    def is_fitted(self) -> bool:
        """Whether all channels are."""
        return all(channel.is_fitted for channel in self.channels.values())

    @property
    def ascending(self) -> bool:
        """Whether smaller `D` of `answer` is better: a distance, not a score."""
        if self.rerankers:
            return bool(self.rerankers[-1].ascending(self._metrics))
        return len(self.channels) == 1 and next(iter(self._metrics.values())) in DISTANCES

    # ---- from a picture to a query ----

    def decode(self, source: str | Path | bytes | Image) -> Picture:
        """Decode a picture as this recipe wants it; an array is taken as decoded.

        Raises
        ------
        ImageError, and DTypeError or DimensionError for an array that is no picture.
        """
        options = self.recipe.image.arguments()
        side = options.pop("max_side")
        with one_opencv_thread():
            if isinstance(source, np.ndarray):
                image: Image = source
            else:
                image = images.decode(source, **options)
            # Resized here and not by decode, which would keep the true size to itself.
            small = images.resize(image, side) if side else image
        height, width = image.shape[:2] if image.ndim == 3 else (0, 0)
        return Picture(small, width, height)

    def features_of(
        self, picture: Picture | Image, region: Region | None = None
    ) -> dict[str, Features]:
        """What each feature gives for a picture, by its hash; arguments as for `describe`."""
        if not isinstance(picture, Picture):
            picture = self.decode(picture)
        if region is not None:
            region = in_image(region, picture)
        with one_opencv_thread():
            return {
                key: feature.describe(picture.image, region)
                for key, feature in self.features.items()
            }

    def describe(self, picture: Picture | Image, region: Region | None = None) -> Query:
        """Describe one picture.

        Parameters
        ----------
        picture : as `decode` gives it, or (H, W, 3) uint8 RGB.
        region : (x, y, w, h) in the picture's own pixels, those before `image.max_side` shrank it;
            only what lies in it is described. Cut to the picture, rounded outward.

        Raises
        ------
        NotTrainedError before `fit`; ParameterError for a region without a pixel in the picture;
        DimensionError, DTypeError.
        """
        self._check_fitted("describe")
        return self.query([self.features_of(picture, region)])

    def query(self, described: list[dict[str, Features]]) -> Query:
        """Vectors of pictures from what `features_of` gave, one row for each."""
        self._check_fitted("query")
        vectors = {
            name: channel.vectors(
                batch_of(channel.feature, [one[channel.feature_hash] for one in described]),
                n_threads=self.n_threads,
            )
            for name, channel in self.channels.items()
        }
        if len(described) != 1:
            return Query(vectors)
        local = [len(x) for x in described[0].values() if isinstance(x, LocalFeatures)]
        return Query(vectors, described[0], sum(local) if local else None)

    def query_of(
        self,
        vectors: Mapping[str, Vectors | SparseVectors],
        features: Mapping[str, Features] | None = None,
    ) -> Query:
        """A query of stored rows, one or many for each channel.

        Raises
        ------
        ParameterError if a channel is missing, or has another number of rows than the others.
        """
        lengths = {name: len(rows) for name, rows in vectors.items()}
        if set(lengths) != set(self.channels) or len(set(lengths.values())) > 1:
            raise ParameterError(
                f"Pipeline.query_of: vectors has rows {lengths}, expected as many of each of "
                f"{', '.join(self.channels)}"
            )
        return Query(dict(vectors), dict(features or {}))

    def answer(
        self,
        query: Query,
        k: int,
        database: Database,
        *,
        allowed: Any = None,
        n_threads: int = 0,
        **knobs: Any,
    ) -> SearchResult:
        """Find the `k` best pictures for each row of a query.

        Parameters
        ----------
        query : what `describe` or `query_of` gave.
        k : hits wanted, 1 or more.
        database : what is searched.
        allowed : ids that may be found, an array of ids or a boolean mask over them, as the
            indexes take it.
        n_threads : 0 means all this process may use. The answer does not depend on it.
        knobs : search knobs that go before those of the recipe, such as ``nprobe=16``; with
            several channels to each whose index has one of that name.

        Returns
        -------
        SearchResult of D (nq, k), monotone, and I (nq, k); past the last hit I = -1. `ascending`
        says which way `D` goes, `cbir.pipeline.answer` what it means.

        Raises
        ------
        ParameterError for a knob that no index has; what indexes and re-rankers raise.
        """
        return answer(
            self.channels,
            query,
            k,
            database,
            fusion=self.recipe.fusion,
            rerankers=self.rerankers,
            allowed=allowed,
            n_threads=n_threads,
            knobs=knobs,
        )

    # ---- fitting and files ----

    def batches(self, described: list[dict[str, Features]]) -> dict[str, Batches]:
        """What `fit` takes, from what `features_of` gave for pictures that fit in memory."""
        return {
            key: Batches.of(batch_of(feature, [one[key] for one in described]))
            for key, feature in self.features.items()
        }

    def fit(
        self,
        batches: Mapping[str, Batches],
        *,
        spill: Path | None = None,
        progress: Progress = lambda stage, done, total: None,
    ) -> Self:
        """Fit every channel; `Channel.fit` says what each argument is.

        Parameters
        ----------
        batches : hash of a feature -> its batches of the images to learn from.

        Raises
        ------
        ParameterError if there are too few images or descriptors for what is to be learned.
        """
        for channel in self.channels.values():
            channel.fit(batches[channel.feature_hash], spill=spill, progress=progress)
        return self

    def save(self, folder: Path, facts: Mapping[str, Any] | None = None) -> None:
        """Write the state of each channel to ``folder/<channel>/``; `folder` must exist."""
        self._check_fitted("save")
        for name, channel in self.channels.items():
            (folder / name).mkdir()
            channel.save(folder / name, facts)

    @classmethod
    def load(cls, folder: Path, recipe: Recipe, *, n_threads: int = 0) -> Pipeline:
        """Read what `save` wrote. Raises FormatError, also if made under another recipe."""
        pipeline = cls(recipe, n_threads=n_threads)
        for name, empty in list(pipeline.channels.items()):
            pipeline._put(
                Channel.load(
                    folder / name, recipe, name, feature=empty.feature, n_threads=n_threads
                )
            )
        return pipeline

    @classmethod
    def facts(cls, folder: Path) -> dict[str, Any]:
        """The caller's facts that `save` noted.

        Raises
        ------
        FormatError if there is nothing saved, or its channels disagree.
        """
        found = [Channel.facts(one) for one in sorted(folder.glob("*")) if one.is_dir()]
        for facts in found:
            facts.pop("channel_hash", None)
        if not found or any(facts != found[0] for facts in found):
            raise FormatError(f"{folder}: holds no model, or channels of different ones")
        return found[0]

    def _put(self, channel: Channel) -> None:
        self.channels[channel.name] = channel
        self.features.setdefault(channel.feature_hash, channel.feature)

    def _shared(self, name: str) -> Any:
        return self.features.get(self.recipe.feature_hash(name))

    def _check_fitted(self, method: str) -> None:
        if not self.is_fitted:
            raise NotTrainedError(f"Pipeline.{method}: not fitted yet; call fit(batches) first")
