"""From a described query to the final list: search each channel, fuse, re-rank.

::

    Query --search--> hits of each channel --fuse--> one list --rerank, rerank, ...--> SearchResult

One channel needs no fusion: its list is the index's, and so is `D`. With several, `D` is the fused
score (`fusion.py`), descending. After a re-ranker see `cbir.rerank` for what `D` means; it is
monotone in every case, and the answer for k is a prefix of that for k + 1: the list that is
re-ranked is made deep enough for every re-ranker, however few hits were asked for.

Search knobs: those under ``[index.search]`` of the recipe hold, one given to `answer` goes before
them, to each channel whose index has a knob of that name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cbir._checks import check_k
from cbir.errors import ParameterError
from cbir.pipeline.channel import Channel
from cbir.pipeline.fusion import fuse
from cbir.rerank import Database, Query, Reranker
from cbir.types import Features, SearchResult, SparseVectors, Vectors


class ArrayDatabase:
    """A `Database` of arrays in memory, for tests and for those who need no folder on disk.

    Parameters
    ----------
    indexes : channel -> index.
    vectors : channel -> rows, row i for id i; by default the index gives its own back.
    features : channel -> features, number i for id i.

    Examples
    --------
    >>> import numpy as np
    >>> from cbir.indexes import Flat
    >>> index = Flat(2)
    >>> index.add(np.eye(2, dtype=np.float32))
    >>> ArrayDatabase({"main": index}).vectors([1], "main").tolist()
    [[0.0, 1.0]]
    """

    def __init__(
        self,
        indexes: Mapping[str, Any],
        *,
        vectors: Mapping[str, Any] | None = None,
        features: Mapping[str, Sequence[Features]] | None = None,
    ) -> None:
        self._indexes = dict(indexes)
        self._vectors = dict(vectors or {})
        self._features = dict(features or {})

    def index(self, channel: str) -> Any:
        """Index of a channel."""
        return self._get(self._indexes, channel, "index")

    def vectors(self, ids: ArrayLike, channel: str) -> Vectors | SparseVectors:
        """Rows of these ids, in that order."""
        if channel not in self._vectors:
            rows: Vectors | SparseVectors = self.index(channel).reconstruct(ids)
            return rows
        kept = self._vectors[channel]
        wanted = np.asarray(ids, np.int64)
        return _rows(kept, wanted) if isinstance(kept, SparseVectors) else kept[wanted]

    def features(self, ids: ArrayLike, channel: str) -> list[Features]:
        """Features of these ids, in that order."""
        kept = self._get(self._features, channel, "features")
        return [kept[i] for i in np.asarray(ids, np.int64).tolist()]

    def _get(self, kept: Mapping[str, Any], channel: str, what: str) -> Any:
        if channel not in kept:
            there = ", ".join(kept) or "none"
            raise ParameterError(
                f"ArrayDatabase: no {what} of channel {channel!r}, there is {there}"
            )
        return kept[channel]


def answer(
    channels: Mapping[str, Channel],
    query: Query,
    k: int,
    database: Database,
    *,
    fusion: Any,
    rerankers: Sequence[Reranker] = (),
    allowed: Any = None,
    n_threads: int = 0,
    knobs: Mapping[str, Any] | None = None,
) -> SearchResult:
    """Search, fuse, re-rank; `Pipeline.answer` says what each argument means.

    Raises
    ------
    ParameterError for a knob that no index has; what indexes and re-rankers raise.
    """
    k = check_k(k, who="answer")
    chosen = _knobs(channels, knobs or {})
    held = max(database.index(name).ntotal for name in channels)
    wanted = max([k, *(min(one.depth, held) for one in rerankers)])
    if len(channels) == 1:
        (name,) = channels
        result: SearchResult = database.index(name).search(
            query.vectors[name], wanted, allowed=allowed, n_threads=n_threads, **chosen[name]
        )
    else:
        result = fuse(
            {name: query.vectors[name] for name in channels},
            wanted,
            database,
            weights=fusion.weights,
            normalisation=fusion.normalisation,
            depth=fusion.depth,
            knobs=chosen,
            allowed=allowed,
            n_threads=n_threads,
        )
    for one in rerankers:
        result = one.rerank(query, result, database, n_threads=n_threads)
    if wanted == k:
        return result
    return SearchResult(result.D[:, :k].copy(), result.I[:, :k].copy())


def _knobs(channels: Mapping[str, Channel], given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Search knobs of each channel: the recipe's, and before them those given now."""
    known = {name: channel.knobs for name, channel in channels.items()}
    for knob in given:
        if not any(knob in names for names in known.values()):
            there = sorted({knob for names in known.values() for knob in names})
            raise ParameterError(
                f"answer: {knob!r} is no search knob of "
                f"{', '.join(sorted({c.recipe.index.name for c in channels.values()}))}; "
                + (f"there is {', '.join(there)}" if there else "there is none to turn")
            )
    return {
        name: {
            **channel.recipe.index.search,
            **{knob: value for knob, value in given.items() if knob in known[name]},
        }
        for name, channel in channels.items()
    }


def _rows(kept: SparseVectors, wanted: Any) -> SparseVectors:
    rows = [kept[i] for i in wanted]
    offsets = np.concatenate([[0], np.cumsum([len(w) for w, _ in rows])]).astype(np.int64)
    return SparseVectors(
        np.concatenate([np.zeros(0, np.int32), *(w for w, _ in rows)]),
        np.concatenate([np.zeros(0, np.float32), *(x for _, x in rows)]),
        offsets,
        kept.n_words,
    )
