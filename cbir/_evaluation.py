r"""Evaluate a collection under a protocol: rank and score every query, time some of them.

::

    collection + protocol --> rank (blocks of queries) --> Evaluator --> metrics, per query
                          \-> time_queries (a file at a time, one thread) --> p50, p95

Two different things are measured, and never mixed:

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
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from cbir.errors import ImageError, ParameterError
from cbir.evaluation import Evaluator, Protocol, from_file, leave_one_out, ukbench
from cbir.evaluation.curves import mean_curve

if TYPE_CHECKING:
    from cbir.collection import Collection

BLOCK = 256
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
    metrics : name -> mean over the queries with positives; without the two counts.
    n_queries, n_queries_skipped : queries that were averaged, and that have no positives.
    per_query : metric name -> (nq,) float64, NaN where skipped.
    curve : (recall, precision), each (101,) float64.
    head_ids, head_scores : (nq, HEAD or fewer) int64 and float32, the first results; id -1: none.
    query_ms : (n_timed,) float64, milliseconds from file to answer; empty where nothing was timed.
    seconds : stage -> seconds.
    """

    protocol: Protocol
    metrics: dict[str, float]
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


def make_protocol(
    collection: Collection, spec: str, *, missing: Literal["error", "count"] = "error"
) -> Protocol:
    """Make the protocol `spec` names: "ukbench", "leave-one-out", or the path of a query file.

    Raises
    ------
    ParameterError where the collection's labels don't allow it; FormatError on a bad query file.
    """
    ids = np.asarray(collection.ids, np.int64)
    if spec not in ("ukbench", "leave-one-out"):
        if not Path(spec).suffix and not Path(spec).exists():
            raise ParameterError(
                f"evaluate: protocol {spec!r} is neither ukbench, leave-one-out nor a query file"
            )
        paths = collection.paths(ids.tolist())
        return from_file(spec, dict(zip(paths, ids.tolist(), strict=True)), missing=missing)
    labels = collection.labels(ids.tolist())
    if all(label is None for label in labels):
        raise ParameterError(
            f"evaluate: protocol {spec} needs labels, and this collection has none; "
            "build it with --labels ukbench, folders or a CSV file"
        )
    return (ukbench if spec == "ukbench" else leave_one_out)(ids, labels)


def evaluate_collection(
    collection: Collection,
    protocol: Protocol,
    *,
    n_threads: int = 0,
    timed_queries: int = TIMED_QUERIES,
    progress: ProgressCallback | None = None,
) -> Evaluation:
    """Rank, score and time every query of `protocol`.

    Raises
    ------
    ParameterError where no query has a positive; ImageError where an outside query can't be read.
    """
    tell = progress or (lambda stage, done, total: None)
    evaluator = Evaluator(protocol)
    heads_i, heads_d = [], []
    started = time.perf_counter()
    for start in range(0, len(protocol), BLOCK):
        block = np.arange(start, min(start + BLOCK, len(protocol)))
        scores, ids = rank_block(collection, protocol, block, protocol.depth, n_threads=n_threads)
        evaluator.add(ids)
        heads_i.append(ids[:, :HEAD].copy())
        heads_d.append(scores[:, :HEAD].copy())
        tell("rank", int(block[-1]) + 1, len(protocol))
    ranked = time.perf_counter()
    metrics = evaluator.metrics()
    n_queries, skipped = int(metrics.pop("n_queries")), int(metrics.pop("n_queries_skipped"))
    query_ms = time_queries(collection, protocol, timed_queries, progress=tell)
    return Evaluation(
        protocol=protocol,
        metrics=metrics,
        n_queries=n_queries,
        n_queries_skipped=skipped,
        per_query=evaluator.per_query(),
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
    stored = np.array(
        [query_file(collection, protocol, int(i), only_outside=True) is None for i in block]
    )
    if stored.any():
        found = collection.search_ids(protocol.query_ids[block[stored]], k, n_threads=n_threads)
        scores[stored], ids[stored] = found.D, found.I
    for row in np.flatnonzero(~stored):
        path = query_file(collection, protocol, int(block[row]))
        assert path is not None
        region = protocol.regions[block[row]] if protocol.regions else None
        found = collection.search(path, k, region=region, n_threads=n_threads)
        scores[row], ids[row] = found.D[0], found.I[0]
    return scores, ids


def query_file(
    collection: Collection, protocol: Protocol, i: int, *, only_outside: bool = False
) -> Path | None:
    """Give the file of query `i`; with `only_outside` None where its stored vector is what asks."""
    if protocol.query_paths is not None and protocol.query_paths[i] is not None:
        return Path(str(protocol.query_paths[i]))
    has_region = protocol.regions is not None and protocol.regions[i] is not None
    if only_outside and not has_region:
        return None
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
    at = np.unique(np.linspace(0, len(protocol) - 1, min(n, len(protocol))).round().astype(int))
    if n == 0:
        return np.zeros(0)
    took: list[float] = []
    for turn, i in enumerate([at[0], *at]):  # the first is asked twice: the first time warms up
        path = query_file(collection, protocol, int(i))
        assert path is not None
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
