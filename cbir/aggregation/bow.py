"""Bag of words: an image as the histogram of its visual words, weighted as text retrieval does.

For image j and word i (Sivic, Zisserman, ICCV 2003, section 4)::

    c_ij = how often word i occurs in image j
    w_ij = tf(c_ij) * idf_i           tf: "raw" c, "log" ln(1 + c), "sqrt" sqrt(c)
    v_j  = w_j / |w_j|                norm: "l1", "l2" or "none"
    idf_i = ln(N / n_i)               n_i of the N images of `fit` hold word i; 0 where n_i = 0

The root of the counts curbs burstiness (Jegou, Douze, Schmid, CVPR 2009: a word that occurs once in
an image tends to occur there again). "log" is ln(1 + c), not 1 + ln(c): soft counts may lie below
1/e, where the latter turns negative.

Soft assignment (Philbin, Chum, Isard, Sivic, Zisserman, CVPR 2008, section 3.1): a descriptor x
counts for its `n_assign` nearest words with weights exp(-|x - c_i|^2 / (2 sigma^2)), scaled to sum
1 over these words. With n_assign=1 that is the hard count. Their sigma^2 = 6250 for SIFT of length
512 is sigma = 0.154 for length 1, the default here.

Where we depart from the papers: words that no image of `fit` holds weigh 0 in a query and are left
out before the norm; weights of 0 are not stored, which changes no score.

Cost: the assignment, N n_words d multiply-adds, dwarfs the rest; 8 bytes per stored weight.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cbir import store
from cbir._checks import check_int, threads
from cbir.aggregation import _bow  # type: ignore[attr-defined]  # compiled
from cbir.aggregation._words import Vocabulary, centroids, check_bags, check_flag
from cbir.errors import DimensionError, FormatError, NotTrainedError, ParameterError
from cbir.types import Bags, SparseVectors

TF = ("raw", "log", "sqrt")
NORMS = ("l1", "l2", "none")


class BagOfWords:
    """Bag-of-words vectors over a fitted vocabulary; `idf_` is learned.

    Parameters
    ----------
    vocabulary : fitted vocabulary of n_words words, such as `cbir.vocabulary.KMeans`.
    tf : "raw", "log" (ln(1 + c)) or "sqrt": how a count c becomes a weight.
    idf : weigh words by ln(N / n_i); False leaves every word at 1, and `fit` is not needed.
    norm : "l1", "l2" or "none".
    n_assign : words a descriptor counts for; 1 is hard assignment.
    sigma : width of soft assignment, in units of the descriptors; unused with n_assign=1.
    n_threads : threads for the assignment; 0 takes all this process may use.

    Attributes
    ----------
    idf_ : (n_words,) float32, after `fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from cbir.aggregation import BagOfWords
    >>> from cbir.types import Bags
    >>> from cbir.vocabulary import KMeans
    >>> x = np.float32([[0, 0], [0, 1], [9, 9], [9, 8]])
    >>> words = KMeans(2, init=x[[0, 2]], n_iter=2).fit(x)
    >>> bags = Bags.of([x, x[:1]])  # the second image lacks word 1, whose idf is ln(2 / 1)
    >>> BagOfWords(words, norm="none", tf="raw").fit(bags).transform(bags).to_dense()
    array([[0.       , 1.3862944],
           [0.       , 0.       ]], dtype=float32)
    """

    takes: ClassVar[Any] = Bags
    gives: ClassVar[Any] = SparseVectors

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        tf: Annotated[
            Literal["raw", "log", "sqrt"], Field(description="weight of a word's count")
        ] = "sqrt",
        idf: Annotated[
            bool, Field(description="weigh words by log(images / images with the word)")
        ] = True,
        norm: Annotated[
            Literal["l1", "l2", "none"], Field(description="normalisation of the vector")
        ] = "l2",
        n_assign: Annotated[
            int, Field(ge=1, le=64, description="words per descriptor; above 1: soft assignment")
        ] = 1,
        sigma: Annotated[
            float, Field(gt=0, le=1e6, description="width of the soft weight exp(-d2 / (2 sigma2))")
        ] = 0.154,
        n_threads: int = 0,
    ) -> None:
        who = "BagOfWords"
        if tf not in TF:
            raise ParameterError(f"{who}: tf={tf!r}, allowed is one of {', '.join(TF)}")
        if norm not in NORMS:
            raise ParameterError(f"{who}: norm={norm!r}, allowed is one of {', '.join(NORMS)}")
        if not (isinstance(sigma, (int, float)) and 0 < sigma < float("inf")):
            raise ParameterError(f"{who}: sigma={sigma!r}, expected a number above 0")
        self.vocabulary = vocabulary
        self.tf = tf
        self.idf = check_flag(idf, who=who, name="idf")
        self.norm = norm
        self.n_assign = check_int(n_assign, who=who, name="n_assign", low=1)
        self.sigma = float(sigma)
        self.n_threads = check_int(n_threads, who=who, name="n_threads", low=0)

    @property
    def learns(self) -> bool:
        """Whether `fit` learns from data: the idf does."""
        return self.idf

    @property
    def n_words(self) -> int:
        """Number of words."""
        return len(centroids(self.vocabulary, who="BagOfWords"))

    @property
    def d(self) -> int:
        """Width of a vector: `n_words`."""
        return self.n_words

    def fit(self, bags: Bags) -> BagOfWords:
        """Learn `idf_` from the images of `bags`.

        Raises
        ------
        NotTrainedError if the vocabulary is not fitted; DimensionError if `bags` has another d;
        DTypeError if it is no `Bags`; ParameterError if a descriptor holds NaN or infinity.
        """
        return self.fit_counts(self.count(bags))

    def transform(self, bags: Bags, *, n_threads: int | None = None) -> SparseVectors:
        """Give the weighted vector of each image.

        Returns
        -------
        vectors : n rows of width `n_words`; word ids rise inside a row; a row without weight is
            empty. Raises NotTrainedError before `fit` (not with idf=False), the rest as `fit`.
        """
        self._check_fitted("transform")  # before the work, not after it
        return self.weigh(self.count(bags, n_threads=n_threads))

    def fit_transform(self, bags: Bags) -> SparseVectors:
        """As ``fit(bags).transform(bags)``, with the descriptors assigned once, not twice."""
        counts = self.count(bags)
        return self.fit_counts(counts).weigh(counts)

    def count(self, bags: Bags, *, n_threads: int | None = None) -> SparseVectors:
        """First half of `transform`: c_ij, before any weighting.

        `fit_counts` and `weigh` do the rest. They are kept apart so that a large collection assigns
        each descriptor once, part by part, and learns the idf from all of its parts.
        """
        who = "BagOfWords.count"
        centres = centroids(self.vocabulary, who=who)
        n_words = len(centres)
        bags = check_bags(bags, centres.shape[1], who=who)
        n = threads(self.n_threads if n_threads is None else n_threads, who=who)
        if self.n_assign > n_words:
            raise ParameterError(f"{who}: n_assign={self.n_assign} of only {n_words} words")
        shares = None
        x = bags.descriptors
        if len(x) == 0:
            word_ids = np.zeros((0, self.n_assign), np.int32)
        elif self.n_assign == 1:
            word_ids = np.asarray(self.vocabulary.predict(x, n_threads=n)).reshape(-1, 1)
        else:
            word_ids, squared = self.vocabulary.predict_nearest(x, self.n_assign, n_threads=n)
            shares = self._shares(squared)
        word_ids = np.ascontiguousarray(word_ids, np.int32)
        if word_ids.shape != (len(x), self.n_assign):
            raise DimensionError(
                f"{who}: the vocabulary gave word ids {word_ids.shape} for {len(x)} descriptors, "
                f"expected {(len(x), self.n_assign)}"
            )
        ids, weights, offsets = _bow.count(word_ids, shares, bags.offsets, n_words)
        return SparseVectors(ids, weights, offsets, n_words)

    def fit_counts(self, counts: SparseVectors | Iterable[SparseVectors]) -> BagOfWords:
        """Learn `idf_` from the counts of `count`: of all images, or of batch after batch.

        Of batches only the sums of document frequencies are held.

        Raises
        ------
        NotTrainedError if the vocabulary is not fitted; DimensionError for counts over another one.
        """
        n_words, n_images = self.n_words, 0
        held = np.zeros(n_words, np.int64)
        for batch in [counts] if isinstance(counts, SparseVectors) else counts:
            self._check_width(batch, "fit_counts")
            held += np.bincount(batch.word_ids[batch.weights > 0], minlength=n_words)
            n_images += len(batch)
        idf = np.ones(n_words)
        if self.idf:
            idf[:] = 0.0
            seen = held > 0
            idf[seen] = np.log(n_images / held[seen])
        self.idf_ = idf.astype(np.float32)
        return self

    def weigh(self, counts: SparseVectors) -> SparseVectors:
        """Second half of `transform`: tf, idf and norm of the counts of `count`."""
        self._check_fitted("weigh")
        self._check_width(counts, "weigh")
        idf = self.idf_ if self.idf else np.ones(counts.n_words, np.float32)
        word_ids, weights, offsets = _bow.weigh(
            np.ascontiguousarray(counts.word_ids),
            np.ascontiguousarray(counts.weights),
            np.ascontiguousarray(counts.offsets),
            idf,
            TF.index(self.tf),
            NORMS.index(self.norm),
        )
        return SparseVectors(word_ids, weights, offsets, counts.n_words)

    def save(self, folder: Path | str) -> None:
        """Write parameters and `idf_` (not the vocabulary) to `folder`."""
        self._check_fitted("save")
        arrays = {"idf": self.idf_} if hasattr(self, "idf_") else {}
        store.save_arrays(Path(folder), kind="BagOfWords", params=self._params(), arrays=arrays)

    @classmethod
    def load(cls, folder: Path | str, vocabulary: Vocabulary) -> BagOfWords:
        """Read what `save` wrote; `vocabulary` is the one it was fitted with.

        Raises
        ------
        FormatError naming the folder if a file is missing, altered, or of another vocabulary.
        """
        params, arrays = store.load_arrays(Path(folder), kind="BagOfWords")
        who = f"BagOfWords.load: {folder}"
        try:
            loaded = cls(vocabulary, **params)
        except (TypeError, ValueError) as error:
            raise FormatError(f"{who}: {error}") from None
        idf = arrays.get("idf")
        if idf is None:
            if loaded.idf:
                raise FormatError(f"{who} holds no idf")
            return loaded
        expected = (loaded.n_words,)
        if idf.shape != expected or idf.dtype != np.float32 or not np.isfinite(idf).all():
            raise FormatError(
                f"{who}: idf is {idf.dtype} {idf.shape}, expected finite float32 {expected}"
            )
        loaded.idf_ = idf
        return loaded

    def _params(self) -> dict[str, Any]:
        names = ("tf", "idf", "norm", "n_assign", "sigma", "n_threads")
        return {name: getattr(self, name) for name in names}

    def _shares(self, squared: NDArray[np.float32]) -> NDArray[np.float32]:
        """exp(-d2 / (2 sigma^2)), scaled to sum 1 over each row of `squared` (N, n_assign)."""
        # Far from every word all terms would vanish and give 0 / 0; the least distance cancels out.
        away = squared.astype(np.float64)
        away -= away.min(axis=1, keepdims=True)
        # The square of a very small sigma is 0, and the nearest word would get 0 / 0.
        width = max(2.0 * self.sigma**2, float(np.finfo(np.float64).tiny))
        with np.errstate(over="ignore"):
            shares = np.exp(away / -width)
        shares /= shares.sum(axis=1, keepdims=True)
        return np.ascontiguousarray(shares, np.float32)

    def _check_fitted(self, method: str) -> None:
        if self.idf and not hasattr(self, "idf_"):
            raise NotTrainedError(f"BagOfWords.{method}: no idf yet; call fit(bags) first")

    def _check_width(self, counts: SparseVectors, method: str) -> None:
        if counts.n_words != self.n_words:
            raise DimensionError(
                f"BagOfWords.{method}: counts has n_words={counts.n_words}, "
                f"the vocabulary has {self.n_words}"
            )
