"""Measure a collection: ``python -m cbir.evaluate OUT.cbir --protocol ukbench --report DIR``.

Thin: `cbir._evaluation` ranks, scores and times, `cbir.report` writes the HTML page.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cbir import _cli

if TYPE_CHECKING:
    import numpy as np

    from cbir._evaluation import Evaluation
    from cbir.collection import Collection
    from cbir.report import ReportRow

SHOWN_WORST, SHOWN_BEST, SHOWN_RESULTS, TILE = 10, 5, 8, 160
SCORE_NAMES = {"ns_score": "N-S score", "map": "AP"}
EXPLAIN = {
    "ns_score": "of the 4 images of the object, how many are in the first 4",
    "accuracy": "the N-S score / 4",
    "map": "mean average precision, step rule",
    "map_trapezoid": "mean average precision, trapezoid rule (Oxford, Paris)",
    "precision@1": "the first answer is right",
}


def evaluate(
    collection: Annotated[
        Path | None, typer.Argument(metavar="COLLECTION", help="The collection to measure.")
    ] = None,
    features: Annotated[
        Path | None, typer.Option("-f", "--features", help="The same as COLLECTION.")
    ] = None,
    protocol: Annotated[
        str,
        typer.Option(
            metavar="ukbench|leave-one-out|FILE.json",
            help="Who asks and what is right: groups of four, the query included; every image "
            "against all others of its label; or queries with their own lists.",
        ),
    ] = "ukbench",
    missing: Annotated[
        str,
        typer.Option(
            metavar="error|count",
            help="A path listed in FILE.json that isn't in the collection: an error, or a right "
            "answer that can't be found.",
        ),
    ] = "error",
    report: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write an HTML report to DIR/index.html."),
    ] = None,
    threads: _cli.Threads = 0,
    as_json: _cli.Json = False,
    quiet: _cli.Quiet = False,
) -> int:
    """Measure how good and how fast a collection answers.

    The ranking uses the stored vectors of indexed queries. Query time is measured from the file to
    the answer (decode, describe, search) on one thread, over up to 100 queries spread evenly.
    """
    path = collection or features
    if path is None or (collection and features):
        raise _cli.UsageError("name one collection, as COLLECTION or with -f.")
    if missing not in ("error", "count"):
        raise _cli.UsageError(f"--missing {missing!r}: expected error or count.")
    _cli.set_up_logging(quiet=quiet)
    from cbir import _evaluation
    from cbir.collection import Collection

    opened = Collection.open(path)
    asked = _evaluation.make_protocol(opened, protocol, missing=missing)  # type: ignore[arg-type]
    with _cli.Progress(quiet=quiet) as progress:
        result = _evaluation.evaluate_collection(
            opened, asked, n_threads=threads, progress=progress
        )
    facts = as_dict(opened, path, result)
    if report is not None:
        facts["report"] = write_html(opened, result, facts, report)
    if as_json:
        _cli.print_json(facts)
    else:
        print_result(facts)
    return _cli.EXIT_OK


def as_dict(collection: Collection, path: Path, result: Evaluation) -> dict[str, Any]:
    """Give the object that ``--json`` prints."""
    recipe = collection.recipe
    return {
        "collection": str(path),
        "images": collection.ntotal,
        "protocol": result.protocol.name,
        "n_queries": result.n_queries,
        "n_queries_skipped": result.n_queries_skipped,
        "metrics": result.metrics,
        "query_ms": result.query_summary(),
        "seconds": result.seconds,
        "recipe": {**recipe.model_dump(mode="json"), "hash": recipe.hash},
    }


def print_result(facts: dict[str, Any]) -> None:
    """Print the numbers, one per line."""
    skipped = (
        f", {facts['n_queries_skipped']} without positives skipped"
        if facts["n_queries_skipped"]
        else ""
    )
    print(
        f"{_cli.one_line(facts['collection'])}: recipe {facts['recipe']['name']}, "
        f"{facts['images']:,} images; protocol {facts['protocol']}, "
        f"{facts['n_queries']:,} queries{skipped}"
    )
    width = max(map(len, facts["metrics"]))
    for name, value in facts["metrics"].items():
        print(f"  {name:<{width}}  {value:.4f}  {EXPLAIN.get(name, '')}".rstrip())
    took = facts["query_ms"]
    if took["n"]:
        print(
            f"  {'query time':<{width}}  p50 {took['p50']:.1f} ms, p95 {took['p95']:.1f} ms  "
            f"from file to answer, one thread, {took['n']} queries"
        )
    if "report" in facts:
        print(f"  {'report':<{width}}  {_cli.one_line(str(facts['report']))}")


def write_html(
    collection: Collection, result: Evaluation, facts: dict[str, Any], folder: Path
) -> Path:
    """Write the report and give the path of its page."""
    import cbir
    from cbir import _config
    from cbir._evaluation import main_metric, pick_queries
    from cbir.report import Report, write_report

    config, info = _config.config(), collection.info()
    took = facts["query_ms"]
    shown: dict[str, Any] = {
        "collection": Path(facts["collection"]).name,
        "images": f"{facts['images']:,}",
        "query time": f"p50 {took['p50']:.1f} ms, p95 {took['p95']:.1f} ms, file to answer"
        if took["n"]
        else "not measured: the image files have gone",
        "index": f"{_cli.human_bytes(info['index']['nbytes'] / facts['images'])} per image",
        "recipe hash": facts["recipe"]["hash"][:16],
        "machine": f"{config['cpu']}, {config['simd_level']}",
        "cbir": cbir.__version__,
    }
    page = Report(
        title=f"{facts['recipe']['name']} on {'/'.join(collection.image_root.parts[-2:])}",
        protocol=result.protocol.description or result.protocol.name,
        metrics=result.metrics
        | {"n_queries": result.n_queries, "n_queries_skipped": result.n_queries_skipped},
        recipe_toml=collection.recipe.to_toml(),
        timings=result.seconds,
        facts=shown,
        worst=[row(collection, result, i) for i in pick_queries(result, SHOWN_WORST, worst=True)],
        best=[row(collection, result, i) for i in pick_queries(result, SHOWN_BEST, worst=False)],
        precision_recall=result.curve,
        distribution=distribution(result),
        distribution_name=SCORE_NAMES[main_metric(result)] + " per query",
    )
    return write_report(folder, page)


def row(collection: Collection, result: Evaluation, i: int) -> ReportRow:
    """Make the row of query `i`: its picture, the first answers, which of them are right."""
    from cbir import images
    from cbir._evaluation import main_metric, query_file
    from cbir.report import ReportRow
    from cbir.search import load_tile

    protocol = result.protocol
    dropped = protocol.dropped(i)
    ids = [int(j) for j in result.head_ids[i] if j >= 0 and j not in dropped][:SHOWN_RESULTS]
    right = set(protocol.relevant[i].tolist())
    own = int(protocol.query_ids[i])
    path = query_file(collection, protocol, i)
    assert path is not None
    score = result.per_query[main_metric(result)][i]
    picture: np.ndarray[Any, Any] = (
        load_tile(collection, own, 2 * TILE) if own >= 0 else images.decode(path, max_side=2 * TILE)
    )
    return ReportRow(
        query=picture,
        query_caption=collection.paths([own])[0] if own >= 0 else Path(str(path)).name,
        results=[load_tile(collection, j, 2 * TILE) for j in ids],
        captions=collection.paths(ids),
        truth=[j in right for j in ids],
        score=f"{score:.0f} of 4" if protocol.is_ukbench else float(score),
        score_name=SCORE_NAMES[main_metric(result)],
    )


def distribution(result: Evaluation) -> dict[str, int]:
    """Count queries by their score: N-S 0 to 4, or average precision in steps of .2."""
    import numpy as np

    from cbir._evaluation import main_metric

    name = main_metric(result)
    values = result.per_query[name]
    values = values[np.isfinite(values)]
    if name == "ns_score":
        return {str(i): int((values == i).sum()) for i in range(5)}
    steps = np.minimum((values * 5).astype(int), 4)  # 1.0 belongs to the last step
    return {f"{i / 5:.1f} to {(i + 1) / 5:.1f}": int((steps == i).sum()) for i in range(5)}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; give its exit code."""
    return _cli.run(evaluate, argv)


if __name__ == "__main__":
    sys.exit(main())
