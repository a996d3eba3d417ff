"""One channel of a recipe made alive: a feature, its stages, and the index they lead to.

::

    model/<channel>/
        channel/                     hash of the channel, facts of whoever wrote it
        descriptor_transform-1-pca/
        vocabulary/  aggregation/
        transform-1-l2/
        index/                       what the index learned, without rows

Fitting reads the features three times at most: once for a sample of rows (descriptor transforms and
vocabulary), once to count words, once for a sample of vectors (transforms, a trained index). What
learns nothing costs no pass. Samples are `SAMPLE_BYTES` at most, so memory does not grow with the
collection.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from cbir import indexes
from cbir._checks import threads
from cbir.errors import FormatError, NotTrainedError, ParameterError
from cbir.features import FEATURES
from cbir.indexes import INDEXES, Index
from cbir.pipeline.batches import Batches, batch_of, most_rows, rows_of
from cbir.pipeline.spill import Spill
from cbir.pipeline.stage import Encoding, Progress, Transforms
from cbir.recipe import Recipe
from cbir.store import load_arrays, save_arrays
from cbir.types import Batch, SparseVectors, Vectors


class _Steps:
    """Counts the batches that the fit of one channel reads, for a progress callback."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress, self._total = progress, total
        self._done = 0

    def __call__(self) -> None:
        """One more batch is being read."""
        self._progress("aggregation", self._done, self._total)
        # A sample may skip batches, but none is read twice; the last step is that of `finish`.
        self._done = min(self._done + 1, self._total - 1)

    def finish(self) -> None:
        """All is fitted."""
        self._progress("aggregation", self._total, self._total)


