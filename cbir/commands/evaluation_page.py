"""The HTML page of `evaluate --report`: what was measured, the best and the worst queries."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import cbir
from cbir import installation
from cbir.collection.measuring import Evaluation, main_metric, pick_queries, query_file
from cbir.commands.info import indexes_of
from cbir.commands.output import human_bytes
from cbir.commands.tiles import load_tile, tile_of
from cbir.report import Report, ReportRow, write_report

if TYPE_CHECKING:
    from cbir.collection import Collection

SHOWN_WORST, SHOWN_BEST, SHOWN_RESULTS, TILE = 10, 5, 8, 160
SCORE_NAMES = {"ns_score": "N-S score", "map": "AP"}


def write_html(
    collection: Collection, result: Evaluation, facts: dict[str, Any], folder: Path
) -> Path:
    """Write the report and give the path of its page."""
    config = installation.config()
    nbytes = sum(one["nbytes"] for one in indexes_of(collection.info()).values())
    took = facts["query_ms"]
    shown: dict[str, Any] = {
        "collection": Path(facts["collection"]).name,
        "images": f"{facts['images']:,}",
        "query time": f"p50 {took['p50']:.1f} ms, p95 {took['p95']:.1f} ms, file to answer"
        if took["n"]
        else "not measured: the image files have gone",
        "index": f"{human_bytes(nbytes / max(1, facts['images']))} per image",
        "recipe hash": facts["recipe"]["hash"][:16],
        "machine": f"{config['cpu']}, {config['simd_level']}",
        "cbir": cbir.__version__,
    }
    if facts["notes"]:
        shown["note"] = "; ".join(facts["notes"])
    if facts["lower_bounds"]:
        shown["lower bounds"] = (
            f"{', '.join(facts['lower_bounds'])}: only {facts['depth']:,} results were ranked"
        )
    tile = lru_cache(maxsize=256)(lambda image_id: load_tile(collection, image_id, 2 * TILE))
    page = Report(
        title=f"{facts['recipe']['name']} on {'/'.join(collection.image_root.parts[-2:])}",
        protocol=result.protocol.description or result.protocol.name,
        metrics=result.metrics
        | {"n_queries": result.n_queries, "n_queries_skipped": result.n_queries_skipped},
        recipe_toml=collection.recipe.to_toml(),
        timings=result.seconds,
        facts=shown,
        worst=[
            row(collection, result, i, tile) for i in pick_queries(result, SHOWN_WORST, worst=True)
        ],
        best=[
            row(collection, result, i, tile) for i in pick_queries(result, SHOWN_BEST, worst=False)
        ],
        precision_recall=result.curve if "map" in result.exact else None,
        distribution=distribution(result),
        distribution_name=SCORE_NAMES[main_metric(result)] + " per query",
    )
    return write_report(folder, page)


def row(collection: Collection, result: Evaluation, i: int, tile: Any) -> ReportRow:
    """Make the row of query `i`: its picture, the first answers, which of them are right.

    `tile` gives the picture of an image id.
    """
    protocol = result.protocol
    dropped = protocol.dropped(i)
    ids = [int(j) for j in result.head_ids[i] if j >= 0 and j not in dropped][:SHOWN_RESULTS]
    right = set(protocol.relevant[i].tolist())
    own = int(protocol.query_ids[i])
    path = query_file(collection, protocol, i)
    score = result.per_query[main_metric(result)][i]
    return ReportRow(
        query=tile(own) if own >= 0 else tile_of(path, 2 * TILE),
        query_caption=collection.paths([own])[0] if own >= 0 else path.name,
        results=[tile(j) for j in ids],
        captions=collection.paths(ids),
        truth=[j in right for j in ids],
        score=f"{score:.0f} of 4" if protocol.is_ukbench else float(score),
        score_name=SCORE_NAMES[main_metric(result)],
    )


def distribution(result: Evaluation) -> dict[str, int]:
    """Count queries by their score: N-S 0 to 4, or average precision in steps of .2."""
    name = main_metric(result)
    values = result.per_query[name]
    values = values[np.isfinite(values)]
    if name == "ns_score":
        return {str(i): int((values == i).sum()) for i in range(5)}
    steps = np.minimum((values * 5).astype(int), 4)  # 1.0 belongs to the last step
    return {f"{i / 5:.1f} to {(i + 1) / 5:.1f}": int((steps == i).sum()) for i in range(5)}
