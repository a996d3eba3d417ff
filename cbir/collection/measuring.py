r"""Evaluate a collection under a protocol: rank and score every query, time some of them.

::

    collection + protocol --> rank (blocks of queries) --> Evaluator --> metrics, per query
                          \-> time_queries (a file at a time, one thread) --> p50, p95

`cbir.collection.asking` makes the protocol. Two different things are measured, and never mixed:

- **How good.** A query that is an image of the collection is asked with its stored vector: what
  indexing made of it, without decoding it again. A query from outside, or one that asks with a
  region, is asked with its file.
- **How fast.** Always from the file to the answer (decode, describe, search) on one thread, a query
  at a time, over up to 100 queries spread evenly, after one that isn't counted.

Rankings go through the evaluator in blocks and only their head is kept, so memory doesn't grow with
n_queries x n_images.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cbir.errors import ImageError, ParameterError
from cbir.evaluation import Evaluator, Protocol
from cbir.evaluation.curves import mean_curve

if TYPE_CHECKING:
    from cbir.collection import Collection

BLOCK_IDS = 1 << 23  # ids in a block of rankings: 100 MB with their scores
HEAD = 12  # results kept of each query, for the report
TIMED_QUERIES = 100
TIMED_K = 12

ProgressCallback = Callable[[str, int, int], None]


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What was measured.

    Attributes
    ----------
    protocol : who asked, what was right.
    depth : results ranked for each query.
    metrics : name -> mean over the queries with positives; without the two counts.
    exact : names of the metrics that this depth gives exactly; the others are lower bounds.
    n_queries, n_queries_skipped : queries that were averaged, and that have no positives.
    per_query : metric name -> (nq,) float64, NaN where skipped.
    curve : (recall, precision), each (101,) float64.
    head_ids, head_scores : (nq, HEAD or fewer) int64 and float32, the first results; id -1: none.
    query_ms : (n_timed,) float64, milliseconds from file to answer; empty where nothing was timed.
    seconds : stage -> seconds.
    """

    protocol: Protocol
    depth: int
    metrics: dict[str, float]
    exact: list[str]
    n_queries: int
    n_queries_skipped: int
    per_query: dict[str, NDArray[np.float64]]
    curve: tuple[NDArray[np.float64], NDArray[np.float64]]
    head_ids: NDArray[np.int64]
    head_scores: NDArray[np.float32]
    query_ms: NDArray[np.float64]
    seconds: dict[str, float] = field(default_factory=dict)

    def query_summary(self) -> dict[str, Any]:
        """Give p50 and p95 in milliseconds, None where nothing could be timed."""
        p50, p95 = (
            np.percentile(self.query_ms, [50, 95]).tolist() if len(self.query_ms) else (None, None)
        )
        return {"p50": p50, "p95": p95, "n": len(self.query_ms), "threads": 1}


