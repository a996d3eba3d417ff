"""The stages between a feature and an index: how parts are fitted, joined and kept.

::

    Batch --Transforms--> Batch --Encoding--> Vectors | SparseVectors --Transforms--> Vectors
           row by row            vocabulary,                           row by row
                                 aggregation

Parts (`cbir.transforms`, `vocabulary`, `aggregation`) know arrays. Here they are asked for by name,
fitted to `Batches` without holding them, and saved side by side.

What a part says of itself: `learns` (without it `fit` is not called, so no pass over the features
is made for it), `takes` and `gives`. An aggregation that learns from all images gives `count(bags)`
first, learns by `fit_counts` from counts of batch after batch, and ends with `weigh(counts)`
(`BagOfWords`): each descriptor is assigned once. One without these is fitted to a sample of images.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir.aggregation import AGGREGATIONS
from cbir.errors import DimensionError, ParameterError
from cbir.pipeline.batches import Batches, joined, most_rows, rows_of, with_rows
from cbir.pipeline.spill import Spill
from cbir.transforms import TRANSFORMS
from cbir.types import Batch, SparseVectors, Vectors
from cbir.vocabulary import VOCABULARIES

Progress = Callable[[str, int, int], object]
"""Called as ``progress(stage, done, total)``; done equals total when a stage is finished."""

_log = logging.getLogger("cbir")


class Transforms:
    """The transforms of one slot of a recipe, one after another; `path` is the slot's."""

    def __init__(
        self, options: tuple[Any, ...], parts: list[Any] | None = None, *, path: str = ""
    ) -> None:
        self.options = options
        self.path = path
        self.parts = parts or [TRANSFORMS[one.name](**one.arguments()) for one in options]

    @property
    def learns(self) -> bool:
        """Whether any of them learns from data."""
        return any(part.learns for part in self.parts)

    def fit(self, sample: NDArray[np.float32], *, onwards: bool) -> NDArray[np.float32]:
        """Fit each to the sample as those before it leave it.

        Gives what the last makes of it if somebody works `onwards` with that; otherwise it stops
        after the last that learns.

        Raises
        ------
        ParameterError, with the path of the part, if the sample is too small for one.
        """
        for i, (one, part) in enumerate(zip(self.options, self.parts, strict=True)):
            if not onwards and not any(later.learns for later in self.parts[i:]):
                break
            if part.learns:
                try:
                    part.fit(sample)
                except ParameterError as error:
                    raise ParameterError(f"{self.path}.{one.name}: {error}") from None
            sample = part.transform(sample)
        return sample

    def __call__(self, batch: Any) -> Any:
        """Transform the rows of a batch."""
        for part in self.parts:
            batch = with_rows(batch, part.transform(rows_of(batch)))
        return batch

    def save(self, folder: Path) -> None:
        """Write each into a folder of its own, ``folder-1-pca``, ``folder-2-l2``."""
        for path, part in zip(self._folders(folder), self.parts, strict=True):
            part.save(path)

    def load(self, folder: Path) -> Transforms:
        """Give the same slot with what `save` wrote."""
        found = zip(self._folders(folder), self.options, strict=True)
        parts = [TRANSFORMS[one.name].load(where) for where, one in found]
        return Transforms(self.options, parts, path=self.path)

    def _folders(self, folder: Path) -> Iterator[Path]:
        for i, one in enumerate(self.options):
            yield folder.with_name(f"{folder.name}-{i + 1}-{one.name}")


