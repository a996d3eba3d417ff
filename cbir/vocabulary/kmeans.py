"""k-means: the visual vocabulary. Each word is the mean of the descriptors nearest to it.

Lloyd's algorithm (Lloyd, IEEE Trans. Inf. Theory 28, 1982) lowers the inertia, the sum over i of
|x_i - c(x_i)|^2, in turns::

    assign   word(x) = argmin_j |x - c_j|^2 = argmax_j (x.c_j - |c_j|^2 / 2)
    move     c_j = mean of the points of word j

Start: k-means++ (Arthur & Vassilvitskii, SODA 2007), exact up to 256 words; above that in batches,
the idea of k-means|| (Bahmani et al., VLDB 2012). Or hierarchical: coarse clusters, then words
within each (``_hierarchical.py``), which on 111,000 RootSIFT descriptors costs less and reaches
with 5 turns an inertia 1.1 % (1,024 words) and .6 % (5,000 words) lower. A word without points
takes the point farthest from its centroid.

Cost: n * n_words * d multiply-adds a turn, and no n x n_words matrix; memory is the training
sample, 8 bytes a point beside it, and the vocabulary twice. Training takes at most
`max_points_per_word` points a word: a mean of 256 descriptors moves little when more are added.

Departures: batched seeding draws exactly n_words rows and so needs no second clustering
(csrc/kmeans/seed.cpp); iteration stops only when no assignment changes or after n_iter turns, never
by a tolerance.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field

from cbir import _core
from cbir._checks import as_matrix, check_finite, check_int, threads
from cbir.errors import DimensionError, FormatError, NotTrainedError, ParameterError
from cbir.vocabulary._hierarchical import hierarchical_start

INITS = ("k-means++", "hierarchical", "random")

DESCRIPTORS_PER_WORD = 10
"""n_words="auto" gives one word for so many descriptors: fewer, and most words would be noise."""

MOST_AUTO_WORDS = 20_000
"""n_words="auto" gives no more words than this: past it a build grows dear, and gains little."""

log = logging.getLogger("cbir.vocabulary")


class KMeans:
    """A vocabulary of `n_words` centroids.

    Parameters
    ----------
    n_words : number of words, or "auto": `words_for` the descriptors.
    n_iter : most turns of Lloyd's algorithm; it stops before when no assignment changes.
    init : "k-means++", "hierarchical" (coarse clusters, then words within each of them),
        "random" (distinct training points), or an (n_words, d) array to start from.
    max_points_per_word : train on a random sample of at most this many points a word; 0 takes all
        points.
    seed : of the sample and of the start. Same seed, same bytes, whatever n_threads.
    n_threads : 0 takes all CPUs this process may use.

    Attributes
    ----------
    centroids_ : (n_words, d) float32.
    inertia_ : sum of squared distances of the training points to their nearest centroid.
    inertia_history_ : (turns + 1,) float64, the inertia of each assignment; never rises but for
        rounding.
    n_repaired_ : how often an empty word was given a point.

    Examples
    --------
    >>> import numpy as np
    >>> from cbir.vocabulary import KMeans
    >>> x = np.float32([[0, 0], [0, 2], [9, 9], [9, 7]])
    >>> vocabulary = KMeans(2, seed=3).fit(x)
    >>> sorted(vocabulary.centroids_.tolist())
    [[0.0, 1.0], [9.0, 8.0]]
    >>> vocabulary.inertia_
    4.0
    """

    centroids_: NDArray[np.float32]
    inertia_: float
    inertia_history_: NDArray[np.float64]
    n_repaired_: int

    def __init__(
        self,
        n_words: Annotated[
            Annotated[int, Field(ge=1, le=10_000_000)] | Literal["auto"],
            Field(description="visual words; auto: 1 for 10 descriptors, at most 20000"),
        ],
        *,
        n_iter: Annotated[
            int, Field(ge=0, le=1000, description="turns of Lloyd's algorithm at most")
        ] = 20,
        init: Annotated[
            Literal["k-means++", "hierarchical", "random"],
            Field(description="how the first words are chosen"),
        ]
        | ArrayLike = "k-means++",
        max_points_per_word: Annotated[
            int,
            Field(ge=0, le=1_000_000, description="descriptors per word to train on; 0: all"),
        ] = 256,
        seed: int = 0,
        n_threads: int = 0,
    ) -> None:
        self.n_words = n_words
        self.n_iter = n_iter
        self.init = init
        self.max_points_per_word = max_points_per_word
        self.seed = seed
        self.n_threads = n_threads
        # Packed for the kernel at the first use; remade, not stored.
        self._packed: _core.KMeansWords | None = None

    @property
    def d(self) -> int:
        """Width of a descriptor."""
        return int(self._trained("d").shape[1])

    def words_for(self, n: int) -> int:
        """Give the number of words that `fit` makes of `n` descriptors.

        That is n_words, or with "auto" one for every 10 descriptors: 1 to 20,000.

        >>> KMeans("auto").words_for(2_500), KMeans("auto").words_for(525_298)
        (250, 20000)
        """
        if isinstance(self.n_words, str):
            if self.n_words != "auto":
                raise ParameterError(
                    f'KMeans: n_words={self.n_words!r}, allowed is "auto" or a number'
                )
            return max(1, min(n // DESCRIPTORS_PER_WORD, MOST_AUTO_WORDS))
        return check_int(self.n_words, who="KMeans", name="n_words", low=1, high=2**31 - 64)

    def sample_size(self, n: int) -> int:
        """Give how many of `n` descriptors `fit` trains on: a random sample of them will do."""
        per_word = self.max_points_per_word
        return min(n, self.words_for(n) * per_word) if per_word else n

    def fit(
        self,
        x: ArrayLike,
        *,
        drawn_from: int | None = None,
        on_assignment: Callable[[int], object] | None = None,
    ) -> KMeans:
        """Learn the words from descriptors.

        Parameters
        ----------
        x : (n, d) float32 or float64 (cast). Not modified.
        drawn_from : number of descriptors that x is a sample of; by default x is all of them. With
            n_words="auto" it decides the number of words.
        on_assignment : called after each of the at most n_iter + 1 assignments with how many there
            have been; for progress bars.

        Returns
        -------
        self. Raises DimensionError, DTypeError, and ParameterError for NaN or infinity, fewer
        points than words, values whose squared distances overflow float32 or a parameter out of
        range; what on_assignment raises passes through.
        """
        who = "KMeans.fit"
        n_iter = check_int(self.n_iter, who=who, name="n_iter", low=0)
        per_word = check_int(self.max_points_per_word, who=who, name="max_points_per_word", low=0)
        seed = check_int(self.seed, who=who, name="seed", low=0, high=2**64 - 1)
        n_threads = threads(self.n_threads, who=who)
        x = as_matrix(x, who=who, name="x")
        if x.shape[1] == 0:
            raise DimensionError(f"{who}: x has shape {x.shape}, expected at least one column")
        n_words = self.words_for(len(x) if drawn_from is None else drawn_from)
        if self.n_words == "auto":
            log.info("vocabulary: %d words", n_words)
        if len(x) < n_words:
            raise ParameterError(
                f"{who}: n_words={n_words} but x has {len(x)} points; ask for at most {len(x)} "
                "words or train on more descriptors"
            )
        # Random numbers: one stream for the sample, another for the start, so that neither moves
        # the other.
        sampling, starting = np.random.SeedSequence(seed).spawn(2)
        wanted = n_words * per_word
        if per_word and len(x) > wanted:
            rows = np.random.default_rng(sampling).choice(len(x), wanted, replace=False)
            x = x[np.sort(rows)]
        _check_squares(x, who=who, name="x")
        start = self._start(x, n_words, starting, n_threads)
        found = _core.kmeans_lloyd(x, start, n_iter, n_threads, on_assignment)
        self.centroids_, history, self.n_repaired_ = found
        self.inertia_history_ = np.array(history, np.float64)
        self.inertia_ = float(history[-1])
        self._packed = None
        return self

    def predict(self, x: ArrayLike, *, n_threads: int | None = None) -> NDArray[np.int32]:
        """Give the nearest word of each descriptor.

        Parameters
        ----------
        x : (n, d) float32 or float64 (cast). Not modified.
        n_threads : overrides the constructor's.

        Returns
        -------
        word_ids : (n,) int32; ties go to the lower word.

        Raises
        ------
        NotTrainedError, DimensionError, DTypeError, and ParameterError for NaN or infinity.
        """
        who = "KMeans.predict"
        centroids = self._trained("predict")
        x = as_matrix(x, who=who, name="x", d=centroids.shape[1], finite=False)
        n = self._threads(n_threads, who)
        try:
            word_ids: NDArray[np.int32] = self.packed().assign(x, n)
        except ValueError:  # the kernel saw NaN or infinity; this says where
            check_finite(x, who=who, name="x")
            raise
        return word_ids

    def predict_nearest(
        self, x: ArrayLike, n_assign: int, *, n_threads: int | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Give the `n_assign` nearest words of each descriptor, for soft assignment.

        Parameters
        ----------
        x : (n, d) float32 or float64 (cast). Not modified.
        n_assign : 1 to n_words.
        n_threads : overrides the constructor's.

        Returns
        -------
        word_ids : (n, n_assign) int32, nearest first by the score that `predict` compares, ties to
            the lower word: column 0 is what `predict` gives, and the answer for n_assign is a
            prefix of that for n_assign + 1.
        distances : (n, n_assign) float32, squared, by direct differences; they rise, but where two
            words tie within the rounding of their scores. Raises as `predict` does.
        """
        who = "KMeans.predict_nearest"
        centroids = self._trained("predict_nearest")
        n_assign = check_int(n_assign, who=who, name="n_assign", low=1, high=len(centroids))
        x = as_matrix(x, who=who, name="x", d=centroids.shape[1], finite=False)
        word_ids: NDArray[np.int32]
        distances: NDArray[np.float32]
        n = self._threads(n_threads, who)
        try:
            word_ids, distances = self.packed().nearest(x, n_assign, n)
        except ValueError:  # the kernel saw NaN or infinity; this says where
            check_finite(x, who=who, name="x")
            raise
        return word_ids, distances

    def packed(self) -> _core.KMeansWords:
        """Give the words as the native kernels want them; packed once, then kept."""
        # Two threads may both pack; the second result replaces an equal first one.
        if self._packed is None:
            self._packed = _core.KMeansWords(self._trained("packed"))
        return self._packed

    def save(self, folder: Path | str) -> None:
        """Write the vocabulary to a folder; raises NotTrainedError if there is none."""
        from cbir.store import save_arrays

        arrays: dict[str, NDArray[Any]] = {
            "centroids": self._trained("save"),
            "inertia_history": self.inertia_history_,
        }
        params: dict[str, Any] = {
            "n_words": self.n_words if self.n_words == "auto" else int(self.n_words),
            "n_iter": int(self.n_iter),
            "max_points_per_word": int(self.max_points_per_word),
            "seed": int(self.seed),
            "n_threads": int(self.n_threads),
            "n_repaired": int(self.n_repaired_),
        }
        if isinstance(self.init, str):
            params["init"] = self.init
        else:
            arrays["init"] = np.ascontiguousarray(self.init, np.float32)
        save_arrays(Path(folder), kind="KMeans", params=params, arrays=arrays)

    @classmethod
    def load(cls, folder: Path | str, *, mmap: bool = False) -> KMeans:
        """Read what `save` wrote; raises FormatError naming a missing, cut or altered file."""
        from cbir.store import load_arrays

        params, arrays = load_arrays(Path(folder), kind="KMeans", mmap=mmap)
        try:
            n_repaired = params.pop("n_repaired")
            self = cls(init=params.pop("init") if "init" in params else arrays["init"], **params)
            centroids, history = arrays["centroids"], arrays["inertia_history"]
        except (KeyError, TypeError) as error:
            raise FormatError(
                f"{folder}: the manifest does not describe a KMeans: {error}"
            ) from None
        if (
            centroids.dtype != np.float32
            or centroids.ndim != 2
            or (self.n_words != "auto" and len(centroids) != self.n_words)
            or centroids.shape[1] == 0
            or not np.isfinite(centroids).all()
            or not _squares_fit(centroids)
            or history.ndim != 1
            or not len(history)
        ):
            raise FormatError(
                f"{folder}: centroids {centroids.dtype} {centroids.shape} are no {self!r}"
            )
        self.centroids_ = np.ascontiguousarray(centroids)
        self.inertia_history_ = np.asarray(history, np.float64)
        self.inertia_ = float(history[-1])
        self.n_repaired_ = n_repaired
        return self

    def __repr__(self) -> str:
        state = f", d={self.centroids_.shape[1]}" if hasattr(self, "centroids_") else ", not fitted"
        return f"KMeans(n_words={self.n_words}{state})"

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_packed": None}

    def _trained(self, method: str) -> NDArray[np.float32]:
        if not hasattr(self, "centroids_"):
            raise NotTrainedError(
                f"KMeans.{method}: no centroids yet; call fit(x) first, or load(folder)"
            )
        return self.centroids_

    def _threads(self, n_threads: int | None, who: str) -> int:
        return threads(self.n_threads if n_threads is None else n_threads, who=who)

    def _start(
        self, x: NDArray[np.float32], n_words: int, stream: np.random.SeedSequence, n_threads: int
    ) -> NDArray[np.float32]:
        """Give the centroids to start from, (n_words, d)."""
        who = "KMeans.fit"
        if not isinstance(self.init, str):
            start = as_matrix(self.init, who=who, name="init", d=x.shape[1])
            if len(start) != n_words:
                raise DimensionError(
                    f"{who}: init has {len(start)} rows, expected n_words={n_words}"
                )
            _check_squares(start, who=who, name="init")
            return start
        if self.init == "random":
            return x[np.random.default_rng(stream).choice(len(x), n_words, replace=False)]
        if self.init == "k-means++":
            seed = int(stream.generate_state(1, np.uint64)[0])
            return x[_core.kmeans_seed_rows(x, n_words, seed, n_threads)]
        if self.init == "hierarchical":
            return hierarchical_start(x, n_words, stream, n_threads)
        raise ParameterError(
            f"{who}: init={self.init!r}, allowed are {', '.join(map(repr, INITS))} "
            "and an (n_words, d) array"
        )


def _squares_fit(x: NDArray[np.float32]) -> bool:
    """Whether every squared distance between points of this size is a finite float32."""
    largest = max(float(x.max(initial=0)), -float(x.min(initial=0)))
    return bool(x.shape[1] * (2 * largest) ** 2 < float(np.finfo(np.float32).max))


def _check_squares(x: NDArray[np.float32], *, who: str, name: str) -> None:
    if not _squares_fit(x):
        raise ParameterError(
            f"{who}: {name} holds values whose squared distances overflow float32; scale x down"
        )