def evaluate_collection(
    collection: Collection,
    protocol: Protocol,
    *,
    depth: int | None = None,
    n_threads: int = 0,
    timed_queries: int = TIMED_QUERIES,
    progress: ProgressCallback | None = None,
) -> Evaluation:
    """Rank, score and time every query of `protocol`.

    Parameters
    ----------
    depth : results to rank for each query; all images where not given. Fewer are quicker, and
        leave some metrics lower bounds (`Protocol.exact_at`).

    Raises
    ------
    ParameterError where no query has a positive or a region lies outside its picture; ImageError
    where an outside query can't be read.
    """
    tell = progress or (lambda stage, done, total: None)
    depth = min(depth or protocol.depth, protocol.depth)
    size = max(1, min(256, BLOCK_IDS // max(1, depth)))
    evaluator = Evaluator(protocol)
    heads_i, heads_d = [], []
    started = time.perf_counter()
    for start in range(0, len(protocol), size):
        block = np.arange(start, min(start + size, len(protocol)))
        scores, ids = rank_block(collection, protocol, block, depth, n_threads=n_threads)
        evaluator.add(ids)
        heads_i.append(ids[:, :HEAD].copy())
        heads_d.append(scores[:, :HEAD].copy())
        tell("rank", int(block[-1]) + 1, len(protocol))
    ranked = time.perf_counter()
    metrics = evaluator.metrics()
    n_queries, skipped = int(metrics.pop("n_queries")), int(metrics.pop("n_queries_skipped"))
    per_query = evaluator.per_query()
    findable = np.array([(right >= 0).sum() for right in protocol.relevant])
    complete = bool((per_query["n_found"] == findable).all())  # nothing further down adds anything
    exact = [name for name in metrics if complete or protocol.exact_at(name, depth)]
    if "revisitop_mP@10" not in exact:  # it may be too high as well as too low then
        del metrics["revisitop_mP@10"]
    query_ms = time_queries(collection, protocol, timed_queries, progress=tell)
    return Evaluation(
        protocol=protocol,
        depth=depth,
        metrics=metrics,
        exact=exact,
        n_queries=n_queries,
        n_queries_skipped=skipped,
        per_query=per_query,
        curve=mean_curve(evaluator),
        head_ids=np.concatenate(heads_i),
        head_scores=np.concatenate(heads_d),
        query_ms=query_ms,
        seconds={"rank": ranked - started, "time queries": time.perf_counter() - ranked},
    )


def rank_block(
    collection: Collection,
    protocol: Protocol,
    block: NDArray[np.int64],
    k: int,
    *,
    n_threads: int = 0,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Rank the queries at the positions `block`: scores and ids, (len(block), k) each."""
    scores = np.zeros((len(block), k), np.float32)
    ids = np.full((len(block), k), -1, np.int64)
    stored = np.array([not asks_with_its_file(protocol, int(i)) for i in block])
    if stored.any():
        found = collection.search_ids(protocol.query_ids[block[stored]], k, n_threads=n_threads)
        scores[stored], ids[stored] = found.D, found.I
    for row in np.flatnonzero(~stored):
        path = query_file(collection, protocol, int(block[row]))
        region = protocol.regions[block[row]] if protocol.regions else None
        try:
            found = collection.search(path, k, region=region, n_threads=n_threads)
        except ParameterError as error:  # the region lies outside this picture
            raise ParameterError(f"evaluate: {path}: {error}") from None
        scores[row], ids[row] = found.D[0], found.I[0]
    return scores, ids


def asks_with_its_file(protocol: Protocol, i: int) -> bool:
    """Whether query `i` comes from outside or looks at a region; else its stored vector asks."""
    outside = protocol.query_paths is not None and protocol.query_paths[i] is not None
    return outside or (protocol.regions is not None and protocol.regions[i] is not None)


def query_file(collection: Collection, protocol: Protocol, i: int) -> Path:
    """Give the file of query `i`."""
    if protocol.query_paths is not None and protocol.query_paths[i] is not None:
        return Path(str(protocol.query_paths[i]))
    return Path(collection.image_path(int(protocol.query_ids[i])))


def time_queries(
    collection: Collection,
    protocol: Protocol,
    n: int = TIMED_QUERIES,
    *,
    progress: ProgressCallback | None = None,
) -> NDArray[np.float64]:
    """Measure milliseconds from file to answer, one thread, of up to `n` queries spread evenly.

    Queries whose file has gone or can't be read are left out.
    """
    tell = progress or (lambda stage, done, total: None)
    at = spread(len(protocol), n)
    if not len(at):
        return np.zeros(0)
    took: list[float] = []
    for turn, i in enumerate([at[0], *at]):  # the first is asked twice: the first time warms up
        path = query_file(collection, protocol, int(i))
        region = protocol.regions[i] if protocol.regions else None
        try:
            started = time.perf_counter()
            collection.search(path, min(TIMED_K, protocol.n_database), region=region, n_threads=1)
            elapsed = time.perf_counter() - started
        except (ImageError, OSError):
            continue
        if turn:
            took.append(1e3 * elapsed)
        tell("time queries", turn, len(at))
    return np.array(took, np.float64)


def spread(n_all: int, n: int) -> NDArray[np.int64]:
    """Give up to `n` positions spread evenly over ``range(n_all)``, the first and last among them.

    >>> spread(10, 4).tolist()
    [0, 3, 6, 9]
    """
    return np.unique(np.linspace(0, n_all - 1, min(n, n_all)).round().astype(np.int64))


def pick_queries(result: Evaluation, n: int, *, worst: bool) -> list[int]:
    """Give the positions of the `n` best or worst queries, no two with the same right answers.

    The score is the N-S score under UKBench and average precision otherwise; ties go by average
    precision, then to the earlier query.
    """
    main, second = result.per_query[main_metric(result)], result.per_query["map"]
    sign = 1 if worst else -1
    order = np.lexsort((np.arange(len(main)), sign * second, sign * main))
    chosen: list[int] = []
    seen: set[bytes] = set()
    for i in order:
        own = result.protocol.query_ids[i]
        members = np.sort(np.append(result.protocol.relevant[i], own if own >= 0 else -2 - i))
        key = np.unique(members).tobytes()
        if np.isfinite(main[i]) and key not in seen:
            chosen.append(int(i))
            seen.add(key)
        if len(chosen) == n:
            break
    return chosen


def main_metric(result: Evaluation) -> str:
    """Name the metric queries are ordered by."""
    return "ns_score" if "ns_score" in result.per_query else "map"
