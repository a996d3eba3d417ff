"""VLAD: an image as what its visual words leave unexplained.

Block i of the vector is the sum of the residuals of the descriptors whose nearest word is i::

    v_i = sum over x with w(x) = i of (x - c_i)                       n_words blocks of width d

then, in this order, each step unless switched off::

    signed square root   v <- sign(v) sqrt(|v|)     Jegou et al., PAMI 2012, section 4.1
    intra-normalisation  v_i <- v_i / |v_i|         Arandjelovic, Zisserman, CVPR 2013, section 3.2
    L2                   v <- v / |v|               Jegou, Douze, Schmid, Perez, CVPR 2010

A block without descriptors, and one whose residuals cancel, is zero and stays zero; so does an
image without descriptors. The order is VLFeat's (``vl_vlad_encode``: square root, components, L2);
its further switch, dividing a block by its number of descriptors (mass), is left out:
intra-normalisation makes it moot.

Cost per image: n n_words d multiply-adds for the assignment, then n d additions; n_words d floats
of memory. The kernel is ``csrc/vlad/``, the twin `cbir.reference.vlad`, the speed in
``benchmarks/results/speed_vlad.json``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from cbir import _core, store
from cbir._checks import check_finite, check_int, threads
from cbir.aggregation._words import Vocabulary, centroids, check_bags, check_flag
from cbir.errors import FormatError, ParameterError
from cbir.types import Bags, Vectors
from cbir.vocabulary import KMeans


class VLAD:
    """Vectors of locally aggregated descriptors over a fitted vocabulary. Nothing is learned.

    Parameters
    ----------
    vocabulary : fitted vocabulary, such as `cbir.vocabulary.KMeans`; 16 to 256 words are usual.
    signed_sqrt : take the signed square root of each component.
    intra : give each block that isn't zero length 1.
    l2 : give each vector that isn't zero length 1.
    n_threads : threads for assignment and sums; 0 takes all this process may use.

    Examples
    --------
    >>> import numpy as np
    >>> from cbir.aggregation import VLAD
    >>> from cbir.types import Bags
    >>> from cbir.vocabulary import KMeans
    >>> centres = np.float32([[0, 0], [10, 10]])
    >>> words = KMeans(2, init=centres, n_iter=1).fit(centres)
    >>> bags = Bags.of([np.float32([[1, 0], [0, 2], [10, 7]])])
    >>> VLAD(words, signed_sqrt=False, intra=False, l2=False).transform(bags)
    array([[ 1.,  2.,  0., -3.]], dtype=float32)
    """

    takes: ClassVar[Any] = Bags
    gives: ClassVar[Any] = Vectors
    learns: ClassVar[bool] = False

    def __init__(
        self,
        vocabulary: Vocabulary,
        *,
        signed_sqrt: Annotated[
            bool, Field(description="sign(x) sqrt(|x|) of each component")
        ] = True,
        intra: Annotated[
            bool, Field(description="L2 within each word (Arandjelovic, CVPR 2013)")
        ] = True,
        l2: Annotated[bool, Field(description="L2 of the whole vector")] = True,
        n_threads: int = 0,
    ) -> None:
        self.vocabulary = vocabulary
        self.signed_sqrt = check_flag(signed_sqrt, who="VLAD", name="signed_sqrt")
        self.intra = check_flag(intra, who="VLAD", name="intra")
        self.l2 = check_flag(l2, who="VLAD", name="l2")
        self.n_threads = check_int(n_threads, who="VLAD", name="n_threads", low=0)

    @property
    def d(self) -> int:
        """Width of a vector: words times width of a descriptor."""
        return int(centroids(self.vocabulary, who="VLAD").size)

    def fit(self, bags: Bags) -> VLAD:
        """Check `bags` against the vocabulary and give self: there is nothing to learn.

        Raises
        ------
        NotTrainedError if the vocabulary is not fitted; DimensionError if `bags` has another d;
        DTypeError if it is no `Bags`.
        """
        check_bags(bags, centroids(self.vocabulary, who="VLAD.fit").shape[1], who="VLAD.fit")
        return self

    def transform(self, bags: Bags, *, n_threads: int | None = None) -> NDArray[np.float32]:
        """Encode each image; the bytes depend neither on `n_threads` nor on the SIMD level.

        Returns
        -------
        vectors : (n, n_words d) float32. Raises as `fit`, and ParameterError if a descriptor
            holds NaN or infinity.
        """
        who = "VLAD.transform"
        centres = centroids(self.vocabulary, who=who)
        bags = check_bags(bags, centres.shape[1], who=who)
        n = threads(self.n_threads if n_threads is None else n_threads, who=who)
        x, offsets = bags.descriptors, bags.offsets
        vectors = np.empty((len(bags), centres.size), np.float32)
        steps = {"signed_sqrt": self.signed_sqrt, "intra": self.intra, "l2": self.l2}
        own = self.vocabulary if isinstance(self.vocabulary, KMeans) else None
        word_ids = np.zeros(0, np.int32)
        if own is None and len(x):
            word_ids = np.ascontiguousarray(self.vocabulary.predict(x, n_threads=n), np.int32)
        try:
            if own is not None:
                words = own.packed()
                _core.vlad_transform(x, offsets, words, **steps, n_threads=n, out=vectors)
            else:
                _core.vlad_encode(x, offsets, word_ids, centres, **steps, n_threads=n, out=vectors)
        except ValueError as error:  # NaN and infinity: this says where; the rest names itself
            check_finite(x, who=who, name="bags.descriptors")
            raise ParameterError(f"{who}: {error}") from None
        return vectors

    def fit_transform(self, bags: Bags) -> NDArray[np.float32]:
        """As ``fit(bags).transform(bags)``."""
        return self.fit(bags).transform(bags)

    def save(self, folder: Path | str) -> None:
        """Write the parameters (not the vocabulary) to `folder`."""
        centroids(self.vocabulary, who="VLAD.save")
        store.save_arrays(Path(folder), kind="VLAD", params=self._params(), arrays={})

    @classmethod
    def load(cls, folder: Path | str, vocabulary: Vocabulary) -> VLAD:
        """Read what `save` wrote.

        Raises
        ------
        FormatError naming the folder if a file is missing or altered.
        """
        params, _ = store.load_arrays(Path(folder), kind="VLAD")
        try:
            return cls(vocabulary, **params)
        except (TypeError, ValueError) as error:
            raise FormatError(f"VLAD.load: {folder}: {error}") from None

    def _params(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("signed_sqrt", "intra", "l2", "n_threads")}
