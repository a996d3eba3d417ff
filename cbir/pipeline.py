"""A recipe made alive: from a picture to the vector that its index takes.

::

    decode --> describe --> [vocabulary --> aggregation] --> vectors
               (n, 128)      words of k-means  BoW | VLAD    SparseVectors | (n, d) float32

`Pipeline` is the only place that knows how the parts of a recipe fit together; it opens no
collection and writes nothing but its own fitted state. A feature is either local (a set of
descriptors per image, which a vocabulary and an aggregation turn into one vector) or global
(already one vector).

Storage: SIFT's values are whole numbers 0 to 255, so `describe_stored` gives them as uint8 before
the square root of RootSIFT, and `batch` applies it on the way back: exactly the same numbers for a
quarter of the bytes.

Training takes a sample of descriptors drawn by the recipe's seed, at most `SAMPLE` of them (0.5 GB
for SIFT), so memory does not grow with the collection.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cbir import images
from cbir._checks import as_matrix
from cbir.aggregation import AGGREGATIONS
from cbir.errors import FormatError, NotTrainedError, ParameterError
from cbir.features import FEATURES
from cbir.indexes import INDEXES
from cbir.recipe import Recipe
from cbir.store import FeaturePart, load_arrays, save_arrays
from cbir.types import Bags, Image, LocalFeatures, SparseVectors
from cbir.vocabulary import VOCABULARIES

SAMPLE = 1_000_000  # descriptors the vocabulary is trained on at most

Region = tuple[float, float, float, float]
Features = LocalFeatures | NDArray[np.float32]
Batch = Bags | NDArray[np.float32]  # features of several images, as the aggregation takes them
Vectors = SparseVectors | NDArray[np.float32]


class Pipeline:
    """The parts of a recipe, fitted together.

    Parameters
    ----------
    recipe : what to do.
    n_threads : threads inside the parts; 0 takes all this process may use. Results do not depend
        on it, and it is not saved.

    Examples
    --------
    >>> import numpy as np
    >>> from cbir.recipe import Recipe
    >>> image = np.zeros((8, 8, 3), np.uint8)
    >>> Pipeline(Recipe.load("colour")).fit([]).describe(image).shape
    (1, 4000)
    """

    def __init__(self, recipe: Recipe, *, n_threads: int = 0) -> None:
        self.recipe = recipe
        self.n_threads = n_threads
        arguments = recipe.feature.arguments()
        # Descriptors are taken before the square root, which `_rooted` applies: see module head.
        self._root = bool(arguments.get("root")) and recipe.feature.name == "sift"
        if self._root:
            arguments["root"] = False
        self.feature: Any = FEATURES[recipe.feature.name](**arguments)
        self.vocabulary: Any = None
        self.aggregation: Any = None
        self._fitted = False

    @property
    def is_local(self) -> bool:
        """Whether an image has a set of descriptors rather than one vector."""
        return bool(self.feature.kind == "local")

    @property
    def is_fitted(self) -> bool:
        """Whether `vectors` and `describe` may be called."""
        return self._fitted

    def decode(self, source: str | Path | bytes | Image) -> Image:
        """Give a picture as this recipe wants it: (H, W, 3) uint8 RGB, upright, resized.

        An array is taken as decoded already and only resized. Raises ImageError, and DTypeError or
        DimensionError for an array that is no picture.
        """
        options = self.recipe.image
        if isinstance(source, np.ndarray):
            return images.resize(source, options.max_side) if options.max_side else source
        return images.decode(
            source,
            max_side=options.max_side,
            max_pixels=options.max_pixels,
            background=options.background,
        )

    def describe_stored(self, image: Image, region: Region | None = None) -> Features:
        """Features in the form that is stored: SIFT as uint8, without RootSIFT's square root."""
        features = self.feature.describe(image, region)
        if isinstance(features, LocalFeatures):
            return LocalFeatures(features.keypoints, _compact(features.descriptors))
        return np.asarray(features, np.float32)

    def features(self, image: Image, region: Region | None = None) -> Features:
        """Features of one picture: `LocalFeatures`, or a (d,) float32 vector."""
        features = self.describe_stored(image, region)
        if isinstance(features, LocalFeatures):
            return LocalFeatures(features.keypoints, self._rooted(features.descriptors))
        return features

    def batch(self, stored: NDArray[Any], offsets: NDArray[np.int64] | None = None) -> Batch:
        """Turn stored features of several images into what `vectors_of` takes."""
        if offsets is not None:
            return Bags(self._rooted(stored), offsets)
        return np.ascontiguousarray(stored, np.float32)

    def features_of(self, part: FeaturePart, i: int) -> Features:
        """Features of image number `i` of a stored part, as `features` gives them."""
        if part.offsets is None:
            assert part.features is not None
            row: Features = part.features[i]
            return row
        assert part.descriptors is not None and part.keypoints is not None
        rows = slice(int(part.offsets[i]), int(part.offsets[i + 1]))
        return LocalFeatures(part.keypoints[rows], self._rooted(part.descriptors[rows]))

    def fit(self, features: Sequence[Features]) -> Pipeline:
        """Fit vocabulary and aggregation to the features of some images (as `features` gives)."""
        batch = self._joined(features)
        count = len(batch.descriptors) if isinstance(batch, Bags) else len(batch)
        self.fit_batches(lambda: iter([batch]), [count])
        return self

    def fit_batches(
        self,
        batches: Callable[[], Iterator[Batch]],
        counts: Sequence[int],
        *,
        progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
    ) -> list[SparseVectors]:
        """Fit to features that come in batches, seen twice; memory stays that of one batch.

        Parameters
        ----------
        batches : gives the batches anew at each call, always the same.
        counts : descriptors in each batch.
        progress : called as ``progress(stage, done, total)`` of "vocabulary" and "aggregation";
            done equals total when a stage is finished, and only then.

        Returns
        -------
        counts : the word counts of each batch where the aggregation makes them on the way (bag of
            words), for `vectors_from_counts`; otherwise empty.

        Raises
        ------
        ParameterError if there are fewer descriptors than words.
        """
        if not self.is_local:
            self._fitted = True
            return []
        recipe = self.recipe
        assert recipe.vocabulary is not None and recipe.aggregation is not None
        options = recipe.vocabulary
        total = int(sum(counts))
        if total < options.n_words:
            raise ParameterError(
                f"vocabulary.n_words={options.n_words}, but the images gave only {total} "
                f"descriptors; choose fewer, e.g. --set vocabulary.n_words={max(total // 10, 1)}"
            )
        sample = self._sample(batches, counts, options.n_words * options.max_points_per_word)
        turns = options.n_iter + 2  # the choice of a start, and one assignment more than moves
        progress("vocabulary", 0, turns)
        vocabulary = VOCABULARIES[options.name](
            **options.arguments(), seed=recipe.seed, n_threads=self.n_threads
        ).fit(sample, on_assignment=lambda n: progress("vocabulary", n, turns))
        del sample
        vocabulary.n_threads = 0  # of this run, not of the model: it must not reach the disk
        self.vocabulary = vocabulary
        progress("vocabulary", turns, turns)
        aggregation = self._new_aggregation()
        kept: list[SparseVectors] = []
        if hasattr(aggregation, "count"):
            for batch in batches():
                progress("aggregation", len(kept), len(counts) + 1)
                kept.append(aggregation.count(batch, n_threads=self.n_threads))
            aggregation.fit_counts(joined_sparse(kept, options.n_words))
        else:
            aggregation.fit(self._joined([]))
        self.aggregation = aggregation
        self._fitted = True
        progress("aggregation", len(counts) + 1, len(counts) + 1)
        return kept

    def vectors_from_counts(self, counts: SparseVectors) -> SparseVectors:
        """Weigh the counts that `fit_batches` gave, without assigning descriptors again."""
        vectors: SparseVectors = self.aggregation.weigh(counts)
        return vectors

    def vectors_of(self, batch: Batch) -> Vectors:
        """Vectors of the images of one batch, one row each; no keypoints give a zero row."""
        self._check_fitted("vectors")
        if not isinstance(batch, Bags):
            return batch
        vectors: Vectors = self.aggregation.transform(batch, n_threads=self.n_threads)
        return vectors

    def vectors(self, features: Sequence[Features]) -> Vectors:
        """Vectors of several images from what `features` gave, one row each."""
        return self.vectors_of(self._joined(features))

    def describe(self, image: Image, region: Region | None = None) -> Vectors:
        """From a decoded picture to one row that the index takes.

        Parameters
        ----------
        image : (H, W, 3) uint8 RGB, as `decode` gives.
        region : (x, y, w, h) in pixels of `image`; only what lies in it is described.

        Raises
        ------
        NotTrainedError before `fit`; DimensionError, DTypeError, ParameterError.
        """
        self._check_fitted("describe")
        return self.vectors([self.features(image, region)])

    def new_index(self) -> Any:
        """An empty index of the recipe's class."""
        self._check_fitted("new_index")
        options = self.recipe.index
        d = self.feature.d
        if self.is_local:
            vectors = self.vectors([])
            d = vectors.n_words if isinstance(vectors, SparseVectors) else vectors.shape[1]
        return INDEXES[options.name](d, **options.arguments())

    def save(self, folder: Path, facts: dict[str, Any] | None = None) -> None:
        """Write the fitted state: `pipeline/`; for local features `vocabulary/`, `aggregation/`.

        `folder` must exist; publish it as a whole (`cbir.store.atomic_folder`).
        """
        self._check_fitted("save")
        params = {"recipe_hash": self.recipe.hash, **(facts or {})}
        save_arrays(folder / "pipeline", kind="Pipeline", params=params, arrays={})
        if self.is_local:
            self.vocabulary.save(folder / "vocabulary")
            self.aggregation.save(folder / "aggregation")

    @classmethod
    def load(cls, folder: Path, recipe: Recipe, *, n_threads: int = 0) -> Pipeline:
        """Read what `save` wrote. Raises FormatError, also if made under another recipe."""
        params = cls.facts(folder)
        if params.get("recipe_hash") != recipe.hash:
            raise FormatError(
                f"{folder}: made under another recipe (hash "
                f"{str(params.get('recipe_hash'))[:12]}, expected {recipe.hash[:12]})"
            )
        pipeline = cls(recipe, n_threads=n_threads)
        if pipeline.is_local:
            assert recipe.vocabulary is not None and recipe.aggregation is not None
            vocabulary = VOCABULARIES[recipe.vocabulary.name].load(folder / "vocabulary")
            pipeline.vocabulary = vocabulary
            pipeline.aggregation = AGGREGATIONS[recipe.aggregation.name].load(
                folder / "aggregation", vocabulary
            )
        pipeline._fitted = True
        return pipeline

    @staticmethod
    def facts(folder: Path) -> dict[str, Any]:
        """What `save` noted beside the state: the recipe's hash and the caller's facts."""
        return load_arrays(folder / "pipeline", kind="Pipeline")[0]

    def _new_aggregation(self) -> Any:
        options = self.recipe.aggregation
        assert options is not None
        return AGGREGATIONS[options.name](self.vocabulary, **options.arguments())

    def _rooted(self, descriptors: NDArray[Any]) -> NDArray[np.float32]:
        x = np.ascontiguousarray(descriptors, np.float32)
        if not self._root:
            return x
        from cbir.features.sift import root_sift

        return root_sift(x)

    def _joined(self, features: Sequence[Features]) -> Batch:
        if self.is_local:
            return Bags.of(
                (np.asarray(f.descriptors, np.float32) for f in features),  # type: ignore[union-attr]
                d=self.feature.d,
            )
        if not len(features):
            return np.zeros((0, self.feature.d), np.float32)
        rows = np.stack([np.asarray(f) for f in features])
        return as_matrix(rows, who="Pipeline", name="features", d=self.feature.d)

    def _sample(
        self, batches: Callable[[], Iterator[Batch]], counts: Sequence[int], most: int
    ) -> NDArray[np.float32]:
        """Descriptors to train on: all, or `most` of them drawn by the seed, in stored order."""
        total = int(sum(counts))
        n = min(total, most, SAMPLE)
        chosen = np.arange(total)
        if n < total:
            draw = np.random.default_rng(self.recipe.seed)
            chosen = np.sort(draw.choice(total, n, replace=False))
        sample = np.empty((n, self.feature.d), np.float32)
        start = 0
        for batch, count in zip(batches(), counts, strict=True):
            assert isinstance(batch, Bags)
            low, high = np.searchsorted(chosen, [start, start + count])
            sample[low:high] = batch.descriptors[chosen[low:high] - start]
            start += count
        return sample

    def _check_fitted(self, method: str) -> None:
        if not self._fitted:
            raise NotTrainedError(f"Pipeline.{method}: not fitted yet; call fit(features) first")


def joined_sparse(parts: Iterable[SparseVectors], n_words: int) -> SparseVectors:
    """Rows of several SparseVectors under one another."""
    parts = list(parts)
    lengths = [np.diff(part.offsets) for part in parts]
    offsets = np.zeros(sum(map(len, lengths)) + 1, np.int64)
    np.cumsum(np.concatenate([np.zeros(0, np.int64), *lengths]), out=offsets[1:])
    return SparseVectors(
        np.concatenate([np.zeros(0, np.int32), *(part.word_ids for part in parts)]),
        np.concatenate([np.zeros(0, np.float32), *(part.weights for part in parts)]),
        offsets,
        n_words,
    )


def _compact(descriptors: NDArray[Any]) -> NDArray[Any]:
    """The same values as uint8 where they are whole numbers 0 to 255, else as they are."""
    small = descriptors.astype(np.uint8)
    return small if np.array_equal(small, descriptors) else descriptors
