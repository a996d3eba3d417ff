"""What an aggregation asks of a vocabulary, and how vocabulary and bags are checked."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from cbir._checks import as_matrix
from cbir.errors import DimensionError, DTypeError, NotTrainedError, ParameterError
from cbir.types import Bags


class Vocabulary(Protocol):
    """A fitted vocabulary: `cbir.vocabulary.KMeans` or anything that does the same."""

    def predict(self, x: NDArray[np.float32], *, n_threads: int | None = None) -> NDArray[np.int32]:
        """Nearest word of each row, (n,) int32."""
        ...

    def predict_nearest(
        self, x: NDArray[np.float32], n_assign: int, *, n_threads: int | None = None
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """The `n_assign` nearest words, nearest first, and squared distances, (n, n_assign)."""
        ...


def centroids(vocabulary: Any, *, who: str) -> NDArray[np.float32]:
    """Centroids (n_words, d) of a fitted vocabulary, or NotTrainedError."""
    found = getattr(vocabulary, "centroids_", None)
    if found is None:
        raise NotTrainedError(f"{who}: the vocabulary is not trained; call its fit(x) first")
    return as_matrix(found, who=who, name="vocabulary.centroids_", finite=False)


def check_bags(bags: Any, d: int, *, who: str) -> Bags:
    """`bags`, with descriptors C-contiguous float32 (N, d)."""
    if not isinstance(bags, Bags):
        raise DTypeError(
            f"{who}: bags is {type(bags).__name__}, expected Bags; join arrays by Bags.of(...)"
        )
    offsets = np.ascontiguousarray(bags.offsets)
    if len(bags.descriptors) == 0:  # no descriptor has no width either
        return Bags(np.zeros((0, d), np.float32), offsets)
    if bags.d != d:
        raise DimensionError(f"{who}: bags has d={bags.d}, the vocabulary has d={d}")
    # NaN and infinity are looked for by the vocabulary, which reads every value anyway.
    return Bags(
        as_matrix(bags.descriptors, who=who, name="bags.descriptors", finite=False), offsets
    )


def check_flag(value: Any, *, who: str, name: str) -> bool:
    """True or False; a string such as "no" would count as true."""
    if not isinstance(value, (bool, np.bool_)):
        raise ParameterError(f"{who}: {name}={value!r}, expected True or False")
    return bool(value)