class Encoding:
    """Vocabulary and aggregation: from the descriptors of an image to one vector."""

    def __init__(self, aggregation: Any, vocabulary: Any = None, *, path: str = "") -> None:
        self.aggregation_options = aggregation
        self.vocabulary_options = vocabulary
        self.path = path  # of the two slots in their recipe, for messages
        self.aggregation: Any = None
        self.vocabulary: Any = None

    def sample_size(self, total: int, d: int) -> int:
        """Descriptors that the vocabulary is trained on, of `total` of width `d`.

        Raises
        ------
        ParameterError if there are fewer than words.
        """
        if self.vocabulary_options is None:
            return 0
        if total == 0:
            raise ParameterError(
                f"{self.path}vocabulary: the images gave no descriptors at all, so there are no "
                "words to learn; are they blank, or of one colour?"
            )
        vocabulary = self._new_vocabulary()
        words, wanted = vocabulary.words_for(total), vocabulary.sample_size(total)
        if total < words:
            raise ParameterError(
                f"{self.path}vocabulary.n_words={words}, but the images gave only {total} "
                "descriptors; choose fewer, e.g. "
                f"--set {self.path}vocabulary.n_words={max(total // 10, 1)}"
            )
        most = max(most_rows(d), words)
        if wanted > most:
            _log.info("vocabulary: trained on %d of %d descriptors, drawn by seed", most, total)
        return int(min(wanted, most))

    def fit_vocabulary(
        self,
        sample: NDArray[np.float32],
        total: int,
        *,
        seed: int,
        n_threads: int,
        progress: Progress,
    ) -> None:
        """Learn the words, if there are any to learn, and make the aggregation over them.

        Parameters
        ----------
        total : descriptors that `sample` was drawn from.
        """
        if self.vocabulary_options is not None:
            vocabulary = self._new_vocabulary(seed=seed, n_threads=n_threads)
            turns = vocabulary.n_iter + 2  # the choice of a start, and a last assignment
            progress("vocabulary", 0, turns)
            vocabulary.fit(
                sample, drawn_from=total, on_assignment=lambda n: progress("vocabulary", n, turns)
            )
            vocabulary.n_threads = 0  # of this run, not of the model
            self.vocabulary = vocabulary
            progress("vocabulary", turns, turns)
        cls = AGGREGATIONS[self.aggregation_options.name]
        self.aggregation = cls(*self._words(), **self.aggregation_options.arguments())

    def fit_aggregation(
        self,
        batches: Batches,
        *,
        d: int,
        seed: int,
        n_threads: int,
        spill: Path | None,
        progress: Callable[[], object],
    ) -> Spill | None:
        """Fit the aggregation; give its counts of all batches where they were written down."""
        part = self.aggregation
        if not part.learns:
            return None
        if not hasattr(part, "fit_counts"):
            n, most = batches.n_images, most_rows(d)
            if not n:
                raise ParameterError(f"{self.path}aggregation: there is no image to learn from")
            if batches.total > most:
                n = max(1, n * most // batches.total)
            sample = []
            for batch in batches.sample_images(n, seed):
                progress()
                sample.append(batch)
            part.fit(joined(sample))
            return None
        counts = self._counts(batches, n_threads, progress)
        if spill is None:
            part.fit_counts(counts)
            return None
        kept = Spill(spill)
        part.fit_counts(kept.passing(counts))
        return kept

    def __call__(self, batch: Batch, n_threads: int) -> Vectors | SparseVectors:
        """One row for each image of a batch."""
        rows: Vectors | SparseVectors = self.aggregation.transform(batch, n_threads=n_threads)
        return rows

    def weighed(self, spill: Spill) -> Iterator[SparseVectors]:
        """Vectors of the batches whose counts were written down."""
        return map(self.aggregation.weigh, spill.read(self.aggregation.n_words))

    def save(self, folder: Path) -> None:
        """Write ``vocabulary/`` and ``aggregation/``."""
        if self.vocabulary is not None:
            self.vocabulary.save(folder / "vocabulary")
        self.aggregation.save(folder / "aggregation")

    def load(self, folder: Path) -> None:
        """Read what `save` wrote."""
        if self.vocabulary_options is not None:
            cls = VOCABULARIES[self.vocabulary_options.name]
            self.vocabulary = cls.load(folder / "vocabulary")
        cls = AGGREGATIONS[self.aggregation_options.name]
        self.aggregation = cls.load(folder / "aggregation", *self._words())

    def check_width(self, d: int) -> None:
        """DimensionError if the vocabulary is not one of descriptors of width `d`."""
        # No descriptors at all have no width either, so an empty batch would not tell.
        if self.vocabulary is not None and self.vocabulary.d != d:
            raise DimensionError(f"vocabulary has d={self.vocabulary.d}, its descriptors d={d}")

    def _new_vocabulary(self, **more: Any) -> Any:
        options = self.vocabulary_options
        return VOCABULARIES[options.name](**options.arguments(), **more)

    def _words(self) -> tuple[Any, ...]:
        return () if self.vocabulary is None else (self.vocabulary,)

    def _counts(
        self, batches: Batches, n_threads: int, progress: Callable[[], object]
    ) -> Iterator[SparseVectors]:
        for batch in batches:
            progress()
            yield self.aggregation.count(batch, n_threads=n_threads)
