"""What a re-ranker is handed, what it gives, and how re-ranked hits join those behind them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cbir.types import Features, SearchResult, SparseVectors, Vectors


class Query(Protocol):
    """Queries as they were described.

    Attributes
    ----------
    vectors : channel -> one row for each query.
    features : hash of a feature -> what it gave for the picture; empty where it is not known.
    """

    @property
    def vectors(self) -> Mapping[str, Vectors | SparseVectors]:
        """Rows of each channel."""
        ...

    @property
    def features(self) -> Mapping[str, Features]:
        """Features of the picture."""
        ...


class Database(Protocol):
    """What is searched: an index for each channel, and what is stored of each picture."""

    def index(self, channel: str) -> Any:
        """Index of a channel: `search`, `score`, `reconstruct`, `metric`, `ntotal`."""
        ...

    def vectors(self, ids: ArrayLike, channel: str) -> Vectors | SparseVectors:
        """Rows of these pictures, in that order, exact also where the index is not."""
        ...

    def features(self, ids: ArrayLike, channel: str) -> list[Features]:
        """Features of these pictures, in that order, as the feature's `describe` gives them."""
        ...


class Reranker(ABC):
    """Puts the first `depth` hits of each query into a better order."""

    depth: int

    @abstractmethod
    def ascending(self, metrics: Mapping[str, str]) -> bool:
        """Whether smaller `D` is better in its answers; `metrics` names that of each channel."""

    @abstractmethod
    def rerank(
        self, query: Query, result: SearchResult, database: Database, *, n_threads: int = 0
    ) -> SearchResult:
        """Give the hits of `result`, (nq, k), again, the first `depth` of each in a new order."""


def in_front(
    row: tuple[NDArray[np.float32], NDArray[np.int64]],
    judged: NDArray[np.int64],
    values: NDArray[np.float32],
    *,
    ascending: bool,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Put the first hits of one query in order of their new values, the others behind them.

    Parameters
    ----------
    row : D and I of one query, (k,) each.
    judged : (m,) the first m ids of the row, none of them -1.
    values : (m,) their new values.
    ascending : whether smaller values are better.

    Returns
    -------
    D, I : (k,) each; ties to the smaller id. What `D` is behind the first m: see the package.
    """
    found, ids = row
    m, k = len(judged), int((ids >= 0).sum())
    order = np.lexsort((judged, values if ascending else -values))
    out, names = np.empty_like(found), ids.copy()
    out[:m], names[:m] = values[order], judged[order]
    out[k:] = np.inf if ascending else -np.inf
    if m < k:
        behind, last = found[m:k], out[m - 1] if m else found[0]
        worse = np.maximum if ascending else np.minimum
        # Each hit by itself: what is said of it must not depend on how many come after it.
        onward = behind >= found[0] if ascending else behind <= found[0]
        out[m:k] = worse.accumulate(np.where(onward, worse(behind, last), last))
    return out, names
