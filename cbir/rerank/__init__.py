"""From a list of hits to a better one: look again, and closer, at the first of them.

::

    query, SearchResult, database --rerank--> SearchResult
                            |
                            +-- vectors(ids, channel)     read only what is asked for
                            +-- features(ids, channel)

A search has to be cheap for every picture of a collection; what is dearer can be spent on the
`depth` best. A re-ranker knows neither recipe nor collection: `Query` and `Database` (_base.py) are
all it sees, so it works on arrays as well as on a folder on disk.

**What `D` means afterwards.** In front, the re-ranker's own measure; whether it ascends says
`ascending`. Behind `depth` the order is kept, and so is `D` as far as it goes on from the last hit
in front without turning back; otherwise that hit's value is repeated, which says "no better than
this" and nothing else. So `D` is monotone, and as the first `depth` are taken however many hits
were asked for, the answer for k is a prefix of that for k + 1.

Read `_base.py`, then `original.py`. A new one is one class over `Reranker` and one line in
`RERANKERS`.
"""

from __future__ import annotations

from typing import Any

from cbir.rerank._base import Database, Query, Reranker, in_front
from cbir.rerank.original import Original

RERANKERS: dict[str, type[Any]] = {"original": Original}
"""Name in a recipe -> class."""

__all__ = ["RERANKERS", "Database", "Original", "Query", "Reranker", "in_front"]