class Channel:
    """A feature, its stages and an index, fitted together.

    Parameters
    ----------
    recipe : the whole recipe.
    name : of the channel in it; "main" where it has only one without a name.
    feature : the feature to use; by default a new one.
    n_threads : threads inside the parts; 0 takes all this process may use. Results do not depend
        on it, and it is not saved.

    Attributes
    ----------
    recipe : the channel's own part of the recipe.
    feature, feature_hash : what describes pictures; equal hashes mean equal features.

    Examples
    --------
    >>> import numpy as np
    >>> from cbir.recipe import Recipe
    >>> channel = Channel(Recipe.load("colour", ["feature.bins=[2, 2, 2]"]), "main")
    >>> x = np.eye(8, dtype=np.float32)
    >>> channel.fit(Batches.of(x)).vectors(x[:2]).shape
    (2, 8)
    """

    def __init__(
        self, recipe: Recipe, name: str, *, feature: Any = None, n_threads: int = 0
    ) -> None:
        if name not in recipe.channels:
            raise ParameterError(f"Channel: name={name!r}, there is {', '.join(recipe.channels)}")
        self.name = name
        self.recipe = recipe.channels[name]
        self.hash = recipe.channel_hash(name)
        self.feature_hash = recipe.feature_hash(name)
        self.n_threads = n_threads
        options = self.recipe.feature
        self.feature: Any = feature or FEATURES[options.name](**options.arguments())
        self._seed = recipe.seed
        self._describers = Transforms(self.recipe.descriptor_transforms)
        self._encoding: Encoding | None = None
        if self.recipe.aggregation is not None:
            path = f"channels.{name}." if len(recipe.channels) > 1 else ""
            self._encoding = Encoding(self.recipe.aggregation, self.recipe.vocabulary, path=path)
        self._transforms = Transforms(self.recipe.transforms)
        self._index: Index | None = None  # trained, without rows; there once all is fitted
        self._fitted_on: Batches | None = None
        self._spill: Spill | None = None

    @property
    def is_fitted(self) -> bool:
        """Whether `vectors` and `new_index` may be called."""
        return self._index is not None

    @property
    def metric(self) -> str:
        """Metric of the index: the recipe's, or the only one that its class has."""
        options = self.recipe.index
        return str(options.arguments().get("metric", INDEXES[options.name].METRICS[0]))

    @property
    def knobs(self) -> tuple[str, ...]:
        """Search knobs of the index."""
        return tuple(INDEXES[self.recipe.index.name].KNOBS)

    def fit(
        self,
        batches: Batches,
        *,
        spill: Path | None = None,
        progress: Progress = lambda stage, done, total: None,
    ) -> Self:
        """Fit all that learns, by the recipe's seed.

        Parameters
        ----------
        batches : features of the images to learn from, as `unpacked_batch` gives them.
        spill : folder, for the time of a build, where word counts of all batches may lie; without
            it they are made twice. Whoever names it deletes it.
        progress : called as ``progress(stage, done, total)`` of "vocabulary" and "aggregation";
            done equals total when a stage is finished, and only then.

        Raises
        ------
        ParameterError if there are too few images or descriptors for what is to be learned.
        """
        n_threads = threads(self.n_threads, who="Channel.fit")
        self._spill, self._index = None, None
        self._fit_rows(batches, n_threads, progress)
        prepared = batches.map(self._describers) if self._describers.parts else batches
        passes = self._learns_from_images() + self._learns_from_vectors()
        steps = _Steps(progress, passes * len(batches) + 1)
        if self._encoding is not None:
            self._spill = self._encoding.fit_aggregation(
                prepared,
                d=rows_of(self._no_images()).shape[1],
                seed=self._seed,
                n_threads=n_threads,
                spill=spill / f"{self.name}.counts" if spill is not None else None,
                progress=steps,
            )
        self._index = self._fit_vectors(prepared, n_threads, steps)
        if passes or self._encoding is not None:
            steps.finish()
        self._fitted_on = batches
        return self

    def fitted_vectors(self) -> Iterator[Vectors | SparseVectors]:
        """Vectors of the batches of `fit`, in their order, each descriptor assigned only once.

        Raises
        ------
        NotTrainedError if this channel was loaded, not fitted.
        """
        if self._fitted_on is None:
            raise NotTrainedError(
                "Channel.fitted_vectors: nothing was fitted here; call fit(batches), or vectors"
            )
        if self._spill is not None and self._encoding is not None:
            return map(self._transforms, self._encoding.weighed(self._spill))
        return map(self.vectors, self._fitted_on)

    def vectors(self, batch: Batch, *, n_threads: int | None = None) -> Vectors | SparseVectors:
        """One row for each image of a batch; an image without descriptors gets a zero row.

        Raises
        ------
        NotTrainedError before `fit`; what the stages raise.
        """
        self._trained("vectors")
        chosen = self.n_threads if n_threads is None else n_threads
        n = threads(chosen, who="Channel.vectors")
        rows: Vectors | SparseVectors = self._vectors(self._describers(batch), n)
        return rows

    def new_index(self) -> Index:
        """An index without rows that shares what this channel's index learned."""
        return self._trained("new_index").empty()

    def save(self, folder: Path, facts: Mapping[str, Any] | None = None) -> None:
        """Write the fitted state into `folder`, which must exist, with facts of the caller's.

        Publish it as a whole (`cbir.store.atomic_folder`).
        """
        index = self._trained("save")
        params = {"channel_hash": self.hash, **(facts or {})}
        save_arrays(folder / "channel", kind="Channel", params=params, arrays={})
        self._describers.save(folder / "descriptor_transform")
        if self._encoding is not None:
            self._encoding.save(folder)
        self._transforms.save(folder / "transform")
        index.save_trained(folder / "index")

    @classmethod
    def load(
        cls, folder: Path, recipe: Recipe, name: str, *, feature: Any = None, n_threads: int = 0
    ) -> Channel:
        """Read what `save` wrote. Raises FormatError, also if made under another recipe."""
        channel = cls(recipe, name, feature=feature, n_threads=n_threads)
        found = str(cls.facts(folder).get("channel_hash"))
        if found != channel.hash:
            raise FormatError(
                f"{folder / 'channel' / 'manifest.json'}: made under another recipe (hash of "
                f"channel {name!r} {found[:12]}, expected {channel.hash[:12]})"
            )
        channel._describers = channel._describers.load(folder / "descriptor_transform")
        if channel._encoding is not None:
            channel._encoding.load(folder)
        channel._transforms = channel._transforms.load(folder / "transform")
        index = indexes.load_trained(folder / "index")
        wanted = INDEXES[channel.recipe.index.name]
        if not isinstance(index, wanted):
            raise FormatError(
                f"{folder / 'index'}: holds {type(index).__name__}, expected {wanted.__name__}"
            )
        try:
            if channel._encoding is not None:
                channel._encoding.check_width(rows_of(channel._no_images()).shape[1])
            width = channel._empty_index().d
        except ValueError as error:  # DimensionError: parts of different models
            raise FormatError(f"{folder}: its parts don't fit together ({error})") from error
        if index.d != width:
            raise FormatError(f"{folder / 'index'}: has d={index.d}, its vectors have d={width}")
        channel._index = index
        return channel

    @staticmethod
    def facts(folder: Path) -> dict[str, Any]:
        """What `save` noted beside the state: the channel's hash and the caller's facts."""
        return load_arrays(folder / "channel", kind="Channel")[0]

    def _fit_rows(self, batches: Batches, n_threads: int, progress: Progress) -> None:
        """Fit descriptor transforms and vocabulary, to one sample of rows."""
        encoding, describers, d = self._encoding, self._describers, self.feature.d
        size = encoding.sample_size(batches.total, d) if encoding is not None else 0
        if describers.learns:
            size = max(size, most_rows(d))
        sample = batches.sample(size, self._seed) if size else rows_of(batch_of(self.feature, []))
        sample = describers.fit(sample, onwards=encoding is not None)
        if encoding is not None:
            encoding.fit_vocabulary(
                sample,
                batches.total,
                seed=self._seed,
                n_threads=n_threads,
                progress=progress,
            )

    def _learns_from_images(self) -> bool:
        return self._encoding is not None and bool(self._encoding.aggregation.learns)

    def _learns_from_vectors(self) -> bool:
        return self._transforms.learns or INDEXES[self.recipe.index.name].needs_training

    def _fit_vectors(self, prepared: Batches, n_threads: int, step: _Steps) -> Index:
        """Fit transforms, and train the index, to one sample of vectors."""
        if not self._learns_from_vectors():
            return self._empty_index()
        wanted = INDEXES[self.recipe.index.name].needs_training
        # Before the transforms, which may make them shorter: the longest rows that are held.
        width = rows_of(self._encode(self._no_images(), n_threads)).shape[1]
        n = min(most_rows(width), prepared.n_images)
        sample = np.empty((n, width), np.float32)
        done = 0
        for batch in prepared.sample_images(n, self._seed):
            step()
            rows = self._encode(batch, n_threads)
            sample[done : done + len(rows)] = rows
            done += len(rows)
        sample = self._transforms.fit(sample, onwards=wanted)
        index = self._empty_index()
        return index.train(sample, n_threads=n_threads) if wanted else index

    def _empty_index(self) -> Index:
        d = self._vectors(self._no_images(), 1)
        width = d.n_words if isinstance(d, SparseVectors) else d.shape[1]
        options = self.recipe.index
        return INDEXES[options.name](width, **options.arguments())

    def _encode(self, prepared: Batch, n_threads: int) -> Any:
        """One row for each image of a batch that went through the descriptor transforms."""
        return prepared if self._encoding is None else self._encoding(prepared, n_threads)

    def _vectors(self, prepared: Batch, n_threads: int) -> Any:
        return self._transforms(self._encode(prepared, n_threads))

    def _no_images(self) -> Batch:
        """A batch of nothing, through the descriptor transforms: it has all the widths."""
        batch: Batch = self._describers(batch_of(self.feature, []))
        return batch

    def _trained(self, method: str) -> Index:
        if self._index is None:
            raise NotTrainedError(f"Channel.{method}: not fitted yet; call fit(batches) first")
        return self._index
